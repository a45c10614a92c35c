"""The audit: is every task in exactly one state, and in exactly the indexes that its state demands?"""

from collections.abc import Iterable, Sequence
from typing import Any

from converge_redis.core.audit import Violation
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Steps, ask, command
from converge_redis.core.scripts import Script

_AUDIT_ENTRIES = Script("tasks/audit_entries")
_AUDIT_COUNTS = Script("tasks/audit_counts")
_AUDIT_MEMBERS = Script("tasks/audit_members")

KEYS_PER_SCAN = 500
ENTRIES_PER_SCRIPT = 200
LANES_PER_SCRIPT = 2000

Entry = tuple[str, str]  # an id, and the sorted set in which it was found, or ""


def audit(space: Namespace) -> Steps[list[Violation]]:
    """Read the whole namespace in bounded steps, and hold every task against its indexes.

    Each task is checked atomically, so the audit may run while the fleet works. It changes nothing.

    Returns:
        The violations; an empty list when all is well.
    """
    found: list[Violation] = []
    for shard in range(space.shards):
        found += yield from _audit_shard(space, shard)
    return list(dict.fromkeys(found))  # a task is met at each of its keys


def _audit_shard(space: Namespace, shard: int) -> Steps[list[Violation]]:
    keys = space.keys.shard(shard)
    found = yield from ask(
        Operation(_AUDIT_COUNTS, keys, (LANES_PER_SCRIPT,), lambda reply: _read_counts(shard, reply))
    )
    cursor = 0
    while True:
        cursor, names = yield from command(
            "SCAN", cursor, "MATCH", space.keys.all_of_shard(shard), "COUNT", KEYS_PER_SCAN
        )
        entries: list[Entry] = []
        for name in (raw.decode() for raw in names):
            task_id = space.keys.task_id_in(shard, name)
            if task_id is not None:
                entries.append((task_id, ""))
            elif space.keys.is_index(shard, name):
                found += yield from _audit_index(keys, name)
        found += yield from _audit_entries(keys, entries)
        if int(cursor) == 0:
            return found


def _audit_index(keys: tuple[str, ...], index: str) -> Steps[list[Violation]]:
    found: list[Violation] = []
    first = 0
    while True:
        members = yield from ask(
            Operation(_AUDIT_MEMBERS, (index,), (first, first + ENTRIES_PER_SCRIPT - 1), _read_members)
        )
        found += yield from _audit_entries(keys, [(member, index) for member in members])
        if len(members) < ENTRIES_PER_SCRIPT:
            return found
        first += ENTRIES_PER_SCRIPT


def _audit_entries(keys: tuple[str, ...], entries: Sequence[Entry]) -> Steps[list[Violation]]:
    found: list[Violation] = []
    for start in range(0, len(entries), ENTRIES_PER_SCRIPT):
        chunk = entries[start : start + ENTRIES_PER_SCRIPT]
        arguments = tuple(part for entry in chunk for part in entry)
        found += yield from ask(Operation(_AUDIT_ENTRIES, keys, arguments, _read_violations))
    return found


def _read_members(reply: Sequence[Any]) -> list[str]:
    return [member.decode() for member in reply[1:]]


def _read_violations(reply: Sequence[Any]) -> list[Violation]:
    return [
        Violation(kind.decode(), task_id.decode(), detail.decode())
        for task_id, kind, detail in _triples(reply)
    ]


def _read_counts(shard: int, reply: Sequence[Any]) -> list[Violation]:
    return [
        Violation("wrong_count", f"shard {shard}", f"{states.decode()}: {counted} counted, {members} indexed")
        for states, counted, members in _triples(reply)
    ]


def _triples(reply: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (reply[start : start + 3] for start in range(1, len(reply), 3))
