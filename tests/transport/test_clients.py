"""Clients: which error is raised for which problem with a connection; replies that are lost."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from converge_redis import (
    AsyncPoolManager,
    AsyncRedisStore,
    AsyncTaskManager,
    ConfigurationError,
    EmbeddedServer,
    EvictionWarning,
    PayloadTooLargeError,
    RedisStore,
    StoreAuthenticationError,
    StoreClosedError,
    StoreFullError,
    StoreUnavailableError,
    Task,
    TaskManager,
    TaskState,
    default_async_store,
    default_store,
)
from tests.support.backends import Backend
from tests.support.proxy import LossyProxy


@pytest.fixture
def own_server() -> Iterator[tuple[str, Any]]:
    """A server with settings that a test may change, and a client of it."""
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        yield server.url, client


@pytest.mark.parametrize(
    "url", ["nonsense", "http://localhost", "redis://localhost:port", "redis://localhost?unknown=1", ""]
)
@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_a_malformed_url_is_quoted_in_the_error(
    kind: type[RedisStore] | type[AsyncRedisStore], url: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind.from_url(url)
    assert repr(url) in str(caught.value)


def test_errors_hide_the_password_of_the_url() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisStore.from_url("redis://user:secret@localhost:port")
    assert "secret" not in str(caught.value)
    assert "user:***@localhost" in str(caught.value)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_an_unreachable_server_raises_store_unavailable() -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    with pytest.raises(StoreUnavailableError, match="cannot be reached"), RedisStore.from_url(url):
        pass
    store = AsyncRedisStore.from_url(url)
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        await AsyncTaskManager(store).submit(Task())
    await store.aclose()


async def test_a_wrong_password_raises_store_authentication(own_server: tuple[str, Any]) -> None:
    url, client = own_server
    client.config_set("requirepass", "right")
    for wrong in (url, url.replace("unix://", "unix://:wrong@")):
        with pytest.raises(StoreAuthenticationError, match="password"), RedisStore.from_url(wrong):
            pass
        store = AsyncRedisStore.from_url(wrong)
        with pytest.raises(StoreAuthenticationError, match="password"):
            await store.open()
        await store.aclose()
    with RedisStore.from_url(url.replace("unix://", "unix://:right@")) as good:
        TaskManager(good).submit(Task())


def test_a_server_that_evicts_keys_causes_a_warning(own_server: tuple[str, Any]) -> None:
    url, client = own_server
    client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.warns(EvictionWarning, match="maxmemory-policy is allkeys-lru"), RedisStore.from_url(url):
        pass
    client.config_set("maxmemory-policy", "noeviction")
    with RedisStore.from_url(url):
        pass  # warnings are errors in tests


def test_a_full_server_raises_store_full_and_stores_nothing(own_server: tuple[str, Any]) -> None:
    url, client = own_server
    with RedisStore.from_url(url) as store:
        manager = TaskManager(store)
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreFullError, match="maxmemory"):
            manager.submit(Task(id="late"))
        client.config_set("maxmemory", "0")
        assert manager.get_task("late") is None
        assert manager.audit() == []


def test_unusable_clients_are_refused(real: Backend) -> None:
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisStore(redis.Redis.from_url(str(real.url), decode_responses=True))
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisStore.from_url(f"{real.url}&decode_responses=True")
    not_a_client: Any = object()
    with pytest.raises(ConfigurationError, match="not object"):
        RedisStore(not_a_client)


def test_a_store_with_another_number_of_shards_is_refused(backend: Backend) -> None:
    with backend.store("same", 2):
        pass
    with (
        pytest.raises(ConfigurationError, match="shards=2, this store has shards=3"),
        backend.store("same", 3),
    ):
        pass


def test_a_manager_refuses_a_store_of_the_other_style(real: Backend) -> None:
    with real.store() as store:
        wrong: Any = store
        with pytest.raises(ConfigurationError, match="AsyncTaskManager needs an AsyncRedisStore"):
            AsyncTaskManager(wrong)


async def test_a_closed_store_raises_store_closed(real: Backend) -> None:
    store = real.store()
    manager = TaskManager(store)
    manager.submit(Task())
    store.close()
    store.close()
    with pytest.raises(StoreClosedError):
        manager.submit(Task())
    async_store = real.async_store()
    await async_store.open()
    await async_store.aclose()
    await async_store.aclose()
    with pytest.raises(StoreClosedError):
        await AsyncTaskManager(async_store).submit(Task())


def test_each_store_enforces_its_own_payload_limit(real: Backend) -> None:
    with real.store(payload_limit=200) as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task(inputs={"x": "y" * 100}))
        with pytest.raises(PayloadTooLargeError, match="payload_limit is 200"):
            manager.submit(Task(inputs={"x": "y" * 200}))
        manager.claim("a", task_id)
        with pytest.raises(PayloadTooLargeError, match="result takes"):
            manager.report("a", task_id, "y" * 200)
        assert manager.report("a", task_id, "y" * 100)


def test_managers_without_a_store_share_the_default_store(
    monkeypatch: pytest.MonkeyPatch, real: Backend
) -> None:
    monkeypatch.setenv("CONVERGE_REDIS_URL", str(real.url))
    manager = TaskManager()
    assert TaskManager().store is manager.store is default_store()
    with real.store("converge") as store:
        assert TaskManager(store).get_task(manager.submit(Task())) is not None
    manager.store.close()
    assert TaskManager().store is not manager.store, "a closed store is replaced"
    default_store().close()


async def test_asyncio_managers_without_a_store_share_the_default_store(
    monkeypatch: pytest.MonkeyPatch, real: Backend
) -> None:
    monkeypatch.setenv("CONVERGE_REDIS_URL", str(real.url))
    manager = AsyncTaskManager()
    assert AsyncPoolManager().store is manager.store is default_async_store()
    assert await AsyncTaskManager().get_task(await manager.submit(Task())) is not None
    await manager.store.aclose()
    assert AsyncTaskManager().store is not manager.store, "a closed store is replaced"
    await default_async_store().aclose()


def test_a_call_with_lost_replies_takes_effect_once(real: Backend) -> None:
    path = str(real.url).removeprefix("unix://").partition("?")[0]
    with LossyProxy(path) as proxy, RedisStore.from_url(proxy.url, "test") as store:
        manager = TaskManager(store)

        def losing(call: Any, replies: int = 2) -> Any:
            """Make a call whose first replies are lost."""
            proxy.lose(replies)
            result = call()
            assert proxy.remaining_losses == 0
            return result

        first = losing(lambda: manager.submit(Task(priority=2)))
        second = losing(lambda: manager.submit(Task(priority=1)))
        assert losing(lambda: manager.claim("a", first)) is True
        assert manager.claim("a", first) is False  # another call of the same agent, not a retry
        [task] = losing(lambda: manager.claim_next("a"))
        assert task.id == second
        assert manager.counts()["assigned"] == 2
        assert losing(lambda: manager.start("a", first)) is True
        assert losing(lambda: manager.release("a", first)) is True
        assert losing(lambda: manager.cancel_task(first)) is True
        assert losing(lambda: manager.requeue_task(first)) is True
        assert losing(lambda: manager.report("a", second, {"x": 1}, claim_token=task.claim_token)) is True
        assert losing(lambda: manager.fail_task(first, "why")) is True
        assert losing(lambda: manager.submit_many([Task(id="x"), Task(id="y")]), 1) == ["x", "y"]
        assert losing(lambda: store.put_if_absent("key", 1)) is True
        counted = manager.counts()
        assert (counted["completed"], counted["failed"], counted["pending"]) == (1, 1, 2)
        failed = manager.get_task(first)
        assert failed is not None
        assert (failed.attempts, failed.state) == (0, TaskState.FAILED)
        assert manager.audit() == []


def test_more_lost_replies_than_retries_raise_store_unavailable(real: Backend) -> None:
    path = str(real.url).removeprefix("unix://").partition("?")[0]
    with LossyProxy(path) as proxy, RedisStore.from_url(proxy.url, "test") as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task())
        proxy.lose(100)
        with pytest.raises(StoreUnavailableError, match="may be made again"):
            manager.claim("a", task_id)
        proxy.lose(0)
        assert [task.id for task in manager.list_claims("a")] == [task_id]
