"""The audit of tasks: each must be in exactly one state, and in exactly the indexes of that state."""

from collections.abc import Iterable, Sequence
from typing import Any

from converge_redis.core.audit import Violation
from converge_redis.core.batching import batches
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Procedure, command, send
from converge_redis.core.scripts import Script

_AUDIT_ENTRIES = Script("tasks/audit_entries")
_AUDIT_COUNTS = Script("tasks/audit_counts")
_AUDIT_MEMBERS = Script("tasks/audit_members")

KEYS_PER_SCAN = 500
ENTRIES_PER_SCRIPT = 200
LANES_PER_SCRIPT = 2000

Entry = tuple[str, str]  # an id, and the sorted set in which it was found, or ""


def audit(namespace: Namespace) -> Procedure[list[Violation]]:
    """Read the whole namespace in bounded steps, and check every task against its indexes.

    Each task is checked atomically, so the audit may run while the fleet works. It changes nothing.

    Returns:
        The violations; an empty list when there are none.
    """
    found: list[Violation] = []
    for shard in range(namespace.shards):
        found += yield from _audit_shard(namespace, shard)
    return list(dict.fromkeys(found))  # a task is checked at each of its keys


def _audit_shard(namespace: Namespace, shard: int) -> Procedure[list[Violation]]:
    keys = namespace.keys.shard(shard)
    found = yield from send(
        Operation(_AUDIT_COUNTS, keys, (LANES_PER_SCRIPT,), lambda reply: _decode_counts(shard, reply))
    )
    cursor = 0
    while True:
        pattern = namespace.keys.all_of_shard(shard)
        cursor, names = yield from send(command("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_PER_SCAN))
        entries: list[Entry] = []
        for name in (raw.decode() for raw in names):
            task_id = namespace.keys.task_id_in(shard, name)
            if task_id is not None:
                entries.append((task_id, ""))
            elif namespace.keys.is_index(shard, name):
                found += yield from _audit_index(keys, name)
        found += yield from _audit_entries(keys, entries)
        if int(cursor) == 0:
            return found


def _audit_index(keys: tuple[str, ...], index: str) -> Procedure[list[Violation]]:
    found: list[Violation] = []
    first = 0
    while True:
        members = yield from send(
            Operation(_AUDIT_MEMBERS, (index,), (first, first + ENTRIES_PER_SCRIPT - 1), _decode_members)
        )
        found += yield from _audit_entries(keys, [(member, index) for member in members])
        if len(members) < ENTRIES_PER_SCRIPT:
            return found
        first += ENTRIES_PER_SCRIPT


def _audit_entries(keys: tuple[str, ...], entries: Sequence[Entry]) -> Procedure[list[Violation]]:
    found: list[Violation] = []
    for batch in batches(entries, ENTRIES_PER_SCRIPT):
        arguments = tuple(part for entry in batch for part in entry)
        found += yield from send(Operation(_AUDIT_ENTRIES, keys, arguments, _decode_violations))
    return found


def _decode_members(reply: Sequence[Any]) -> list[str]:
    return [member.decode() for member in reply[1:]]


def _decode_violations(reply: Sequence[Any]) -> list[Violation]:
    return [
        Violation(kind.decode(), task_id.decode(), detail.decode())
        for task_id, kind, detail in _triples(reply)
    ]


def _decode_counts(shard: int, reply: Sequence[Any]) -> list[Violation]:
    return [
        Violation("wrong_count", f"shard {shard}", f"{states.decode()}: {counted} counted, {members} indexed")
        for states, counted, members in _triples(reply)
    ]


def _triples(reply: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (reply[start : start + 3] for start in range(1, len(reply), 3))
