"""Task records: the head of a record holds a task's state; its specification and result follow.

``tasks/lua/shared/record.lua`` describes the format; scripts change records, this module reads them and makes
the head of a new one.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from converge_redis.tasks.model import TaskState

MAX_INLINE_BYTES = 1024
"""The most bytes of a specification inside the record; the same as in ``tasks/lua/shared/record.lua``."""

_STATES = {
    "p": TaskState.PENDING,
    "a": TaskState.ASSIGNED,
    "r": TaskState.RUNNING,
    "c": TaskState.COMPLETED,
    "f": TaskState.FAILED,
    "x": TaskState.CANCELLED,
}
_FIXED_FIELDS = 13


def encode_new_head(lane: str, priority: int, ttl: int | str, spec_size: int, options: str) -> str:
    """Return the head of a new record, from after the time of submission, which the script adds.

    Args:
        lane: The lane; ``""``: the open one.
        priority: The priority.
        ttl: The lease in microseconds; ``""``: none.
        spec_size: The bytes of the encoded specification.
        options: The other rules; see `Rules`.
    """
    size = spec_size if spec_size <= MAX_INLINE_BYTES else ""
    return f"|{lane}|{priority or ''}|{ttl}||||||||{size}|{options}"


class RecordHead(NamedTuple):
    """The head of a record; times are microseconds, as text, and fields that are not set are ``""``.

    Attributes:
        letter: The letter of the state.
        submitted: The time of submission.
        lane: The lane; ``""``: the open one.
        priority: The priority; ``""``: 0.
        ttl: The lease.
        agent: The agent that holds the task, or finished it; escaped.
        stored_token: The claim token; relative to `submitted` once the task is finished.
        lease: When the lease ends.
        listener: The listener to notify when another process ends the claim.
        attempts: The number of claims so far.
        calls: The ids of the last calls that changed the record.
        stored_finished: When the task was finished, relative to `submitted`.
        spec_size: The bytes of the specification inside the record; ``""``: it has a key of its own.
        options: The fields that few records have, as ``name=value``; escaped.
    """

    letter: str
    submitted: str
    lane: str
    priority: str
    ttl: str
    agent: str
    stored_token: str
    lease: str
    listener: str
    attempts: str
    calls: str
    stored_finished: str
    spec_size: str
    options: tuple[str, ...]

    @classmethod
    def decode(cls, text: str) -> "RecordHead":
        """Decode the head of a record."""
        parts = text.split("|")
        return cls._make([*parts[:_FIXED_FIELDS], tuple(parts[_FIXED_FIELDS:-1])])

    @property
    def state(self) -> TaskState:
        """The state."""
        return _STATES.get(self.letter) or TaskState(self.letter)

    @property
    def holder(self) -> str | None:
        """The agent that holds the task, or finished it."""
        return (unquote(self.agent) if "%" in self.agent else self.agent) or None

    @property
    def token(self) -> int | None:
        """The claim token."""
        if not self.stored_token:
            return None
        return int(self.stored_token) + (int(self.submitted) if self.stored_finished else 0)

    @property
    def finished(self) -> int | None:
        """When the task was finished, in microseconds."""
        return int(self.submitted) + int(self.stored_finished) if self.stored_finished else None

    def option(self, name: str) -> str | None:
        """Return one of the fields that few records have."""
        prefix = f"{name}="
        for part in self.options:
            if part.startswith(prefix):
                return unquote(part.removeprefix(prefix))
        return None


class Record(NamedTuple):
    """A record: its head, what was submitted and what was reported, the last two as msgpack."""

    head: RecordHead
    spec: bytes | None
    result: bytes | None


def decode_record(row: Sequence[Any]) -> Record:
    """Decode the record in a reply's row (``tasks/lua/shared/reply.lua``)."""
    text, _, body = row[1].partition(b"\n")
    head = RecordHead.decode(text.decode())
    size = int(head.spec_size or 0)
    spec, result = body[:size] or None, body[size:] or None
    if len(row) > 2:  # what is too large for the record
        spec, result = spec or row[2], result or row[3]
    return Record(head, spec, result)
