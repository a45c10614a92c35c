"""The Lua files: headers that tell the truth, and EVALSHA first."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from converge_redis import RedisStore, Task, TaskManager
from converge_redis.cache.entries import CacheContext, CacheRequest, find_or_lock
from converge_redis.cache.statistics import CacheCounters
from converge_redis.core.keys import Keys
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.core.scripts import Script, lua_root
from converge_redis.store import open_namespace as opening
from converge_redis.store import values
from converge_redis.tasks import claim as claiming
from converge_redis.tasks import lease as holding
from converge_redis.tasks import settle as settling
from converge_redis.tasks import submit as submitting
from converge_redis.tasks.record import MAX_INLINE_BYTES
from tests.support.backends import Backend
from tests.support.fleet import first_operation

ROOT = Path(str(lua_root()))
SCRIPTS = sorted(f"{path.parent.parent.name}/{path.stem}" for path in ROOT.glob("*/lua/*.lua"))
PARTS = "".join(path.read_text() for path in ROOT.glob("*/lua/shared/*.lua"))
SPACE = Namespace("test")


def header(name: str) -> str:
    lines = (ROOT / f"{name.replace('/', '/lua/')}.lua").read_text().splitlines()
    return "\n".join(itertools.takewhile(lambda line: line.startswith("--"), lines))


@pytest.mark.parametrize("name", SCRIPTS)
def test_headers_tell_keys_and_reply(name: str) -> None:
    text = header(name)
    assert re.search(r"^-- KEYS", text, re.M)
    assert re.search(r"^-- Reply  ", text, re.M)
    used = {int(number) for number in re.findall(r"\bARGV\[(\d+)\]", Script(name).text)}
    told = {int(number) for number in re.findall(r"\bARGV\[(\d+)…?\]", text)}
    assert used <= told | {number + 1 for number in told}, "an argument that the header does not tell of"


def test_the_shard_has_the_names_of_keys_py() -> None:
    assert set(re.findall(r'base \.\. "([^"]+)"', PARTS)) - {"nothing"} == set(Keys("n", 1).shard_names(0))


@pytest.mark.parametrize(
    ("operation", "fixed"),
    [
        (claiming.claim(SPACE, "a", "t", enforce="s"), True),
        (holding.start(SPACE, "a", "t"), True),
        (holding.extend_claim(SPACE, "a", "t"), False),
        (holding.release(SPACE, "a", "t"), True),
        (settling.report(SPACE, "a", "t", 1), False),
        (settling.fail_task(SPACE, "t", "r"), True),
        (settling.cancel_task(SPACE, "t"), True),
        (first_operation(submitting.requeue_task(SPACE, "t")), True),
        (submitting.submit(SPACE, Task()), False),
        (first_operation(values.put(SPACE, "k", 1)), False),
        (first_operation(values.compare_and_set(SPACE, "k", 1, 7)), True),
        (first_operation(values.delete(SPACE, "k")), False),
        (
            find_or_lock(CacheContext(SPACE, "c:", 0.0, CacheCounters("c:", None)), CacheRequest("k", "t")),
            False,
        ),
        (opening.open_namespace(SPACE), True),
    ],
    ids=lambda value: value.script.name if isinstance(value, Operation) else "",
)
def test_builders_send_what_headers_tell(operation: Operation[Any], fixed: bool) -> None:
    text = header(operation.script.name)
    arguments = [int(number) for number in re.findall(r"ARGV\[(\d+)\]", text)]
    if fixed:
        assert len(operation.args) == max(arguments, default=0)
    keys = [int(number) for number in re.findall(r"KEYS\[(\d+)\]", text)]
    assert len(operation.keys) == max(keys)


def test_values_have_the_names_of_keys_py() -> None:
    assert set(re.findall(r'values_prefix \.\. "([^"]+)"', PARTS)) == set(Keys("n", 1).value_names())


def test_delegations_have_the_names_of_keys_py() -> None:
    text = (ROOT / "delegation/lua/shared/delegations.lua").read_text()
    assert set(re.findall(r'prefix \.\. "([^"]+)"', text)) == set(Keys("n", 1).delegation_names())


def test_what_is_inside_a_record_is_told_alike() -> None:
    text = (ROOT / "tasks/lua/shared/record.lua").read_text()
    assert f"local MAX_INLINE_BYTES = {MAX_INLINE_BYTES}\n" in text


def test_includes_are_spliced_once() -> None:
    text = Script("tasks/claim_next").text
    assert "--@include" not in text
    assert text.count("local function load(") == 1
    assert text.index("local function load(") < text.index("local function save(")


def test_a_script_has_only_what_it_uses() -> None:
    text = Script("tasks/counts").text
    assert "local counts =" in text
    assert "local leases =" not in text
    assert "local function load(" not in text


def test_what_is_used_rarely_is_made_when_it_is_called() -> None:
    text = Script("tasks/get_tasks").text
    usual, _, rest = text.partition("function lazy()")
    assert "lazy().expire(id, record)" in usual
    assert "local function expire(" not in usual
    assert rest.index("local function settle(") < rest.index("local function expire(")
    assert "local function expire(" not in rest.partition("return lazy_table")[2]


def test_what_is_used_both_ways_is_made_at_once() -> None:
    text = Script("tasks/fail_task").text  # settles by itself, and rarely for a deadline
    assert "local function settle(" in text.partition("function lazy()")[0]
    assert "lazy().settle" not in text


@pytest.fixture
def commands(real: Backend) -> Callable[[Callable[[], Any]], list[str]]:
    """Collect what clients (not scripts) send while something runs."""
    client: Any = real.client()

    def collect(act: Callable[[], Any]) -> list[str]:
        with client.monitor() as monitor:
            act()
            with redis.Redis.from_url(str(real.url)) as marker:
                marker.echo("the end")
            sent = []
            while "the end" not in (command := monitor.next_command())["command"]:
                if command["client_type"] != "lua":
                    sent.append(command["command"].split()[0])
        return [name for name in sent if name not in {"HELLO", "CLIENT"}]

    return collect


def test_each_verb_is_one_evalsha(real: Backend, commands: Any) -> None:
    with real.store() as store:
        manager = TaskManager(store)
        ids = [manager.submit(Task()) for _ in range(3)]
        manager.claim("a", ids[0])
        manager.report("a", ids[0], 1)
        manager.claim_next("a")
        sent = commands(lambda: manager.claim("a", ids[2]))
        assert sent == ["EVALSHA"]
        assert commands(lambda: manager.report("a", ids[2], {"x": 1})) == ["EVALSHA"]
        manager.submit(Task())
        assert commands(lambda: manager.claim_next("a", ["p"], ["c"], ["t"])) == ["EVALSHA"]


def test_a_script_that_the_server_forgot_is_sent_in_full_once(real: Backend, commands: Any) -> None:
    with real.store() as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task())
        real.client().script_flush()
        assert commands(lambda: manager.get_task(task_id)) == ["EVALSHA", "EVAL"]
        assert commands(lambda: manager.get_task(task_id)) == ["EVALSHA"]
        real.client().script_flush()
        assert manager.submit_many([Task() for _ in range(3)])
        assert manager.counts()["pending"] == 4


def test_from_an_existing_client(backend: Backend) -> None:
    client = backend.client()
    with RedisStore(client, "test") as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task())
        assert manager.claim("a", task_id)
        manager.report("a", task_id, "done")
        done = manager.wait(task_id, 10)
        assert done is not None
        assert done.result == "done"
    assert client.ping()  # the store leaves the client to its owner
