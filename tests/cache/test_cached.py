"""`cached`: functions whose results are cached."""

from typing import Any

import pytest

from converge_redis import (
    AsyncRedisStore,
    AsyncSharedCache,
    InvalidTypeError,
    InvalidValueError,
    RedisStore,
    SharedCache,
)
from tests.support.backends import Backend


@pytest.fixture
def cache(backend: Backend) -> Any:
    with backend.store() as store:
        yield SharedCache(store)


def test_a_cached_function_is_called_once_for_equal_arguments(cache: SharedCache) -> None:
    calls = list[Any]()

    @cache.cached(ttl=100)
    def area(width: int, height: int = 2, *, unit: str = "m") -> str:
        """Return an area."""
        calls.append(width)
        return f"{width * height} {unit}"

    assert [area(1), area(1, 2), area(width=1, unit="m"), area(2)] == ["2 m", "2 m", "2 m", "4 m"]
    assert calls == [1, 2]
    assert area.__doc__ == "Return an area."
    assert getattr(area, "__name__", "") == "area"
    area.invalidate(1)
    assert area(1) == "2 m"
    assert calls == [1, 2, 1]
    assert area.key(1) == area.key(1, height=2) != area.key(3)


def test_keys_and_tags_are_made_from_the_arguments(cache: SharedCache) -> None:
    calls = list[int]()

    @cache.cached(ttl=100, key="user:{user_id}", tags=lambda user_id: [f"user {user_id}"])
    def user(user_id: int) -> int:
        calls.append(user_id)
        return user_id

    @cache.cached(ttl=100, key=lambda user_id: f"group:{user_id % 2}", tags=["all"])
    def group(user_id: int) -> int:
        calls.append(user_id)
        return user_id

    assert [user(1), user(1), user(2)] == [1, 1, 2]
    assert cache.get("user:1") == 1
    cache.delete_tags("user 1")
    assert [user(1), user(2)] == [1, 2]
    assert calls == [1, 2, 1]
    assert [group(1), group(3), group(2)] == [1, 1, 2]
    cache.delete_tags("all")
    assert group(3) == 3


def test_arguments_without_a_valid_key_are_refused(cache: SharedCache) -> None:
    class Shop:
        @cache.cached(ttl=100)
        def price(self, sku: str) -> int:
            return len(sku)

    with pytest.raises(InvalidTypeError, match=r"price needs key= .*arguments\['self'\] has the type"):
        Shop.price(Shop(), "abc")

    @cache.cached(ttl=100, key="{unknown}")
    def named(sku: str) -> str:
        return sku

    with pytest.raises(InvalidValueError, match=r"names something else than an argument of .*named"):
        named("abc")
    with pytest.raises(InvalidTypeError, match="key must be a format string"):
        cache.cached(ttl=1, key=5)(len)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="only a function"):
        cache.cached(ttl=1)(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing a required argument"):
        named()  # type: ignore[call-arg]


async def test_coroutine_functions_can_be_cached(backend: Backend) -> None:
    async with backend.async_store() as store:
        assert isinstance(store, AsyncRedisStore)
        cache, calls = AsyncSharedCache(store), list[int]()

        @cache.cached(ttl=100, tags=["t"])
        async def double(number: int) -> int:
            calls.append(number)
            return 2 * number

        assert [await double(2), await double(2), await double(3)] == [4, 4, 6]
        assert calls == [2, 3]
        await double.invalidate(2)
        assert await double(2) == 4
        await cache.delete_tags("t")
        assert await double(3) == 6
        assert calls == [2, 3, 2, 3]
    for client in backend.async_clients:
        await client.aclose()


def test_stores_share_the_results_of_functions_of_one_name(backend: Backend) -> None:
    calls = list[int]()

    def cached_work(store: RedisStore) -> Any:
        def work(number: int) -> int:
            calls.append(number)
            return number

        return SharedCache(store).cached(ttl=100)(work)

    with backend.store() as one, backend.store() as other:
        assert [cached_work(one)(1), cached_work(other)(1)] == [1, 1]
    assert calls == [1]
