"""What all operations of one store have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from converge_redis.core.keys import Keys
from converge_redis.core.validation import check_id, check_integer, check_seconds
from converge_redis.core.value_format import ValueFormat
from converge_redis.tasks.constraints import DEFAULT_RETENTION_SEC, Rules, rules_of

MAX_SHARDS = 16384
"""A Redis cluster has this many hash slots."""

DEFAULT_PAYLOAD_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Namespace:
    """A fleet's corner of a server, and the defaults of its store.

    Args:
        name: The prefix of all keys; any text of up to 512 bytes.
        shards: Over how many hash slots tasks spread. All stores of a namespace must use the same number.
        payload_limit: The largest payload (a task, a result, a stored value), in bytes of msgpack.
        claim_ttl_sec: The lease of tasks that set none, in seconds; None: their claims do not expire.
        retention_sec: How long finished tasks that do not say are kept, in seconds.
        max_finished: The most finished tasks to keep, whatever their retention; None: no limit.
        types: The pydantic models and dataclasses that stored values may hold; see `ValueTypes`.
        compress_above: The bytes above which a stored value is compressed; None: none is.
    """

    name: str = "converge"
    shards: int = 1
    payload_limit: int = DEFAULT_PAYLOAD_LIMIT
    claim_ttl_sec: float | None = None
    retention_sec: float = DEFAULT_RETENTION_SEC
    max_finished: int | None = None
    types: Iterable[type] | Mapping[str, type] = ()
    compress_above: int | None = None
    values: ValueFormat = field(init=False, repr=False, compare=False)
    most_finished: str | int = field(init=False, repr=False, compare=False)
    unconstrained: Rules = field(init=False, repr=False, compare=False)
    keys: Keys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_id("namespace", self.name)
        check_integer("shards", self.shards, 1, MAX_SHARDS)
        check_integer("payload_limit", self.payload_limit, 1, 512 * 1024 * 1024)
        if self.claim_ttl_sec is not None:
            check_seconds("claim_ttl_sec", self.claim_ttl_sec)
        check_seconds("retention_sec", self.retention_sec, zero=True)
        if self.max_finished is not None:
            check_integer("max_finished", self.max_finished, 0, 2**53)
        # Each shard keeps its part: the scripts of one cannot count those of others.
        most = "" if self.max_finished is None else -(-self.max_finished // self.shards)
        object.__setattr__(self, "most_finished", most)
        unconstrained = rules_of({}, self.claim_ttl_sec, self.retention_sec)
        object.__setattr__(self, "unconstrained", unconstrained)
        values = ValueFormat(self.types, self.payload_limit, self.compress_above)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "keys", Keys(self.name, self.shards))
