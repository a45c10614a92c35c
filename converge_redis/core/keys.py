"""Every key name, in one place.

All keys of a shard carry its hash tag ``{<namespace>:<shard>}``, so that one script can touch them together
on a cluster. A name has at most one part of user text that is not encoded, and that part is always the last:
whatever it holds, it cannot end early and cannot name another key. Text elsewhere is percent-encoded
(RFC 3986).
"""

from binascii import crc_hqx
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

_TASK_KEYS = (
    "t:",  # + id: string, one task: its record, what was submitted and reported; short, as there are many
    "spec:",  # + id: string, msgpack: what was submitted, where that is too much for the record
    "result:",  # + id: string, msgpack: what was reported, where that is too much for the record
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

# What is known of listeners; all of it expires unless they renew it (notifications/lua/shared/notify.lua).
_LISTENER_KEYS = (
    "watchers:",  # + id: set, the listeners that are told when the task is finished
    "listeners",  # sorted set, listeners with claimers that wait, by the time of their last renewal
    "alarm",  # hash, the listener that keeps time, and the time that it knows of
    "waiting:",  # + profile: sorted set, the claimers that wait with this filter, by their last renewal
    "profile:",  # + profile: string, the filter
    "door:",  # + pool:topic: sorted set, the profiles that may have tasks of this pool and topic
    "listener:",  # + listener: channel, by which it is told
)

# Sessions: hashes, which expire some time after they are over, with what belongs to them.
_SESSION_KEYS = (
    "onlookers:",  # + session (kind and id): set, the listeners that are told of its next change; it expires
    "negotiation:",  # + id: hash, one negotiation
    "proposals:",  # + id: list, all its proposals
    "sessions:",  # + agent: sorted set, the ids of the negotiations that it takes part in and that go on
    "auction:",  # + id: hash, one auction
    "bids:",  # + id: hash, its bids by sequence number
    "bidders:",  # + id: hash, by agent the sequence number of its last bid, and the call that made it
    "ballot:",  # + id: hash, one ballot
    "roll:",  # + id: hash, by agent the weight of those who may vote
    "votes:",  # + id: hash, by agent the vote
    "contract:",  # + task id: hash, one call for proposals
    "replies:",  # + task id: hash, by agent what it proposed, or that it refused
    "calls:",  # + agent: sorted set, the task ids of the calls that go on and that it is invited to
)

_POOL_KEYS = (
    "pool:",  # + id: hash, one pool: its specification and version
    "members:",  # + pool id: sorted set, agent ids by the time at which they joined
    "agent:",  # + agent id: sorted set, the ids of the agent's pools by the time at which it joined
    "admits:",  # + pool id: set, the agent ids of its whitelist, or the digests of its tokens
    "pools",  # sorted set, all pool ids, in the order of their bytes
    "deleted",  # hash, by id the call and time of each deletion whose members still have to be cleared away
)

# In the pools' slot: who is in a pool holds what was delegated to it.
_DELEGATION_KEYS = (
    "delegation:",  # + id: hash, one delegation
    "given:",  # + agent id: sorted set, the ids of those that it has issued, in that order
    "held:",  # + agent id: sorted set, the ids of those that it holds itself
    "pooled:",  # + pool id: sorted set, the ids of those that its members hold
    "members:",  # + pool id: as above
    "over",  # sorted set, the ids of those that end, by the time at which they are deleted
    "agent:",  # + agent id: as above
)

_VALUE_KEYS = (
    "value:",  # + key: string: a line about one stored value, and the value (value_format.py)
    "values",  # sorted set, all keys, in the order of their bytes
    "expiring",  # sorted set, the keys of values that expire, by the time in milliseconds
    "revision",  # integer, the version of what was stored last
    "storer:",  # + key: list, the last calls of compare_and_set that stored the value, for an hour
    "lock:",  # + key: string, who computes the value, or why that failed; it expires
    "tag:",  # + tag: integer, the version at which it was dropped; it expires after what has the tag
)


def encoded(text: str) -> str:
    """Percent-encode all but ASCII letters, digits and ``-._~``; the result orders and splits safely."""
    return quote(text, safe="")


class Keys:
    """The key names of one namespace.

    Args:
        namespace: The prefix that keeps this fleet apart from others on the same server.
        shards: The number of hash slots over which tasks spread.
    """

    def __init__(self, namespace: str, shards: int) -> None:
        self.namespace = namespace
        self.shards = shards
        name = encoded(namespace)
        self.layout = f"{{{name}}}:layout"
        self.values = (f"{{{name}:values}}:",)
        self.values_slot = shards  # the slot of values counts as one more shard: listeners are told there too
        self._shards = [*(f"{{{name}:{shard}}}:" for shard in range(shards)), *self.values]
        self._first = (self._shards[0],)
        self.pools = tuple(f"{{{name}:pools}}:{part}" for part in _POOL_KEYS)
        self.delegations = (f"{{{name}:pools}}:",)

    def shard_of(self, task_id: str) -> int:
        """Return the shard of a task: CRC16 (XMODEM, as in Redis Cluster) of its id, modulo the shards."""
        return crc_hqx(task_id.encode(), 0) % self.shards if self.shards > 1 else 0

    def shard(self, shard: int) -> tuple[str]:
        """Return the KEYS of scripts of a shard, or of the slot of values: what its names begin with."""
        return (self._shards[shard],)

    def shard_with(self, task_id: str) -> tuple[str]:
        """Return the KEYS of scripts of the shard where a task lives."""
        return self._first if self.shards == 1 else (self._shards[self.shard_of(task_id)],)

    def named(self, shard: int) -> dict[str, str]:
        """Return all of a shard's names and prefixes, by what they are called in this file."""
        return {part: self._shards[shard] + part for part in (*_TASK_KEYS, *_LISTENER_KEYS, *_SESSION_KEYS)}

    def values_named(self) -> dict[str, str]:
        """Return the names and prefixes of stored values, by what they are called in this file."""
        return {part: self.values[0] + part for part in _VALUE_KEYS}

    def value(self, key: str) -> str:
        """Return the name of a stored value."""
        return f"{self.values[0]}value:{key}"

    def tag(self, tag: str) -> str:
        """Return the name of a tag of cached values."""
        return f"{self.values[0]}tag:{tag}"

    def delegations_named(self) -> dict[str, str]:
        """Return the names and prefixes of delegations, by what they are called in this file."""
        return {part: self.delegations[0] + part for part in _DELEGATION_KEYS}

    def all_of_shard(self, shard: int) -> str:
        """Return the pattern, as SCAN takes it, of all of a shard's keys."""
        return self._shards[shard] + "*"

    def task_id_in(self, shard: int, key: str) -> str | None:
        """Return the id of the task that a key belongs to; None for the keys of indexes."""
        for part in _TASK_KEYS[:3]:
            if key.startswith(self._shards[shard] + part):
                return key.removeprefix(self._shards[shard] + part)
        return None

    def is_index(self, shard: int, key: str) -> bool:
        """Tell whether a key is one of the sorted sets of task ids or lanes."""
        part = key.removeprefix(self._shards[shard])
        return part.startswith(("lane:", "claims:")) or part in {
            "lanes",
            "delayed",
            "deadlines",
            "leases",
            "finished",
        }

    def all_of_pools(self) -> str:
        """Return the pattern, as SCAN takes it, of all keys of pools."""
        return self.pools[0].removesuffix(_POOL_KEYS[0]) + "*"

    def deleted_pools(self) -> str:
        """Return the key of the pools whose deletion is under way."""
        return self.pools[_POOL_KEYS.index("deleted")]

    def pool_part(self, key: str) -> tuple[str, str] | None:
        """Return what a pools' key is of (pool, members, agent, admits) and its id; None for indexes."""
        for part, prefix in zip(_POOL_KEYS, self.pools, strict=True):
            if part.endswith(":") and key.startswith(prefix):
                return part.removesuffix(":"), key.removeprefix(prefix)
        return None

    def tracked(self) -> list[str]:
        """Return what the names begin with of all keys that readers keep copies of."""
        values = [self.values[0] + part for part in ("value:", "tag:")]
        reopened = [f"{shard}reopened:" for shard in self._shards[: self.shards]]
        return [*values, *self.pools[:3], *reopened]

    def reopened(self, task_id: str) -> str:
        """Return the name of the key that is written when a finished task is finished no more."""
        return f"{self._shards[self.shard_of(task_id)]}reopened:{task_id}"

    def pool(self, pool_id: str) -> tuple[str, str]:
        """Return the names of a pool's record and of its members."""
        return self.pools[0] + pool_id, self.pools[1] + pool_id

    def pools_of(self, agent_id: str) -> str:
        """Return the name of an agent's pools."""
        return self.pools[2] + agent_id

    def channel(self, shard: int, listener: str) -> str:
        """Return the channel by which a shard tells a listener."""
        return self._shards[shard] + "listener:" + listener


OPEN_LANE = "::"
"""The lane of tasks without a pool, topic or required capability."""


def lane(pool_id: str | None, topic: str | None, capabilities: Iterable[str]) -> str:
    """Return the name of a lane: ``<pool>:<topic>:<capability>,<capability>,``.

    The parts are encoded, "no pool" and "no topic" are empty, and every part is closed by its separator, so
    that all lanes of a pool, or of a pool and topic, or with the same first capabilities, stand next to each
    other in the index of lanes. ``tasks/lua/shared/lanes.lua`` walks that order.
    """
    return _lane(pool_id, topic, tuple(capabilities))


@lru_cache(maxsize=4096)
def _lane(pool_id: str | None, topic: str | None, capabilities: tuple[str, ...]) -> str:
    return f"{encoded(pool_id or '')}:{encoded(topic or '')}:" + "".join(
        f"{part}," for part in in_order(capabilities, ",")
    )


def in_order(texts: Iterable[str], separator: str) -> list[str]:
    """Return encoded texts, each once, in the order that they have in the index of lanes."""
    return sorted({encoded(text) for text in texts}, key=lambda text: text + separator)
