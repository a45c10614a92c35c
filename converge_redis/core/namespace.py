"""The namespace: a fleet's part of a server, and the settings that all operations of one store share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from converge_redis.core.keys import Keys
from converge_redis.core.validation import validate_id, validate_integer, validate_seconds
from converge_redis.core.value_format import ValueFormat

MAX_SHARDS = 16384
"""A Redis cluster has this many hash slots."""

DEFAULT_PAYLOAD_LIMIT = 1024 * 1024

DEFAULT_RETENTION_SEC = 86400.0
"""How long a finished task is kept; the same number is in ``tasks/lua/shared/transitions.lua``."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """The prefix of a fleet's keys, and the settings of a store.

    Args:
        name: The prefix of all keys; any text of up to 512 bytes.
        shards: The number of hash slots over which tasks spread; the same in all stores of a namespace.
        payload_limit: The largest payload (a task, a result, a stored value), in bytes of msgpack.
        claim_ttl_sec: The lease of tasks that set none, in seconds; None: their claims do not expire.
        retention_sec: How long finished tasks that do not set it are kept, in seconds.
        max_finished: The most finished tasks to keep, whatever their retention; None: no limit.
        types: The pydantic models and dataclasses that stored values may hold; see `RegisteredTypes`.
        compress_above: The bytes above which a stored value is compressed; None: none is.

    Attributes:
        max_finished_per_shard: The part of `max_finished` that each shard keeps: a script of one shard cannot
            count the tasks of another. ``""``: no limit.
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
    max_finished_per_shard: str | int = field(init=False, repr=False, compare=False)
    keys: Keys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        validate_id("namespace", self.name)
        validate_integer("shards", self.shards, 1, MAX_SHARDS)
        validate_integer("payload_limit", self.payload_limit, 1, 512 * 1024 * 1024)
        if self.claim_ttl_sec is not None:
            validate_seconds("claim_ttl_sec", self.claim_ttl_sec)
        validate_seconds("retention_sec", self.retention_sec, zero=True)
        if self.max_finished is not None:
            validate_integer("max_finished", self.max_finished, 0, 2**53)
        per_shard = "" if self.max_finished is None else -(-self.max_finished // self.shards)
        object.__setattr__(self, "max_finished_per_shard", per_shard)
        values = ValueFormat(self.types, self.payload_limit, self.compress_above)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "keys", Keys(self.name, self.shards))
