"""The command ``converge-redis server``, with real servers and real signals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.processes import CLI, connected, first_line, has_ended, running
from tests.support.backends import TIMEOUT


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
    with running(*CLI, "server", "--data-dir", str(tmp_path), stderr=subprocess.PIPE) as process:
        with connected(first_line(process)) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        assert process.wait(TIMEOUT) == 1
        assert process.stderr is not None
        assert "Error: the server ended unexpectedly" in process.stderr.read()


@pytest.mark.parametrize("option", ["--with-parent", "--outlive-parent"])
def test_the_command_stops_with_its_parent_unless_outlive_parent_is_set(option: str) -> None:
    # The shell ends at the end of its input and leaves the command running.
    with running("/bin/sh", "-c", '"$@" & echo $!; read -r line', "sh", *CLI, "server", option) as shell:
        # The shell prints the process id and the command its URL, in any order.
        command, url = sorted((first_line(shell), first_line(shell)))
        command_pid = int(command)
        with connected(url) as client:
            server_pid = client.info("server")["process_id"]
        shell.kill()
        shell.wait()
        if option == "--outlive-parent":
            assert not has_ended(command_pid, timeout=1.5)  # three times the interval of its checks
            with connected(url) as client:
                assert client.ping()
            os.kill(command_pid, signal.SIGKILL)
        assert has_ended(server_pid)
        assert has_ended(command_pid)


def test_the_command_line_prints_its_version_and_the_missing_extra() -> None:
    version = subprocess.run([*CLI, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.startswith("converge-redis")
    without_click = "import sys; sys.modules['click'] = None; from converge_redis.cli import main; main()"
    failed = subprocess.run(
        [sys.executable, "-c", without_click], check=False, capture_output=True, text=True
    )
    assert failed.returncode == 2
    assert failed.stderr == "converge-redis needs an extra: pip install 'converge-redis[cli]'\n"
