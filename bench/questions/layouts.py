"""The memory of a task's record in other layouts."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgpack

from bench.questions.question import Measure, Measurement, Metric, Question, Settings
from converge_redis.core.ids import uuid7

TASKS = 20000
HEAD = b"p|1795541129401219||||||||||206|\n"
FIELDS = {"state": "pending", "lane": "::", "priority": 0, "submitted": 1795541129401219}
SPEC = msgpack.packb({"inputs": {"number": 1000, "text": "x" * 180}})
SHARD = "{converge:0}:"


def _hash_and_string(pipe: Any, task_id: str) -> None:
    pipe.hset(f"{SHARD}task:{task_id}", mapping=FIELDS)
    pipe.set(f"{SHARD}spec:{task_id}", SPEC)


def _hash(pipe: Any, task_id: str) -> None:
    pipe.hset(f"{SHARD}task:{task_id}", mapping={**FIELDS, "spec": SPEC})


def _two_strings(pipe: Any, task_id: str) -> None:
    pipe.set(f"{SHARD}t:{task_id}", HEAD)
    pipe.set(f"{SHARD}spec:{task_id}", SPEC)


def _packed(pipe: Any, task_id: str) -> None:
    pipe.set(f"{SHARD}t:{task_id}", msgpack.packb({**FIELDS, "spec": SPEC}))


def _one_string(pipe: Any, task_id: str) -> None:
    pipe.set(f"{SHARD}t:{task_id}", HEAD + SPEC)


def _one_string_long_key(pipe: Any, task_id: str) -> None:
    pipe.set(f"{SHARD}task:{task_id}", HEAD + SPEC)


LAYOUTS: dict[str, Callable[[Any, str], None]] = {
    "one string, short key (ours)": _one_string,
    "one string, the key `task:…`": _one_string_long_key,
    "one string of msgpack": _packed,
    "two strings: record and spec": _two_strings,
    "hash and string (before)": _hash_and_string,
    "one hash with the spec in it": _hash,
}


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Store tasks in each layout, with their entry in the lane."""
    count = settings.tasks(TASKS)

    def measure(name: str) -> Measurement:
        with settings.server() as server:
            pipe = server.client.pipeline(transaction=False)
            before = server.used_memory()
            for _ in range(count):
                task_id = uuid7()
                LAYOUTS[name](pipe, task_id)
                pipe.zadd(f"{SHARD}lane:::", {task_id: 0})
            pipe.execute()
            return {"a task": (server.used_memory() - before) / count}

    yield measure


QUESTIONS = (
    Question(
        "layouts",
        "Server memory per pending task, by the layout of its record",
        [Metric("a task", "bytes", higher_is_better=False)],
        lambda _settings: tuple(LAYOUTS),
        measuring,
    ),
)
