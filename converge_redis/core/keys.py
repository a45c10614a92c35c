"""Key names: every key of the package, and who owns it.

This is the one place where core knows the features: key names of all of them are one table, so that no two
can collide and an operator finds each one explained. ``core/lua/shared/shard_keys.lua`` derives the same
names in scripts.

All keys of a shard carry its hash tag ``{<namespace>:<shard>}``, so that one script can use them together on
a cluster. A name has at most one part of user text that is not percent-encoded (RFC 3986), and that part
comes last, so that no id can forge the key of another.
"""

from binascii import crc_hqx
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

_TASK_KEYS = (
    "t:",  # + id: string, one task: its record, specification and result; a short name, as there are many
    "spec:",  # + id: string, msgpack: the specification, where it is too large for the record
    "result:",  # + id: string, msgpack: the result, where it is too large for the record
    "lane:",  # + lane: sorted set, claimable task ids by -priority, then by id
    "lanes",  # sorted set, the names of the lanes that are not empty, in the order of their bytes
    "delayed",  # sorted set, pending task ids by the time at which they become claimable
    "deadlines",  # sorted set, unfinished task ids by deadline
    "leases",  # sorted set, claimed task ids by the end of the lease (+inf: none)
    "claims:",  # + agent: sorted set, the task ids that the agent holds, by claim token
    "finished",  # sorted set, terminal task ids by the time at which they are deleted
    "counts",  # hash, number of tasks by state
    "reopened:",  # + id: string, for a moment: a finished task was requeued or deleted; near copies watch it
)

# Waiters, claimers and listeners; these keys expire unless they are renewed
# (notifications/lua/shared/notify.lua).
_LISTENER_KEYS = (
    "watchers:",  # + id: set, the listeners to notify when the task is finished
    "listeners",  # sorted set, listeners with waiting claimers, by the time of their last renewal
    "alarm",  # hash, the due timer: its owner and the time at which it fires
    "waiting:",  # + filter id: sorted set, the claimers that wait with this filter, by their last renewal
    "profile:",  # + filter id: string, the filter
    "door:",  # + pool:topic: sorted set, the ids of the filters that match tasks of this pool and topic
    "listener:",  # + listener: channel, its messages
)

# Sessions: negotiations, auctions, ballots, calls for proposals; they expire some time after their end.
_SESSION_KEYS = (
    "onlookers:",  # + session (kind and id): set, the listeners to notify of its next change; it expires
    "negotiation:",  # + id: hash, one negotiation
    "proposals:",  # + id: list, all its proposals
    "sessions:",  # + agent: sorted set, the ids of the open negotiations in which it participates
    "auction:",  # + id: hash, one auction
    "bids:",  # + id: hash, its bids by sequence number
    "bidders:",  # + id: hash, by agent the sequence number of its last bid, and the id of that call
    "ballot:",  # + id: hash, one ballot
    "roll:",  # + id: hash, by agent the weight of its vote
    "votes:",  # + id: hash, by agent the vote
    "contract:",  # + task id: hash, one call for proposals
    "replies:",  # + task id: hash, by agent its proposal or refusal
    "calls:",  # + agent: sorted set, the task ids of the open calls that invite it
)

_POOL_KEYS = (
    "pool:",  # + id: hash, one pool: its specification and version
    "members:",  # + pool id: sorted set, agent ids by the time at which they joined
    "agent:",  # + agent id: sorted set, the ids of the agent's pools by the time at which it joined
    "admits:",  # + pool id: set, the agent ids of its whitelist, or the digests of its tokens
    "pools",  # sorted set, all pool ids, in the order of their bytes
    "deleted",  # hash, by id the call and time of each deletion whose members are still being removed
)

# In the pools' slot: the members of a pool hold what was delegated to the pool.
_DELEGATION_KEYS = (
    "delegation:",  # + id: hash, one delegation
    "given:",  # + agent id: sorted set, the ids of the delegations that it issued, in that order
    "held:",  # + agent id: sorted set, the ids of the delegations that it holds itself
    "pooled:",  # + pool id: sorted set, the ids of the delegations that its members hold
    "members:",  # + pool id: as above
    "over",  # sorted set, the ids of delegations that end, by the time at which they are deleted
    "agent:",  # + agent id: as above
)

_VALUE_KEYS = (
    "value:",  # + key: string: a header line and a stored value (value_format.py)
    "values",  # sorted set, all keys, in the order of their bytes
    "expiring",  # sorted set, the keys of values that expire, by the time in milliseconds
    "revision",  # integer, the version of the value that was stored last
    "storer:",  # + key: list, the last calls of compare_and_set that stored the value, for an hour
    "lock:",  # + key: string, the caller that computes the value, or why that failed; it expires
    "tag:",  # + tag: integer, the version at which it was dropped; it expires after the entries with it
)


def encode_part(text: str) -> str:
    """Percent-encode all but ASCII letters, digits and ``-._~``; the result sorts and splits safely."""
    return quote(text, safe="")


class Keys:
    """The key names of one namespace.

    Args:
        namespace: The prefix that separates this fleet from others on the same server.
        shards: The number of hash slots over which tasks spread.
    """

    def __init__(self, namespace: str, shards: int) -> None:
        self.namespace = namespace
        self.shards = shards
        name = encode_part(namespace)
        self.layout = f"{{{name}}}:layout"
        self.values = (f"{{{name}:values}}:",)
        self.values_slot = shards  # the slot of values counts as one more shard: it has a channel too
        self._shards = [*(f"{{{name}:{shard}}}:" for shard in range(shards)), *self.values]
        self._first = (self._shards[0],)
        self.pools = tuple(f"{{{name}:pools}}:{part}" for part in _POOL_KEYS)
        self.delegations = (f"{{{name}:pools}}:",)

    def shard_of(self, task_id: str) -> int:
        """Return the shard of a task: CRC16 (XMODEM, as in Redis Cluster) of its id, modulo the shards."""
        return crc_hqx(task_id.encode(), 0) % self.shards if self.shards > 1 else 0

    def shard(self, shard: int) -> tuple[str]:
        """Return the KEYS of the scripts of a shard, or of the slot of values: the prefix of its names."""
        return (self._shards[shard],)

    def shard_with(self, task_id: str) -> tuple[str]:
        """Return the KEYS of the scripts of the shard that holds a task."""
        return self._first if self.shards == 1 else (self._shards[self.shard_of(task_id)],)

    def shard_names(self, shard: int) -> dict[str, str]:
        """Return all names and prefixes of a shard, by their entries in this file."""
        return {part: self._shards[shard] + part for part in (*_TASK_KEYS, *_LISTENER_KEYS, *_SESSION_KEYS)}

    def value_names(self) -> dict[str, str]:
        """Return all names and prefixes of stored values, by their entries in this file."""
        return {part: self.values[0] + part for part in _VALUE_KEYS}

    def value(self, key: str) -> str:
        """Return the name of a stored value."""
        return f"{self.values[0]}value:{key}"

    def tag(self, tag: str) -> str:
        """Return the name of a tag of cached values."""
        return f"{self.values[0]}tag:{tag}"

    def delegation_names(self) -> dict[str, str]:
        """Return all names and prefixes of delegations, by their entries in this file."""
        return {part: self.delegations[0] + part for part in _DELEGATION_KEYS}

    def all_of_shard(self, shard: int) -> str:
        """Return the SCAN pattern of all keys of a shard."""
        return self._shards[shard] + "*"

    def task_id_in(self, shard: int, key: str) -> str | None:
        """Return the id of the task that a key belongs to; None for an index."""
        for part in _TASK_KEYS[:3]:
            if key.startswith(self._shards[shard] + part):
                return key.removeprefix(self._shards[shard] + part)
        return None

    def is_index(self, shard: int, key: str) -> bool:
        """Return whether a key is one of the sorted sets of task ids or lanes."""
        part = key.removeprefix(self._shards[shard])
        return part.startswith(("lane:", "claims:")) or part in {
            "lanes",
            "delayed",
            "deadlines",
            "leases",
            "finished",
        }

    def all_of_pools(self) -> str:
        """Return the SCAN pattern of all keys of pools."""
        return self.pools[0].removesuffix(_POOL_KEYS[0]) + "*"

    def deleted_pools(self) -> str:
        """Return the key of the pools whose members are being removed."""
        return self.pools[_POOL_KEYS.index("deleted")]

    def pool_part(self, key: str) -> tuple[str, str] | None:
        """Return the kind of a pool key (pool, members, agent, admits) and its id; None for an index."""
        for part, prefix in zip(_POOL_KEYS, self.pools, strict=True):
            if part.endswith(":") and key.startswith(prefix):
                return part.removesuffix(":"), key.removeprefix(prefix)
        return None

    def tracked(self) -> list[str]:
        """Return the prefixes of all keys that near caches depend on."""
        values = [self.values[0] + part for part in ("value:", "tag:")]
        reopened = [f"{shard}reopened:" for shard in self._shards[: self.shards]]
        return [*values, *self.pools[:3], *reopened]

    def reopened(self, task_id: str) -> str:
        """Return the name of the key that is written when a finished task is requeued or deleted."""
        return f"{self._shards[self.shard_of(task_id)]}reopened:{task_id}"

    def pool(self, pool_id: str) -> tuple[str, str]:
        """Return the names of a pool's record and of its members."""
        return self.pools[0] + pool_id, self.pools[1] + pool_id

    def pools_of(self, agent_id: str) -> str:
        """Return the name of an agent's pools."""
        return self.pools[2] + agent_id

    def channel(self, shard: int, listener: str) -> str:
        """Return the channel on which a shard notifies a listener."""
        return self._shards[shard] + "listener:" + listener


OPEN_LANE = "::"
"""The lane of tasks without a pool, topic or required capability."""


def lane(pool_id: str | None, topic: str | None, capabilities: Iterable[str]) -> str:
    """Return the name of a lane: ``<pool>:<topic>:<capability>,<capability>,``.

    The parts are encoded, "no pool" and "no topic" are empty, and every part ends with its separator, so that
    all lanes of a pool, or of a pool and topic, or with the same first capabilities, are neighbours in the
    index of lanes. ``tasks/lua/shared/lanes.lua`` walks that order.
    """
    return _lane(pool_id, topic, tuple(capabilities))


@lru_cache(maxsize=4096)
def _lane(pool_id: str | None, topic: str | None, capabilities: tuple[str, ...]) -> str:
    return f"{encode_part(pool_id or '')}:{encode_part(topic or '')}:" + "".join(
        f"{part}," for part in sorted_encoded(capabilities, ",")
    )


def sorted_encoded(texts: Iterable[str], separator: str) -> list[str]:
    """Return encoded texts, each once, in the order that they have in the index of lanes."""
    return sorted({encode_part(text) for text in texts}, key=lambda text: text + separator)
