"""Leaked keys: of no namespace, or of a task, session or pool that is gone. See also `audit`."""

from collections.abc import Iterable
from typing import Any

import redis

from converge_redis.core.keys import Keys
from converge_redis.core.namespace import Namespace
from tests.support.records import fields_of


def leaked_keys(client: redis.Redis, namespaces: Iterable[Namespace]) -> list[str]:
    """Return the keys that belong to none of the namespaces, or whose owner is gone."""
    owned = [_OwnedKeys(client, namespace.keys) for namespace in namespaces]
    names = [raw.decode() for raw in client.scan_iter(count=1000)]
    return [name for name in names if not any(keys.covers(name) for keys in owned)]


# The keys of sessions, each with the key of its session; the watchers (`onlookers:`) go when it ends.
_SESSION_KINDS: dict[str, str | None] = {
    **dict.fromkeys(("negotiation:", "auction:", "ballot:", "contract:")),
    **dict.fromkeys(("proposals:", "sessions:"), "negotiation:"),
    **dict.fromkeys(("bids:", "bidders:"), "auction:"),
    **dict.fromkeys(("roll:", "votes:"), "ballot:"),
    **dict.fromkeys(("replies:", "calls:"), "contract:"),
}


class _OwnedKeys:
    """The keys of one namespace that have an owner."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys

    def covers(self, key: str) -> bool:
        if key == self._keys.layout:
            return True
        for shard in range(self._keys.shards):
            if key.startswith(self._keys.all_of_shard(shard)[:-1]):
                return self._covers_task_key(shard, key)
        return any(
            covers(key)
            for covers in (self._covers_value_key, self._covers_pool_key, self._covers_delegation_key)
        )

    def _covers_task_key(self, shard: int, key: str) -> bool:
        names = self._keys.shard_names(shard)
        kind, _, last = key.partition("}:")[2].partition(":")
        if not last:
            return kind in names and kind not in {"listeners", "alarm"}
        if kind == "reopened":
            return int(self._client.pttl(key)) > 0
        if kind == "lane":
            return self._client.zscore(names["lanes"], last) is not None
        if kind == "claims":
            held = [raw.decode() for raw in self._client.zrange(key, 0, -1)]
            holders = {self._record(names["t:"] + task_id).get("agent") for task_id in held}
            return holders == {last}
        if f"{kind}:" in _SESSION_KINDS:
            return self._covers_session_key(names, kind, last, key)
        state = self._record(names["t:"] + last).get("state")
        states = {
            "t": ["pending", "assigned", "running", "completed", "failed", "cancelled"],
            "spec": ["pending", "assigned", "running", "completed", "failed", "cancelled"],
            "result": ["completed", "failed"],
        }
        return state in states.get(kind, []) and self._keys.shard_of(last) == shard

    def _record(self, key: str) -> dict[str, str]:
        stored = self._client.get(key)
        return fields_of(stored) if stored else {}

    def _covers_session_key(self, names: dict[str, str], kind: str, last: str, key: str) -> bool:
        """A session that has ended, or has a deadline, expires; its other keys expire with it."""
        owner = _SESSION_KINDS[f"{kind}:"]
        if owner is None:
            session = {name.decode(): value for name, value in self._client.hgetall(key).items()}
            lasting = "ended" not in session and "closes" not in session and "deadline" not in session
            return lasting or self._client.pttl(key) > 0
        if kind == "sessions":
            return all(
                self._client.exists(names[owner] + one.decode()) for one in self._client.zrange(key, 0, -1)
            )
        if kind == "calls":
            return bool(self._client.pttl(key) > 0)
        (left, of_owner) = (self._client.pttl(key), self._client.pttl(names[owner] + last))
        return bool(of_owner == left == -1 or (left > 0 and abs(of_owner - left) < 1000))

    def _covers_value_key(self, key: str) -> bool:
        names = self._keys.value_names()
        values, index = names["value:"], names["values"]
        if key in {index, names["expiring"], names["revision"]} or "}:onlookers:" in key:
            return True
        if key.startswith(values):
            expires = self._client.zscore(names["expiring"], key.removeprefix(values))
            return self._client.zscore(index, key.removeprefix(values)) is not None and (expires is None) == (
                self._client.pttl(key) == -1
            )
        return (
            key.startswith((names["storer:"], names["lock:"], names["tag:"])) and self._client.pttl(key) > 0
        )

    def _covers_pool_key(self, key: str) -> bool:
        records, members, memberships, admits, pools, deleted = self._keys.pools
        if key in {pools, deleted}:
            return True
        if key.startswith(records):
            return self._client.zscore(pools, key.removeprefix(records)) is not None
        if key.startswith(members):
            pool = key.removeprefix(members)
            return bool(self._client.exists(records + pool) or self._client.hexists(deleted, pool))
        if key.startswith(memberships):
            agent, joined = key.removeprefix(memberships), self._client.zrange(key, 0, -1)
            return all(self._client.zscore(members + pool.decode(), agent) for pool in joined)
        return key.startswith(admits) and bool(self._client.exists(records + key.removeprefix(admits)))

    def _covers_delegation_key(self, key: str) -> bool:
        names = self._keys.delegation_names()
        records, given, held = names["delegation:"], names["given:"], names["held:"]
        pooled, over = names["pooled:"], names["over"]
        if key == over:
            return all(self._client.exists(records + raw.decode()) for raw in self._client.zrange(key, 0, -1))
        if key.startswith(records):
            id_ = key.removeprefix(records)
            from_, to, kind = (raw.decode() for raw in self._client.hmget(key, "from", "to", "type"))
            index = (pooled if kind == "pooled" else held) + to
            return None not in {self._client.zscore(given + from_, id_), self._client.zscore(index, id_)}
        return key.startswith((given, held, pooled)) and all(
            self._client.exists(records + raw.decode()) for raw in self._client.zrange(key, 0, -1)
        )
