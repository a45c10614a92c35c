"""Ids: UUIDs of version 7 that ascend, and calls' own."""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from converge_redis.core import ids as identifiers
from converge_redis.core.ids import call_id, uuid7


def test_a_uuid_of_version_7_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7())
    assert str(made) == str(made).lower()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_they_ascend_and_differ_also_within_a_millisecond() -> None:
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_they_ascend_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    assert before < uuid7() < uuid7()


def test_threads_get_different_ones() -> None:
    with ThreadPoolExecutor(4) as threads:
        ids = [
            one for many in threads.map(lambda _: [uuid7() for _ in range(2000)], range(8)) for one in many
        ]
    assert len(set(ids)) == len(ids)


def test_the_random_part_is_not_the_same_twice() -> None:
    assert len({uuid7()[19:] for _ in range(5000)}) == 5000


def test_calls() -> None:
    ids = {call_id() for _ in range(5000)}
    assert len(ids) == 5000
    assert {len(one) for one in ids} == {11}


def test_a_forked_child_has_ids_of_its_own() -> None:
    uuid7()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "".join(identifiers.call_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 2000).decode()
    os.close(reader)
    os.close(writer)
    ours = {call_id() for _ in range(100)}
    assert not ours & {theirs[start : start + 11] for start in range(0, len(theirs), 11)}
