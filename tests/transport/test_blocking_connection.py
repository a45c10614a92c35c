"""Blocking connections and their pool: each call gets its own reply, or its connection is dropped."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from converge_redis import EmbeddedServer, RedisStore, StoreUnavailableError, Task, TaskManager
from converge_redis.transport import blocking_connection, delivery
from converge_redis.transport.blocking_connection import RedisPyConnection, SocketConnection, take_over
from tests.support.backends import TIMEOUT, Backend, until


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(port=0) as server:
        yield server


@contextmanager
def stopped(server: EmbeddedServer) -> Iterator[None]:
    """Stop the server's process; it continues after the block at the latest."""
    os.kill(server.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, server.pid, os.WSTOPPED)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_each_thread_gets_its_own_replies(real: Backend) -> None:
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(16) as threads:
        store.put_many({f"{number}": number for number in range(50)})

        def read(_: int) -> list[Any]:
            return [store.get(f"{number}") for number in range(50)]

        assert all(found == list(range(50)) for found in threads.map(read, range(64)))


def test_large_requests_and_replies_are_complete(real: Backend) -> None:
    with RedisStore.from_url(str(real.url), payload_limit=64 * 2**20) as store:
        values = {f"{number}": bytes([number]) * 3_000_000 for number in range(5)}
        store.put_many(values)
        assert store.get_many(list(values)) == values


def test_a_call_after_a_timeout_does_not_get_the_late_reply(
    own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system applies the time-out, to each of the attempts."""
    monkeypatch.setattr(delivery, "RETRY_PAUSES", (0.0,) * len(delivery.RETRY_PAUSES))
    with RedisStore.from_url(own_server.url, socket_timeout=0.4) as store:
        store.put("a", 1)
        with stopped(own_server):
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="in time"):
                store.get("a")
            assert time.monotonic() - began >= 0.4
        store.put("b", 2)
        assert [store.get(name) for name in ("a", "b", "a")] == [1, 2, 1]


class CountingRecv:
    """Replaces a socket's `recv`, and counts its calls.

    Attributes:
        polls: The calls that returned at once, with or without data.
        blocking_reads: The calls that blocked until data arrived.
        before_blocking: Called before each blocking read.
    """

    def __init__(self, recv: Callable[..., bytes]) -> None:
        self._recv = recv
        self.polls = self.blocking_reads = 0
        self.before_blocking: Callable[[], None] = lambda: None

    def __call__(self, size: int, flags: int = 0) -> bytes:
        if flags:
            self.polls += 1
        else:
            self.blocking_reads += 1
            self.before_blocking()
        return self._recv(size, flags)


@pytest.fixture
def connection(own_server: EmbeddedServer) -> Iterator[SocketConnection]:
    with redis.Redis.from_url(own_server.url) as client:
        of_redis_py = client.connection_pool.get_connection()
        connection = take_over(of_redis_py)
        assert isinstance(connection, SocketConnection)
        yield connection
        of_redis_py.disconnect()


def ping(connection: SocketConnection) -> None:
    assert connection.exchange(b"PING\r\n", 1) == [b"PONG"]


def test_it_polls_for_the_reply_before_it_blocks(
    connection: SocketConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking_connection, "SPIN_SECONDS", TIMEOUT)
    recv = connection._read = CountingRecv(connection._read)
    for _ in range(50):
        ping(connection)
    assert recv.polls >= 50
    assert recv.blocking_reads == 0


def test_after_a_slow_reply_some_calls_block_without_polling(
    own_server: EmbeddedServer, connection: SocketConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking_connection, "SPIN_SECONDS", 0.0)
    recv = connection._read = CountingRecv(connection._read)
    recv.before_blocking = lambda: os.kill(own_server.pid, signal.SIGCONT)
    with stopped(own_server):
        ping(connection)
    assert recv.blocking_reads == 1
    polls = recv.polls
    for _ in range(blocking_connection.CALLS_WITHOUT_SPIN):
        ping(connection)
    assert (recv.blocking_reads, recv.polls) == (blocking_connection.CALLS_WITHOUT_SPIN + 1, polls)
    ping(connection)
    assert recv.polls > polls


def test_on_a_single_cpu_it_never_polls(own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    with redis.Redis.from_url(own_server.url) as client:
        connection = take_over(client.connection_pool.get_connection())
        assert isinstance(connection, SocketConnection)
        recv = connection._read = CountingRecv(connection._read)
        for _ in range(blocking_connection.CALLS_WITHOUT_SPIN + 2):
            ping(connection)
        assert recv.polls == 0


@pytest.mark.parametrize("timeout", [None, 5])
def test_a_slow_reply_within_the_timeout_is_returned(
    own_server: EmbeddedServer, timeout: float | None
) -> None:
    with RedisStore.from_url(own_server.url, socket_timeout=timeout) as store:
        store.put("a", 1)
        with stopped(own_server):
            threading.Timer(0.3, os.kill, (own_server.pid, signal.SIGCONT)).start()
            assert store.get("a") == 1


def test_an_interrupted_call_leaves_no_reply_for_the_next_call(own_server: EmbeddedServer) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    handler = signal.signal(signal.SIGALRM, interrupt)
    try:
        with RedisStore.from_url(own_server.url) as store:
            store.put_many({"a": 1, "b": 2})

            def interrupted_get() -> None:
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                store.get("a")

            with stopped(own_server), pytest.raises(Interrupt):
                interrupted_get()
            assert store.get("b") == 2
    finally:
        signal.signal(signal.SIGALRM, handler)


def test_a_call_on_a_dead_connection_is_sent_again(real: Backend) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store:
        store.put("a", 1)
        for _ in range(5):
            assert client.client_kill_filter(_type="normal", skipme=True) >= 1
            assert store.get("a") == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_its_own_connections(real: Backend) -> None:
    with RedisStore.from_url(str(real.url)) as store:
        store.put_many({f"{number}": number for number in range(100)})
        child = os.fork()
        if child == 0:
            try:
                right = all(store.get(f"{number}") == number for number in range(100))
                os._exit(0 if right else 1)
            finally:
                os._exit(2)
        assert all(store.get(f"{number}") == number for number in range(100))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_closed_store_keeps_no_connection(real: Backend) -> None:
    client: Any = real.client()

    def connected() -> set[str]:
        return {each["id"] for each in client.client_list()}

    others = connected()
    store = RedisStore.from_url(str(real.url))
    store.open()
    of_store = connected() - others
    assert of_store
    store.close()
    until(lambda: not of_store & connected())


def test_a_connection_without_a_plain_socket_goes_through_redis_py(real: Backend) -> None:
    client: Any = real.client()
    assert isinstance(take_over(client.connection_pool.get_connection()), SocketConnection)
    connection = RedisPyConnection(client.connection_pool.get_connection())
    packed = b"*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nWRONG\r\n"
    pong, error = connection.exchange(packed, 2)
    assert pong == b"PONG"
    assert "WRONG" in str(error)


def test_managers_work_through_redis_py(real: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converge_redis.transport.blocking_pool.take_over", RedisPyConnection)
    with RedisStore.from_url(str(real.url)) as store:
        manager = TaskManager(store)
        ids = manager.submit_many(Task() for _ in range(1200))
        assert manager.counts()["pending"] == len(ids)
