"""The audit of pools: do members and memberships agree, and is nothing left of deleted pools?"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from converge_redis.core.audit import Violation
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Steps, ask_all, command
from converge_redis.core.scripts import Script
from converge_redis.pools.operations import list_pools

_AUDIT = Script("pools/audit")

KEYS_PER_SCAN = 200
ENTRIES_PER_SCRIPT = 500

Subject = tuple[str, str]  # what a key holds, and the id that it belongs to


def audit(space: Namespace) -> Steps[list[Violation]]:
    """Read all pools in bounded steps, and hold members, memberships and limits against each other.

    Each entry is checked atomically, so the audit may run while agents join and leave. It changes nothing.
    Members of a deleted pool that have not been cleared away yet are reported too.

    Returns:
        The violations; an empty list when all is well.
    """
    keys = space.keys
    found: list[Violation] = []
    listed = yield from list_pools(space)
    marked = yield from command("HKEYS", keys.deleted_pools())
    subjects = [("pool", pool_id) for pool_id in listed]
    subjects += [("deleted", pool_id.decode()) for pool_id in marked]
    for start in range(0, len(subjects), KEYS_PER_SCAN):
        found += yield from _audit(space, subjects[start : start + KEYS_PER_SCAN])
    cursor = 0
    while True:
        cursor, names = yield from command(
            "SCAN", cursor, "MATCH", keys.all_of_pools(), "COUNT", KEYS_PER_SCAN
        )
        parts = (keys.pool_part(name.decode()) for name in names)
        found += yield from _audit(space, [part for part in parts if part is not None])
        if int(cursor) == 0:
            return list(dict.fromkeys(found))  # a pool may be reached twice


def _audit(space: Namespace, subjects: Sequence[Subject]) -> Steps[list[Violation]]:
    """Audit keys together, page after page of those that are long."""
    found: list[Violation] = []
    places = [(subject, b"-inf") for subject in subjects]
    while places:
        pages = yield from ask_all([_page(space, subject, after) for subject, after in places])
        found += [violation for violations, _ in pages for violation in violations]
        places = [
            (subject, after)
            for (subject, _), (_, after) in zip(places, pages, strict=True)
            if after is not None
        ]
    return found


def _page(
    space: Namespace, subject: Subject, after: bytes
) -> Operation[tuple[list[Violation], bytes | None]]:
    arguments = (*subject, after, ENTRIES_PER_SCRIPT)
    return Operation(_AUDIT, space.keys.pools, arguments, partial(_read_page, subject[1]))


def _read_page(subject_id: str, reply: Sequence[Any]) -> tuple[list[Violation], bytes | None]:
    """Return the violations of a page, and the place where the next one begins; None: there is none."""
    violations = [
        Violation(reply[i].decode(), subject_id, reply[i + 1].decode()) for i in range(2, len(reply), 2)
    ]
    return violations, reply[1] if reply[0] == b"MORE" else None
