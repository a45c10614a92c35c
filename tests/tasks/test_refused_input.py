"""Malformed input: the error names the field and the value, and nothing is stored."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from converge_redis import ConvergeError, Task, TaskExistsError, TaskManager
from converge_redis.core.keys import Keys
from tests.support.backends import Backend

CASES: list[tuple[Callable[[TaskManager], Any], str]] = [
    (lambda m: m.submit(Task(id="")), r"task\.id must not be empty"),
    (lambda m: m.submit(Task.model_construct(id=5)), r"task\.id must be a string, not int 5"),
    (lambda m: m.submit(Task(id="x" * 10_240)), r"task\.id takes 10240 bytes"),
    (lambda m: m.submit(Task(id="a\ud800")), r"task\.id is not valid Unicode"),
    (lambda m: m.submit(Task(topic="")), r"task\.topic must not be empty"),
    (lambda m: m.submit(Task(priority=float("nan"))), r"task\.priority must be an integer, not float nan"),  # type: ignore[arg-type]
    (lambda m: m.submit(Task(priority=True)), r"task\.priority must be an integer, not bool True"),
    (lambda m: m.submit(Task(priority=2**53 + 1)), r"task\.priority must be from .* not 9007199254740993"),
    (lambda m: m.submit(Task(constraints={"claim_ttl_sec": -1})), r"'claim_ttl_sec'.* not -1"),
    (lambda m: m.submit(Task(constraints={"claim_ttl_sec": "soon"})), r"'claim_ttl_sec'.* not str 'soon'"),
    (lambda m: m.submit(Task(constraints={"max_retries": 1.5})), r"'max_retries'.* not float 1.5"),
    (lambda m: m.submit(Task(constraints={"deadline": "tomorrow"})), r"'deadline'.* not 'tomorrow'"),
    (
        lambda m: m.submit(Task(constraints={"deadline": "2030-01-01"})),
        r"'deadline'.* time zone.*'2030-01-01'",
    ),
    (lambda m: m.submit(Task(constraints={"odd": object()})), r"task\['constraints'\]\['odd'\] has the type"),
    (lambda m: m.submit(Task(inputs={"a": [object()]})), r"task\['inputs'\]\['a'\]\[0\] has the type"),
    (lambda m: m.submit(Task(inputs={"a": "x" * 2**20})), r"task takes .* bytes, the store's payload_limit"),
    (lambda m: m.submit(Task(state="running")), r"task\.state must be pending at submit"),  # type: ignore[arg-type]
    (lambda m: m.submit("task"), r"task must be a Task, not str 'task'"),  # type: ignore[arg-type]
    (lambda m: m.submit_many([Task(), Task(constraints={"timeout_sec": 0})]), r"'timeout_sec'.* not 0"),
    (lambda m: m.submit(Task(required_capabilities="gpu")), r"required_capabilities must be a list.*'gpu'"),  # type: ignore[arg-type]
    (lambda m: m.claim("", "t"), r"agent_id must not be empty"),
    (lambda m: m.claim("a", None), r"task_id must be a string, not NoneType None"),  # type: ignore[arg-type]
    (lambda m: m.claim_next("a", pool_ids="p"), r"pool_ids must be a list of strings, not 'p'"),
    (lambda m: m.claim_next("a", count=0), r"count must be from 1 to 1000, not 0"),
    (lambda m: m.claim_next("a", wait=float("nan")), r"wait must be .* not nan"),
    (lambda m: m.extend_claim("a", "t", claim_token="x"), r"claim_token must be an integer, not str 'x'"),  # type: ignore[arg-type]
    (lambda m: m.release_expired_claims(float("inf")), r"now_ts must be a time .* not inf"),
    (lambda m: m.list_pending_tasks(limit=0), r"limit must be from 1"),
    (lambda m: m.report("a", "t", object()), r"result has the type builtins\.object"),
]


@pytest.mark.parametrize(("call", "message"), CASES, ids=[message for _, message in CASES])
def test_the_error_names_field_and_value(
    backend: Backend, call: Callable[[TaskManager], Any], message: str
) -> None:
    with backend.store() as store, pytest.raises((ValueError, TypeError), match=message):
        call(TaskManager(store))
    assert {raw.decode() for raw in backend.client().scan_iter()} <= {Keys("test", 1).layout}


@pytest.mark.parametrize(
    "text", ["a:b", "{x}", "a\0b", "a\nb", "é" * 250, "x" * 510, "..", "*", "task:1", "%3A"]
)
def test_odd_names_are_stored_unchanged(backend: Backend, text: str) -> None:
    with backend.store() as store:
        manager = TaskManager(store)
        manager.submit(Task(id=text, pool_id=text, topic=text, required_capabilities=[text, text + "2"][:1]))
        assert manager.claim_next(text, [], [text], [text]) == []
        [task] = manager.claim_next(text, [text], [text], [text])
        assert (task.id, task.pool_id, task.topic, task.assigned_to) == (text, text, text, text)
        assert manager.report(text, text, text)
        assert manager.audit() == []


@pytest.mark.parametrize(
    "changed",
    [
        {"priority": None},
        {"priority": 0.0},
        {"priority": False},
        {"inputs": None},
        {"inputs": []},
        {"constraints": None},
        {"objective": None},
        {"pool_id": ""},
        {"topic": ""},
        {"required_capabilities": None},
        {"required_capabilities": ()},
        {"id": ""},
    ],
)
def test_a_copied_task_is_validated_at_submit(backend: Backend, changed: dict[str, Any]) -> None:
    """Values that `model_copy` does not validate. Only None stands for a default, where there is one."""
    task = Task().model_copy(update=changed)
    with backend.store() as store:
        manager = TaskManager(store)
        if changed == {"required_capabilities": ()}:  # pydantic accepts a tuple as a list
            manager.submit(task)
            return
        with pytest.raises((ConvergeError, ValidationError)):
            manager.submit(task)
        assert manager.counts()["pending"] == 0


@pytest.mark.parametrize("delay", [False, -1, float("nan"), None, "1", float("inf")])
def test_a_malformed_delay_is_refused(backend: Backend, delay: Any) -> None:
    with backend.store() as store:
        manager = TaskManager(store)
        with pytest.raises(ConvergeError, match="delay must be"):
            manager.submit(Task(), delay=delay)


def test_a_state_may_be_a_string(backend: Backend) -> None:
    with backend.store() as store:
        task = Task().model_copy(update={"state": "pending"})
        assert TaskManager(store).submit(task) == task.id


@pytest.mark.parametrize(
    ("inputs", "other"), [({"x": 1}, {"x": True}), ({"x": 1}, {"x": 1.0}), ({"x": [1]}, {"x": (1,)})]
)
def test_values_that_only_python_calls_equal_make_another_task(
    backend: Backend, inputs: Any, other: Any
) -> None:
    with backend.store() as store:
        manager = TaskManager(store)
        manager.submit(Task(id="one", inputs=inputs))
        with pytest.raises(TaskExistsError):
            manager.submit(Task(id="one", inputs=other))


def test_the_order_of_items_makes_the_same_task(backend: Backend) -> None:
    with backend.store() as store:
        manager = TaskManager(store)
        nan = float("nan")
        manager.submit(Task(id="one", inputs={"a": nan, "b": [{"c": 1, "d": (1, {"e": 2, "f": {3, 4}})}]}))
        manager.submit(Task(id="one", inputs={"b": [{"d": (1, {"f": {4, 3}, "e": 2}), "c": 1}], "a": nan}))
        assert manager.counts()["pending"] == 1
