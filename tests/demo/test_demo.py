"""The demo, end to end with real processes, and the checks of its results."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from converge_redis.demo.analysis import analyse
from converge_redis.demo.comparison import analyse_in_one_process, compare
from converge_redis.demo.folder import FinishedTask
from converge_redis.demo.journal import Journal, JournalCounts
from converge_redis.demo.plan import VICTIM, tasks_of, topics_of
from converge_redis.demo.source import NoSourcesError, find_sources
from converge_redis.demo.summary import Summary
from converge_redis.server.embedded import EmbeddedServer
from converge_redis.transport.clients import blocking_client

DEMO_TIMEOUT = 180.0
"""Seconds for a run of the demo, which usually takes a few."""

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
        timeout=DEMO_TIMEOUT,
        env={**os.environ, "CONVERGE_REDIS_URL": "", **environment},
    )


def figures(output: str) -> dict[str, str]:
    """Return the figures of the summary by name."""
    rows = (re.match(r"(\S.{18}) (\S.*)", line) for line in output.splitlines())
    return {row[1].strip(): row[2] for row in rows if row}


def test_every_file_has_one_accepted_result_although_a_worker_is_killed(folder: Path) -> None:
    done = run_demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    found = figures(done.stdout)
    assert found["tasks"] == "64, one per file"
    assert found["results"] == "60 parsed, 4 failed with a reason"
    assert found["accepted results"] == "1 per task (64 tasks)"
    killed = re.fullmatch(r"8, 1 killed with SIGKILL while it held (\d+) claims", found["processes"])
    recovered = re.fullmatch(
        r"(\d+) tasks, (\d+) of them held by the killed worker", found["claims recovered"]
    )
    assert killed is not None
    assert recovered is not None
    assert 1 <= int(killed[1]) == int(recovered[2]) <= int(recovered[1])
    assert found["found"].startswith("54 functions and 54 classes in ")
    assert found["imported most"].startswith("os 59, json 54")
    for name in BROKEN:
        assert f"- {name}: SyntaxError: " in done.stdout or f"- {name}: ValueError: " in done.stdout
    claims = dict(part.rsplit(" ", 1) for part in found["claims per worker"].split(", "))
    assert int(claims["victim"]) >= 1
    # The tasks of the victim were claimed again.
    assert sum(map(int, claims.values())) > 64


def test_one_file_on_the_users_server_leaves_its_other_keys(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text("import sys\n")
    with EmbeddedServer() as server, blocking_client(server.url, {}) as client:
        client.set("theirs", "kept")
        done = run_demo(file, CONVERGE_REDIS_URL=server.url)
        assert done.returncode == 0, done.stdout + done.stderr
        assert figures(done.stdout)["accepted results"] == "1 per task (1 tasks)"
        assert client.keys() == [b"theirs"]


@pytest.mark.parametrize(("name", "message"), [("absent", "there is no"), ("", "no Python files")])
def test_nothing_to_parse_is_a_usage_error(tmp_path: Path, name: str, message: str) -> None:
    done = run_demo(tmp_path / name)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_server_is_an_error_of_one_line(tmp_path: Path) -> None:
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
    temporary = tmp_path_factory.mktemp("t")  # SIGKILL leaves folders behind; pytest removes them
    with subprocess.Popen(
        [*DEMO, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CONVERGE_REDIS_URL": "", "TMPDIR": str(temporary)},
    ) as demo:
        assert demo.stdout is not None
        while "parsing" not in demo.stdout.readline():  # until the fleet runs
            assert demo.poll() is None
        demo.send_signal(number)
        # The children have both pipes open, so reading to the end waits until all have ended.
        _, errors = demo.communicate(timeout=DEMO_TIMEOUT)
    assert demo.returncode == code
    assert "Traceback" not in errors
    assert number == signal.SIGKILL or not list(temporary.iterdir())


def test_a_changed_and_a_missing_result_are_found(folder: Path) -> None:
    sources = find_sources(folder)
    expected, _ = analyse_in_one_process(sources)
    finished = {task_id: FinishedTask(state, result, "a", 1) for task_id, (state, result) in expected.items()}
    assert compare(sources, finished, expected) == []

    counts = next(source for source in sources if source.name.endswith("module_3.py"))
    finished[counts.id] = FinishedTask("completed", {**expected[counts.id][1], "lines": -1}, "a", 1)
    reason = next(source for source in sources if source.name == "null.py")
    finished[reason.id] = FinishedTask("failed", {"error": "Other"}, "a", 1)
    missing = next(source for source in sources if source.name == "new\nline.py")
    del finished[missing.id]
    found = [line.partition(": ")[::2] for line in compare(sources, finished, expected)]
    assert [name for name, _ in found] == [r"new\nline.py", "null.py", "package_0/module_3.py"]
    assert found[0][1] == "no result"


class Run:
    """A run with three files, whose tasks were all finished by the worker at their first attempt."""

    def __init__(self, folder: Path) -> None:
        for name in ("a.py", "b.py", "c.py"):
            (folder / name).write_text(f"import {name[0]}\n")
        self.sources = find_sources(folder)
        self.expected, self.expected_total = analyse_in_one_process(self.sources)
        self.ids = [source.id for source in self.sources]
        self.finished = {
            task_id: FinishedTask(*outcome, "worker", 1) for task_id, outcome in self.expected.items()
        }
        self.journals = {name: Journal(folder, name) for name in ("worker", VICTIM.name)}
        self.counts = JournalCounts(folder)

    def finish(self, task_id: str, worker: str, attempts: int) -> None:
        """Let the store name a worker as the one that finished a task."""
        state, result = self.expected[task_id]
        self.finished[task_id] = FinishedTask(state, result, worker, attempts)

    def summary(self, held_by_victim: list[str], **changed: Any) -> Summary:
        self.counts.update()
        fields: dict[str, Any] = {
            "server": "none",
            "processes": 3,
            "sources": self.sources,
            "finished": self.finished,
            "total": self.expected_total,
            "journals": self.counts,
            "killed_workers": [VICTIM.name],
            "held_by_victim": held_by_victim,
            "violations": [],
            "seconds": 1.0,
            "expected": self.expected,
            "expected_total": self.expected_total,
            "expected_seconds": 1.0,
        }
        return Summary(**fields | changed)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_the_summary_lists_each_failed_check(run: Run) -> None:
    first, second, third = run.ids
    for task_id in (first, second):
        run.journals["worker"].write("accepted", task_id, 1)
    run.counts.update()
    run.journals["worker"].write("accepted", second, 2)
    total = analyse_in_one_process(run.sources[1:])[1]
    summary = run.summary([third], total=total, violations=["a violation"])
    assert summary.problems() == [
        "the collector's total differs from that of one process",
        "b.py: 2 results were accepted, not 1",
        "c.py: 0 results were accepted, not 1",
        f"{third}, held by the victim, was not finished by another worker",
        "audit: a violation",
    ]
    counts = "0 per task (1 tasks), 1 per task (1 tasks), 2 per task (1 tasks)"
    assert counts in "\n".join(summary.lines())


@pytest.fixture
def killed(run: Run) -> Run:
    """The victim finished the first task; it held the second, which the worker finished, as the third."""
    first, second, third = run.ids
    run.finish(first, VICTIM.name, 1)
    run.finish(second, "worker", 2)
    for task_id in (second, third):
        run.journals["worker"].write("accepted", task_id, 1)
    return run


def test_a_result_that_a_killed_worker_did_not_journal_counts_once(killed: Run) -> None:
    first, second, third = killed.ids
    summary = killed.summary([second])
    assert summary.problems() == []
    assert [summary.accepted_results(task_id) for task_id in (first, second, third)] == [1, 1, 1]
    killed.journals[VICTIM.name].write("accepted", first, 1)
    assert killed.summary([second]).problems() == []


def test_a_result_that_a_running_worker_did_not_journal_is_missing(killed: Run) -> None:
    first, second, _ = killed.ids
    killed.finish(first, "worker", 1)
    assert killed.summary([second]).problems() == ["a.py: 0 results were accepted, not 1"]


@pytest.mark.parametrize("is_journaled", [False, True])
def test_a_second_result_beside_that_of_a_killed_worker_is_found(killed: Run, is_journaled: bool) -> None:
    first, second, _ = killed.ids
    killed.journals["worker"].write("accepted", first, 2)
    if is_journaled:
        killed.journals[VICTIM.name].write("accepted", first, 1)
    assert killed.summary([second]).problems() == ["a.py: 2 results were accepted, not 1"]


def test_a_task_without_a_result_is_found_although_a_worker_was_killed(killed: Run) -> None:
    first, second, _ = killed.ids
    del killed.finished[first]
    assert killed.summary([second]).problems() == [
        "differs: a.py: no result",
        "a.py: 0 results were accepted, not 1",
    ]


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


def test_file_names_that_are_not_text_become_tasks(tmp_path: Path) -> None:
    package = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(package)
    with open(package + b"/\xfe.py", "wb") as file:
        file.write(b"x = 1\n")
    (source,) = find_sources(tmp_path)
    assert json.loads(json.dumps(source.path)) == source.path
    assert source.display_name.isascii()
    (task,) = tasks_of([source], topics_of([source]))
    assert task.inputs == {"path": package + b"/\xfe.py"}
    assert task.topic == "other"


def test_installed_packages_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "a.py").touch()
    with pytest.raises(NoSourcesError):
        find_sources(tmp_path)
