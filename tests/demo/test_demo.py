"""The demonstration, end to end with real processes, and the parts that judge it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from converge_redis.demo.analysis import analyse
from converge_redis.demo.comparison import analyse_alone, compare
from converge_redis.demo.folder import Finished
from converge_redis.demo.journal import Journal, Tally
from converge_redis.demo.plan import tasks_of, topics_of
from converge_redis.demo.source import NoSourcesError, find_sources
from converge_redis.demo.summary import Summary
from converge_redis.server.embedded import EmbeddedServer
from converge_redis.transport.clients import blocking_client

TIMEOUT = 120.0
DEMO = [sys.executable, "-m", "converge_redis.cli", "demo"]
ODD_NAMES = ["with space.py", "colon:brace{0}.py", "new\nline.py", "ünïcode.py", "[bold]markup.py"]
BROKEN = {
    "syntax.py": b"def broken(:\n",
    "null.py": b"x = 1\0\n",
    "latin.py": "name = 'é'\n".encode("latin-1"),
    "cookie.py": b"# coding: no-such-encoding\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty files that parse, in three packages, and four that do not."""
    root = tmp_path / "some code"
    for number in range(54):
        package = root / f"package_{number % 3}"
        package.mkdir(parents=True, exist_ok=True)
        kind = "async def" if number % 4 == 0 else "def"
        lines = "x = 1\n" * (20_000 if number == 7 else 4000 if number % 9 == 0 else number)
        code = f"import os, json.decoder\n{kind} function(): ...\nclass Thing: ...\n{lines}"
        (package / f"module_{number}.py").write_text(code)
    for name in ODD_NAMES:
        (root / name).write_text("from os import path\n")
    (root / "empty.py").touch()
    for name, data in BROKEN.items():
        (root / name).write_bytes(data)
    (root / "not python.txt").write_text("no")
    os.mkfifo(root / "pipe.py")
    return root


def run_demo(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "CONVERGE_REDIS_URL": "", **environment},
    )


def figures(output: str) -> dict[str, str]:
    """The summary's lines, by their names."""
    rows = (re.match(r"(\S.{18}) (\S.*)", line) for line in output.splitlines())
    return {row[1].strip(): row[2] for row in rows if row}


def test_every_file_is_accounted_for_once_although_a_worker_is_killed(folder: Path) -> None:
    done = run_demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    shown = figures(done.stdout)
    assert shown["tasks"] == "64, one per file"
    assert shown["results"] == "60 parsed, 4 failed with a reason"
    assert shown["accepted per task"] == "1 for 64 tasks"
    killed = re.fullmatch(r"8, 1 killed with SIGKILL while it held (\d+) claims", shown["processes"])
    recovered = re.fullmatch(
        r"(\d+) tasks, (\d+) of them held by the killed worker", shown["claims recovered"]
    )
    assert killed is not None
    assert recovered is not None
    assert 1 <= int(killed[1]) == int(recovered[2]) <= int(recovered[1])
    assert shown["found"].startswith("54 functions and 54 classes in ")
    assert shown["imported most"].startswith("os 59, json 54")
    for name in BROKEN:
        assert f"- {name}: SyntaxError: " in done.stdout or f"- {name}: ValueError: " in done.stdout
    claims = dict(part.rsplit(" ", 1) for part in shown["claims per worker"].split(", "))
    assert int(claims["victim"]) >= 1
    # The victim was killed before it had written down all of its claims, and its tasks were claimed again.
    assert sum(map(int, claims.values())) > 64


def test_one_file_and_a_server_of_the_users(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text("import sys\n")
    with EmbeddedServer() as server, blocking_client(server.url, {}) as client:
        client.set("theirs", "kept")
        done = run_demo(file, CONVERGE_REDIS_URL=server.url)
        assert done.returncode == 0, done.stdout + done.stderr
        assert figures(done.stdout)["accepted per task"] == "1 for 1 tasks"
        assert client.keys() == [b"theirs"]


@pytest.mark.parametrize(("name", "message"), [("absent", "there is no"), ("", "no Python files")])
def test_nothing_to_parse_is_a_usage_error(tmp_path: Path, name: str, message: str) -> None:
    done = run_demo(tmp_path / name)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    done = run_demo(tmp_path, "--url", f"unix://{tmp_path}/absent")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_no_process_outlives_the_main_one(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, number: signal.Signals, code: int
) -> None:
    temporary = tmp_path_factory.mktemp("t")  # where SIGKILL leaves folders behind, pytest removes them
    with subprocess.Popen(
        [*DEMO, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CONVERGE_REDIS_URL": "", "TMPDIR": str(temporary)},
    ) as demo:
        assert demo.stdout is not None
        while "parsing" not in demo.stdout.readline():  # the fleet is at work
            assert demo.poll() is None
        demo.send_signal(number)
        # The children hold the other ends of both pipes: reading to the end waits for the last of them.
        _, errors = demo.communicate(timeout=TIMEOUT)
    assert demo.returncode == code
    assert "Traceback" not in errors
    assert number == signal.SIGKILL or not list(temporary.iterdir())


def test_a_tampered_and_a_missing_result_are_found(folder: Path) -> None:
    sources = find_sources(folder)
    alone, _ = analyse_alone(sources)
    finished = {task_id: Finished(state, result, "a", 1) for task_id, (state, result) in alone.items()}
    assert compare(sources, finished, alone) == []

    counts = next(source for source in sources if source.name.endswith("module_3.py"))
    finished[counts.id] = Finished("completed", {**alone[counts.id][1], "lines": -1}, "a", 1)
    reason = next(source for source in sources if source.name == "null.py")
    finished[reason.id] = Finished("failed", {"error": "Other"}, "a", 1)
    missing = next(source for source in sources if source.name == "new\nline.py")
    del finished[missing.id]
    found = [line.partition(": ")[::2] for line in compare(sources, finished, alone)]
    assert [name for name, _ in found] == [r"new\nline.py", "null.py", "package_0/module_3.py"]
    assert found[0][1] == "no result"


def test_the_summary_names_what_is_not_as_it_must_be(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(f"import {name[0]}\n")
    sources = find_sources(tmp_path)
    alone, total = analyse_alone(sources)
    first, second, third = (source.id for source in sources)
    journal = Journal(tmp_path, "worker")
    tally = Tally(tmp_path)
    for task_id in (first, second):
        journal.write("accepted", task_id, 1)
    tally.update()
    journal.write("accepted", second, 2)
    tally.update()
    summary = Summary(
        server="none",
        processes=3,
        sources=sources,
        finished={task_id: Finished(*outcome, "worker", 1) for task_id, outcome in alone.items()},
        total=analyse_alone(sources[1:])[1],
        tally=tally,
        held=[third],
        violations=["a violation"],
        seconds=1.0,
        alone=alone,
        alone_total=total,
        alone_seconds=1.0,
    )
    assert summary.problems() == [
        "the collector's totals differ from those of one process",
        "b.py: 2 results were accepted, not 1",
        "c.py: 0 results were accepted, not 1",
        f"{third}, held by the victim, was not recovered by another worker",
        "audit: a violation",
    ]
    assert "0 for 1 tasks, 1 for 1 tasks, 2 for 1 tasks" in "\n".join(summary.lines())


def test_a_file_is_analysed(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("import b.c, d\nfrom . import e\nfrom f.g import h\nasync def i():\n  def j(): '\\d'")
    state, result = analyse(str(file))
    assert state == "completed"
    definitions = {"functions": 2, "classes": 0}
    assert result == {"definitions": definitions, "lines": 5, "imports": ["b", "d", "f"]}
    assert analyse(str(tmp_path / "absent.py")) == (
        "failed",
        {"error": "FileNotFoundError", "message": "No such file or directory", "line": None},
    )
    file.write_bytes(b"x = (\n  1 1)\n")
    assert analyse(str(file))[1]["line"] == 2
    file.write_text("(" * 100_000)
    assert analyse(str(file))[0] == "failed"


def test_file_names_that_are_no_text_become_tasks(tmp_path: Path) -> None:
    package = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(package)
    with open(package + b"/\xfe.py", "wb") as file:
        file.write(b"x = 1\n")
    (source,) = find_sources(tmp_path)
    assert json.loads(json.dumps(source.path)) == source.path
    assert source.shown.isascii()
    (task,) = tasks_of([source], topics_of([source]))
    assert task.inputs == {"path": package + b"/\xfe.py"}
    assert task.topic == "other"


def test_installed_packages_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "a.py").touch()
    with pytest.raises(NoSourcesError):
        find_sources(tmp_path)
