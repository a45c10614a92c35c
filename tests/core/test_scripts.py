"""The Lua files: their headers, how they are assembled, and how they are sent."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from lua_script import GLOBALS
from lupa.lua51 import LuaError

from converge_redis import RedisStore, Task, TaskManager
from converge_redis.cache.entries import CacheContext, CacheRequest, find_or_lock
from converge_redis.cache.statistics import CacheCounters
from converge_redis.core.keys import Keys
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.core.scripts import Script, lua_root
from converge_redis.store import open_namespace, values
from converge_redis.tasks import claim, lease, settle, submit
from converge_redis.tasks.record import MAX_INLINE_BYTES
from tests.core.lua_globals import Globals, globals_of
from tests.support.backends import Backend
from tests.support.fleet import first_operation

ROOT = Path(str(lua_root()))
SCRIPTS = sorted(f"{path.parent.parent.name}/{path.stem}" for path in ROOT.glob("*/lua/*.lua"))
PARTS = "".join(path.read_text() for path in ROOT.glob("*/lua/shared/*.lua"))
NAMESPACE = Namespace("test")


def header(name: str) -> str:
    lines = (ROOT / f"{name.replace('/', '/lua/')}.lua").read_text().splitlines()
    return "\n".join(itertools.takewhile(lambda line: line.startswith("--"), lines))


@pytest.mark.parametrize("name", SCRIPTS)
def test_headers_describe_keys_arguments_and_reply(name: str) -> None:
    text = header(name)
    assert re.search(r"^-- KEYS", text, re.M)
    assert re.search(r"^-- Reply  ", text, re.M)
    used = {int(number) for number in re.findall(r"\bARGV\[(\d+)\]", Script(name).text)}
    described = {int(number) for number in re.findall(r"\bARGV\[(\d+)…?\]", text)}
    assert used <= described | {number + 1 for number in described}, "an argument that the header lacks"


def test_lua_and_python_name_the_keys_of_a_shard_alike() -> None:
    assert set(re.findall(r'base \.\. "([^"]+)"', PARTS)) - {"nothing"} == set(Keys("n", 1).shard_names(0))


@pytest.mark.parametrize(
    ("operation", "has_fixed_arguments"),
    [
        (claim.claim(NAMESPACE, "a", "t", enforce="s"), True),
        (lease.start(NAMESPACE, "a", "t"), True),
        (lease.extend_claim(NAMESPACE, "a", "t"), False),
        (lease.release(NAMESPACE, "a", "t"), True),
        (settle.report(NAMESPACE, "a", "t", 1), False),
        (settle.fail_task(NAMESPACE, "t", "r"), True),
        (settle.cancel_task(NAMESPACE, "t"), True),
        (first_operation(submit.requeue_task(NAMESPACE, "t")), True),
        (submit.submit(NAMESPACE, Task()), False),
        (first_operation(values.put(NAMESPACE, "k", 1)), False),
        (first_operation(values.compare_and_set(NAMESPACE, "k", 1, 7)), True),
        (first_operation(values.delete(NAMESPACE, "k")), False),
        (
            find_or_lock(
                CacheContext(NAMESPACE, "c:", 0.0, CacheCounters("c:", None)), CacheRequest("k", "t")
            ),
            False,
        ),
        (open_namespace.open_namespace(NAMESPACE), True),
    ],
    ids=lambda value: value.script.name if isinstance(value, Operation) else "",
)
def test_operations_send_the_keys_and_arguments_of_the_header(
    operation: Operation[Any], has_fixed_arguments: bool
) -> None:
    text = header(operation.script.name)
    arguments = [int(number) for number in re.findall(r"ARGV\[(\d+)\]", text)]
    if has_fixed_arguments:
        assert len(operation.args) == max(arguments, default=0)
    keys = [int(number) for number in re.findall(r"KEYS\[(\d+)\]", text)]
    assert len(operation.keys) == max(keys)


def test_lua_and_python_name_the_keys_of_values_alike() -> None:
    assert set(re.findall(r'values_prefix \.\. "([^"]+)"', PARTS)) == set(Keys("n", 1).value_names())


def test_lua_and_python_name_the_keys_of_delegations_alike() -> None:
    text = (ROOT / "delegation/lua/shared/delegations.lua").read_text()
    assert set(re.findall(r'prefix \.\. "([^"]+)"', text)) == set(Keys("n", 1).delegation_names())


def test_lua_and_python_have_the_same_limit_for_inline_payloads() -> None:
    text = (ROOT / "tasks/lua/shared/record.lua").read_text()
    assert f"local MAX_INLINE_BYTES = {MAX_INLINE_BYTES}\n" in text


def test_an_include_is_spliced_in_once() -> None:
    text = Script("tasks/claim_next").text
    assert "--@include" not in text
    assert text.count("local function load(") == 1
    assert text.index("local function load(") < text.index("local function save(")


def test_a_script_contains_only_the_definitions_that_it_uses() -> None:
    text = Script("tasks/counts").text
    assert "local counts =" in text
    assert "local leases =" not in text
    assert "local function load(" not in text


def test_a_definition_used_only_through_lazy_is_made_at_its_first_call() -> None:
    text = Script("tasks/get_tasks").text
    eager, _, rest = text.partition("function lazy()")
    assert "lazy().expire(id, record)" in eager
    assert "local function expire(" not in eager
    assert rest.index("local function settle(") < rest.index("local function expire(")
    assert "local function expire(" not in rest.partition("return lazy_table")[2]


def test_a_definition_that_is_also_used_directly_is_not_lazy() -> None:
    text = Script("tasks/fail_task").text  # calls settle itself; `lazy` calls it where a deadline has passed
    assert "local function settle(" in text.partition("function lazy()")[0]
    assert "lazy().settle" not in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_without_its_unused_definitions_is_complete(name: str) -> None:
    used = globals_of(Script(name).text)
    assert used.read <= GLOBALS, "a definition that the script needs was left out"
    assert used.assigned == set()


def test_globals_are_found_in_all_functions_of_a_script() -> None:
    text = "local a = {1, nil, true, 'b'}\nfunction c(d) return function() e = a; return d, f.g end end"
    assert globals_of(text) == Globals(read={"f"}, assigned={"c", "e"})
    with pytest.raises(LuaError, match="expected near 'a'"):
        globals_of("return a a")


@pytest.fixture
def commands(real: Backend) -> Callable[[Callable[[], Any]], list[str]]:
    """Return a function that collects the commands of clients, not of scripts, during a call."""
    client: Any = real.client()

    def collect(call: Callable[[], Any]) -> list[str]:
        with client.monitor() as monitor:
            call()
            with redis.Redis.from_url(str(real.url)) as marker:
                marker.echo("the end")
            sent = []
            while "the end" not in (command := monitor.next_command())["command"]:
                if command["client_type"] != "lua":
                    sent.append(command["command"].split()[0])
        return [name for name in sent if name not in {"HELLO", "CLIENT"}]

    return collect


def test_a_call_is_one_evalsha(real: Backend, commands: Any) -> None:
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


def test_an_unknown_script_is_sent_in_full_once(real: Backend, commands: Any) -> None:
    with real.store() as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task())
        real.client().script_flush()
        assert commands(lambda: manager.get_task(task_id)) == ["EVALSHA", "EVAL"]
        assert commands(lambda: manager.get_task(task_id)) == ["EVALSHA"]
        real.client().script_flush()
        assert manager.submit_many([Task() for _ in range(3)])
        assert manager.counts()["pending"] == 4


def test_a_store_leaves_a_given_client_open(backend: Backend) -> None:
    client = backend.client()
    with RedisStore(client, "test") as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task())
        assert manager.claim("a", task_id)
        manager.report("a", task_id, "done")
        done = manager.wait(task_id, 10)
        assert done is not None
        assert done.result == "done"
    assert client.ping()
