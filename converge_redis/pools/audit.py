"""The audit of pools: members and memberships must agree, and nothing may be left of deleted pools."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from converge_redis.core.audit import Violation
from converge_redis.core.batching import batches
from converge_redis.core.operation import Operation, Procedure, command, send, send_all
from converge_redis.core.scripts import Script
from converge_redis.pools.admission import PoolContext
from converge_redis.pools.operations import list_pools

_AUDIT = Script("pools/audit")

KEYS_PER_SCAN = 200
ENTRIES_PER_SCRIPT = 500

Subject = tuple[str, str]  # the kind of a key, and the id that it belongs to


def audit(pools: PoolContext) -> Procedure[list[Violation]]:
    """Read all pools in bounded steps, and check members, memberships and limits against each other.

    Each entry is checked atomically, so the audit may run while agents join and leave. It changes nothing.
    Members of a deleted pool that are still to be removed are reported too.

    Returns:
        The violations; an empty list when there are none.
    """
    keys = pools.namespace.keys
    found: list[Violation] = []
    listed = yield from list_pools(pools)
    marked = yield from send(command("HKEYS", keys.deleted_pools()))
    subjects = [("pool", pool_id) for pool_id in listed]
    subjects += [("deleted", pool_id.decode()) for pool_id in marked]
    for batch in batches(subjects, KEYS_PER_SCAN):
        found += yield from _audit(pools, batch)
    cursor = 0
    while True:
        pattern = keys.all_of_pools()
        cursor, names = yield from send(command("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_PER_SCAN))
        parts = (keys.pool_part(name.decode()) for name in names)
        found += yield from _audit(pools, [part for part in parts if part is not None])
        if int(cursor) == 0:
            return list(dict.fromkeys(found))  # a pool may be checked twice


def _audit(pools: PoolContext, subjects: Sequence[Subject]) -> Procedure[list[Violation]]:
    """Audit keys together; those that are long, page by page."""
    found: list[Violation] = []
    places = [(subject, b"-inf") for subject in subjects]
    while places:
        pages = yield from send_all([_page(pools, subject, after) for subject, after in places])
        found += [violation for violations, _ in pages for violation in violations]
        places = [
            (subject, after)
            for (subject, _), (_, after) in zip(places, pages, strict=True)
            if after is not None
        ]
    return found


def _page(
    pools: PoolContext, subject: Subject, after: bytes
) -> Operation[tuple[list[Violation], bytes | None]]:
    arguments = (*subject, after, ENTRIES_PER_SCRIPT)
    return Operation(_AUDIT, pools.namespace.keys.pools, arguments, partial(_decode_page, subject[1]))


def _decode_page(subject_id: str, reply: Sequence[Any]) -> tuple[list[Violation], bytes | None]:
    """Return the violations of a page, and where the next page begins; None: there is none."""
    violations = [
        Violation(reply[i].decode(), subject_id, reply[i + 1].decode()) for i in range(2, len(reply), 2)
    ]
    return violations, reply[1] if reply[0] == b"MORE" else None
