"""Blocking calls on sockets of their own: a reply goes to its call, or the connection goes."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from converge_redis import EmbeddedServer, RedisStore, StoreUnavailableError, Task, TaskManager
from converge_redis.transport import blocking_connection
from converge_redis.transport.blocking_connection import RedisPyConnection, SocketConnection, take_over
from tests.support.backends import TIMEOUT, Backend


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(port=0) as server:
        yield server


def test_threads_get_their_own_replies(real: Backend) -> None:
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(16) as threads:
        store.put_many({f"{number}": number for number in range(50)})

        def read(_: int) -> list[Any]:
            return [store.get(f"{number}") for number in range(50)]

        assert all(found == list(range(50)) for found in threads.map(read, range(64)))


def test_large_requests_and_replies(real: Backend) -> None:
    with RedisStore.from_url(str(real.url), payload_limit=64 * 2**20) as store:
        values = {f"{number}": bytes([number]) * 3_000_000 for number in range(5)}
        store.put_many(values)
        assert store.get_many(list(values)) == values


def test_a_call_in_time(server: EmbeddedServer) -> None:
    """The system keeps the time-out; what was sent is not answered to the next call."""
    with RedisStore.from_url(server.url, socket_timeout=0.2) as store:
        store.put("a", 1)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="in time"):
                store.get("a")
            assert time.monotonic() - began >= 0.2
        finally:
            os.kill(server.pid, signal.SIGCONT)
        store.put("b", 2)
        assert [store.get(name) for name in ("a", "b", "a")] == [1, 2, 1]


class Reads:
    """Stands for a socket's `recv`: how many calls looked, and how many slept."""

    def __init__(self, recv: Callable[..., bytes]) -> None:
        self._recv = recv
        self.looked = self.slept = 0

    def __call__(self, size: int, flags: int = 0) -> bytes:
        if flags:
            self.looked += 1
        else:
            self.slept += 1
        return self._recv(size, flags)


@pytest.fixture
def line(server: EmbeddedServer) -> Iterator[SocketConnection]:
    with redis.Redis.from_url(server.url) as client:
        connection = client.connection_pool.get_connection()
        line = take_over(connection)
        assert isinstance(line, SocketConnection)
        yield line
        connection.disconnect()


def ping(line: SocketConnection) -> None:
    assert line.exchange(b"PING\r\n", 1) == [b"PONG"]


def test_it_looks_for_a_reply_before_it_sleeps(
    line: SocketConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking_connection, "SPIN_SECONDS", TIMEOUT)
    reads = line._read = Reads(line._read)
    for _ in range(50):
        ping(line)
    assert reads.looked >= 50
    assert reads.slept == 0


def test_where_replies_take_long_it_sleeps_at_once(
    server: EmbeddedServer, line: SocketConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking_connection, "SPIN_SECONDS", 0.0)
    reads = line._read = Reads(line._read)
    os.kill(server.pid, signal.SIGSTOP)
    threading.Timer(0.1, os.kill, (server.pid, signal.SIGCONT)).start()
    ping(line)
    assert reads.slept == 1
    looked = reads.looked
    for _ in range(blocking_connection.CALLS_WITHOUT_SPIN):
        ping(line)
    assert (reads.slept, reads.looked) == (blocking_connection.CALLS_WITHOUT_SPIN + 1, looked)
    ping(line)
    assert reads.looked > looked


def test_on_a_single_cpu_it_sleeps_at_once(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    with redis.Redis.from_url(server.url) as client:
        line = take_over(client.connection_pool.get_connection())
        assert isinstance(line, SocketConnection)
        reads = line._read = Reads(line._read)
        for _ in range(blocking_connection.CALLS_WITHOUT_SPIN + 2):
            ping(line)
        assert reads.looked == 0


@pytest.mark.parametrize("timeout", [None, 5])
def test_other_limits(server: EmbeddedServer, timeout: float | None) -> None:
    with RedisStore.from_url(server.url, socket_timeout=timeout) as store:
        store.put("a", 1)
        os.kill(server.pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (server.pid, signal.SIGCONT)).start()
        assert store.get("a") == 1


def test_an_interrupted_call_leaves_no_reply_to_the_next(server: EmbeddedServer) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with RedisStore.from_url(server.url) as store:
            store.put_many({"a": 1, "b": 2})
            os.kill(server.pid, signal.SIGSTOP)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(Interrupt):
                store.get("a")
            os.kill(server.pid, signal.SIGCONT)
            assert store.get("b") == 2
    finally:
        signal.signal(signal.SIGALRM, before)
        os.kill(server.pid, signal.SIGCONT)


def test_a_connection_that_died_is_noticed_by_the_call(real: Backend) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store:
        store.put("a", 1)
        for _ in range(5):
            client.client_kill_filter(_type="normal", skipme=True)
            assert store.get("a") == 1


def test_a_forked_child_makes_connections_of_its_own(real: Backend) -> None:
    with RedisStore.from_url(str(real.url)) as store:
        store.put_many({f"{number}": number for number in range(100)})
        child = os.fork()
        if child == 0:
            right = all(store.get(f"{number}") == number for number in range(100))
            os._exit(0 if right else 1)
        assert all(store.get(f"{number}") == number for number in range(100))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_store_that_is_closed_keeps_no_connection(real: Backend) -> None:
    client: Any = real.client()
    store = RedisStore.from_url(str(real.url))
    store.open()
    before = len(client.client_list())
    store.close()
    ends = time.monotonic() + TIMEOUT
    while len(client.client_list()) >= before:
        assert time.monotonic() < ends


def test_what_has_no_plain_socket_goes_through_redis_py(real: Backend) -> None:
    client: Any = real.client()
    connection = client.connection_pool.get_connection()
    assert isinstance(take_over(connection), SocketConnection)
    line = RedisPyConnection(client.connection_pool.get_connection())
    packed = b"*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nWRONG\r\n"
    pong, error = line.exchange(packed, 2)
    assert pong == b"PONG"
    assert "WRONG" in str(error)


def test_both_ways_are_used_by_managers(real: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converge_redis.transport.blocking_pool.take_over", RedisPyConnection)
    with RedisStore.from_url(str(real.url)) as store:
        manager = TaskManager(store)
        ids = manager.submit_many(Task() for _ in range(1200))
        assert manager.counts()["pending"] == len(ids)
