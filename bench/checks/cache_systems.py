"""The calls of the shared cache, the store and their peers, for `bench.checks.cache_peers`."""

from collections.abc import Awaitable, Callable
from typing import Any

from converge_redis import AsyncRedisStore, AsyncSharedCache, NearCache, RedisStore, SharedCache

VALUE = {"id": 7, "name": "x" * 100, "scores": list(range(20)), "more": {"a": 1.5, "b": None, "c": "y" * 40}}
TTL = 600


def dogpile(port: int) -> Any:
    """Return a region of dogpile.cache."""
    from dogpile.cache import make_region  # noqa: PLC0415

    arguments = {
        "host": "127.0.0.1",
        "port": port,
        "redis_expiration_time": TTL,
        "distributed_lock": True,
        "thread_local_lock": False,
    }
    return make_region().configure("dogpile.cache.redis", expiration_time=TTL, arguments=arguments)


def cashews(port: int, **settings: Any) -> Any:
    """Return a cache of cashews."""
    from cashews import Cache  # noqa: PLC0415

    cache = Cache()
    cache.setup(f"redis://127.0.0.1:{port}", **settings)
    return cache


def blocking_calls(port: int, closers: list[Callable[[], Any]]) -> dict[tuple[str, str], Callable[[], Any]]:
    """Prepare the blocking systems; return their calls by system and kind of call."""
    url = f"redis://127.0.0.1:{port}"
    store = RedisStore.from_url(url).open()
    near = RedisStore.from_url(url, near_cache=NearCache()).open()
    closers += [store.close, near.close]
    cache, near_cache, region = SharedCache(store), SharedCache(near), dogpile(port)
    store.put("key", VALUE)
    cache.put("key", VALUE, TTL)
    region.set("key", VALUE)
    while near.near_statistics().hits == 0:
        near.get("key")
    while near_cache.statistics().near_hits == 0:
        near_cache.get_or_compute("key", dict, TTL)

    def check(found: Any) -> None:
        assert found == VALUE

    check(store.get("key"))
    check(cache.get_or_compute("key", dict, TTL))
    check(region.get("key"))
    return {
        ("store", "get hit"): lambda: store.get("key"),
        ("cache", "get hit"): lambda: cache.get("key"),
        ("dogpile.cache", "get hit"): lambda: region.get("key"),
        ("cache", "compute hit"): lambda: cache.get_or_compute("key", dict, TTL),
        ("dogpile.cache", "compute hit"): lambda: region.get_or_create("key", dict),
        ("store", "near hit"): lambda: near.get("key"),
        ("cache", "near hit"): lambda: near_cache.get_or_compute("key", dict, TTL),
        ("store", "set"): lambda: store.put("written", VALUE, ttl=TTL),
        ("cache", "set"): lambda: cache.put("written", VALUE, TTL),
        ("dogpile.cache", "set"): lambda: region.set("written", VALUE),
    }


async def async_calls(
    port: int, closers: list[Callable[[], Any]]
) -> dict[tuple[str, str], Callable[[], Awaitable[Any]]]:
    """Prepare the systems on asyncio; return their calls by system and kind of call."""
    import aiocache  # noqa: PLC0415
    from aiocache.serializers import PickleSerializer  # noqa: PLC0415

    url = f"redis://127.0.0.1:{port}"
    store, near = AsyncRedisStore.from_url(url), AsyncRedisStore.from_url(url, near_cache=NearCache())
    cache, near_cache = AsyncSharedCache(store), AsyncSharedCache(near)
    cashews_cache, near_cashews = cashews(port), cashews(port, client_side=True)
    aiocache_cache = aiocache.Cache(
        aiocache.Cache.REDIS, endpoint="127.0.0.1", port=port, serializer=PickleSerializer()
    )
    closers += [store.aclose, near.aclose, cashews_cache.close, near_cashews.close, aiocache_cache.close]
    await store.put("key", VALUE)
    await cache.put("key", VALUE, TTL)
    await cashews_cache.set("cashews", VALUE, expire=TTL)
    await near_cashews.set("near cashews", VALUE, expire=TTL)
    await aiocache_cache.set("aiocache", VALUE, ttl=TTL)
    while near.near_statistics().hits == 0:
        await near.get("key")
    while near_cache.statistics().near_hits == 0:
        await near_cache.get_or_compute("key", dict, TTL)

    @cashews_cache(ttl=TTL, key="computed", lock=True)  # type: ignore[untyped-decorator, unused-ignore]
    async def cached_by_cashews() -> Any:
        return VALUE

    @aiocache.cached_stampede(  # type: ignore[untyped-decorator, unused-ignore]
        lease=10,
        ttl=TTL,
        key="aiocache",
        cache=aiocache.Cache.REDIS,
        endpoint="127.0.0.1",
        port=port,
        serializer=PickleSerializer(),
    )
    async def cached_by_aiocache() -> Any:
        return VALUE

    assert await cached_by_cashews() == await cached_by_aiocache() == VALUE
    for found in (
        await cashews_cache.get("cashews"),
        await near_cashews.get("near cashews"),
        await aiocache_cache.get("aiocache"),
    ):
        assert found == VALUE
    return {
        ("store", "get hit"): lambda: store.get("key"),
        ("cache", "get hit"): lambda: cache.get("key"),
        ("cashews", "get hit"): lambda: cashews_cache.get("cashews"),
        ("aiocache", "get hit"): lambda: aiocache_cache.get("aiocache"),
        ("cache", "compute hit"): lambda: cache.get_or_compute("key", dict, TTL),
        ("cashews", "compute hit"): cached_by_cashews,
        ("aiocache", "compute hit"): cached_by_aiocache,
        ("store", "near hit"): lambda: near.get("key"),
        ("cache", "near hit"): lambda: near_cache.get_or_compute("key", dict, TTL),
        ("cashews, client side", "near hit"): lambda: near_cashews.get("near cashews"),
        ("store", "set"): lambda: store.put("written", VALUE, ttl=TTL),
        ("cache", "set"): lambda: cache.put("written", VALUE, TTL),
        ("cashews", "set"): lambda: cashews_cache.set("written", VALUE, expire=TTL),
        ("aiocache", "set"): lambda: aiocache_cache.set("written", VALUE, ttl=TTL),
    }
