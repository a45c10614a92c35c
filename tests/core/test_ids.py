"""Ids: ascending UUIDs of version 7, and ids of calls."""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from converge_redis.core.ids import call_id, uuid7
from tests.support.backends import until


def time_of(uuid_: str) -> int:
    return uuid.UUID(uuid_).int >> 80


def test_a_uuid_has_version_7_and_the_current_time() -> None:
    latest = time_of(uuid7())
    until(lambda: time.time_ns() // 1_000_000 > latest)  # ids made in quick succession run ahead of the clock
    before = time.time_ns() // 1_000_000
    text = uuid7()
    assert text == text.lower()
    parsed = uuid.UUID(text)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= time_of(text) <= time.time_ns() // 1_000_000 + 1


def test_uuids_of_one_process_ascend_also_within_a_millisecond() -> None:
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_uuids_ascend_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    assert before < uuid7() < uuid7()


def test_threads_get_different_uuids() -> None:
    with ThreadPoolExecutor(4) as threads:
        batches = threads.map(lambda _: [uuid7() for _ in range(2000)], range(8))
    ids = [uuid_ for batch in batches for uuid_ in batch]
    assert len(set(ids)) == len(ids)


def test_the_random_part_of_each_uuid_differs() -> None:
    assert len({uuid7()[19:] for _ in range(5000)}) == 5000


def test_call_ids_have_11_characters_and_differ() -> None:
    ids = {call_id() for _ in range(5000)}
    assert len(ids) == 5000
    assert {len(id_) for id_ in ids} == {11}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    uuid7()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "".join(call_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    of_child = os.read(reader, 2000).decode()
    os.close(reader)
    os.close(writer)
    of_parent = {call_id() for _ in range(100)}
    assert not of_parent & {of_child[start : start + 11] for start in range(0, len(of_child), 11)}
