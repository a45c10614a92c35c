"""The command ``converge-redis worker MODULE:HANDLER``."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from converge_redis import RedisStore, Task, TaskManager
from tests.support.backends import TIMEOUT, Backend, until

HANDLERS = """
import asyncio, pathlib, time

def shout(task):
    return task.inputs["text"].upper()

async def whisper(task):
    return task.inputs["text"].lower()

def hang(task):
    pathlib.Path("begun").touch()
    time.sleep(600)

class Box:
    def method(self, task):
        return "of the box"

box = Box()
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    return tmp_path


@pytest.fixture
def manager(real: Backend) -> Iterator[TaskManager]:
    with RedisStore.from_url(str(real.url), "command") as store:
        yield TaskManager(store)


def start(folder: Path, url: str | None, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "converge_redis.cli", "worker", "--namespace", "command", *arguments]
    environment = {**os.environ, "CONVERGE_REDIS_URL": url or ""}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("handler", "result"), [("shout", "TEXT"), ("whisper", "text"), ("box.method", "of the box")]
)
@pytest.mark.parametrize("end_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_worker(
    folder: Path, real: Backend, manager: TaskManager, handler: str, result: str, end_signal: signal.Signals
) -> None:
    task_id = manager.submit(Task(inputs={"text": "Text"}))
    process = start(folder, real.url, f"handlers:{handler}", "--agent-id", "me", "--concurrency", "2")
    try:
        task = manager.wait(task_id, timeout=TIMEOUT)
        process.send_signal(end_signal)
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert task is not None
    assert (task.result, task.assigned_to) == (result, "me")
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_a_task_that_does_not_finish_is_released(folder: Path, real: Backend, manager: TaskManager) -> None:
    task_id = manager.submit(Task())
    process = start(folder, real.url, "handlers:hang", "--grace", "0.1")
    try:
        until((folder / "begun").exists)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    task = manager.get_task(task_id)
    assert task is not None
    assert (task.state, task.attempts) == ("pending", 0)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("handlers", "MODULE:HANDLER"),
        ("handlers:nothing", "nothing"),
        ("no_such_module:handler", "no_such_module"),
        ("handlers:number", "not a function"),
    ],
)
def test_the_error_names_a_handler_that_cannot_be_loaded(
    folder: Path, real: Backend, handler: str, message: str
) -> None:
    process = start(folder, real.url, handler)
    try:
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 2
    assert message in errors
    assert "Traceback" not in errors


def test_a_url_is_required(folder: Path) -> None:
    process = start(folder, None, "handlers:shout")
    try:
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 2
    assert "--url" in errors
