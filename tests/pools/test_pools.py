"""Pools over the fake and a real server, by the blocking manager and the one on asyncio."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio

from converge_redis.core.operation import Operation
from converge_redis.core.topic import Topic
from converge_redis.errors import (
    AdmissionDeniedError,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
    PoolExistsError,
    PoolNotFoundError,
)
from converge_redis.pools import operations as pools
from converge_redis.pools.admission import PoolContext
from converge_redis.pools.manager import AsyncPoolManager, PoolManager
from converge_redis.pools.model import (
    CustomAdmission,
    OpenAdmission,
    Pool,
    PoolSpec,
    TokenAdmission,
    WhitelistAdmission,
    token_digest,
)
from converge_redis.server.embedded import EmbeddedServer
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.redis_store import RedisStore

FORGED = ["a:b", "{x}:pool:a", "new\nline", "nul\0", "}", "%7B", "*", "ünï", "(", "[", "-inf"]


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as running:
        yield running


@pytest.fixture(params=["fake", "real"])
def client(request: pytest.FixtureRequest, server: EmbeddedServer) -> Iterator[redis.Redis]:
    if request.param == "fake":
        connection: redis.Redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    else:
        connection = redis.Redis.from_url(server.url, max_connections=200)
        connection.flushall()
    with connection:
        yield connection


@pytest.fixture
def store(client: redis.Redis) -> RedisStore:
    return RedisStore(client)


class Manager:
    """Either manager, with coroutines for all verbs."""

    def __init__(self, manager: PoolManager | AsyncPoolManager) -> None:
        self.manager = manager

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.manager, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return call


@pytest.fixture(params=["sync", "async"])
async def new_manager(
    request: pytest.FixtureRequest, client: redis.Redis, server: EmbeddedServer
) -> AsyncIterator[Callable[[], Manager]]:
    """A function that makes managers as other processes would, each with policies of its own."""
    if request.param == "sync":
        yield lambda: Manager(PoolManager(RedisStore(client)))
        return
    if isinstance(client, fakeredis.FakeRedis):
        fake_server = client.connection_pool.connection_kwargs["server"]
        connection: redis.asyncio.Redis = fakeredis.FakeAsyncRedis(server=fake_server)
    else:
        connection = redis.asyncio.Redis.from_url(server.url)
    async with connection:
        yield lambda: Manager(AsyncPoolManager(AsyncRedisStore(connection)))


@pytest.fixture
async def manager(new_manager: Callable[[], Manager]) -> AsyncIterator[Manager]:
    made = new_manager()
    yield made
    assert await made.audit() == []


async def denied(manager: Manager, reason: str, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(AdmissionDeniedError) as caught:
        await manager.join_pool(*args, **kwargs)
    assert caught.value.reason == reason


async def test_the_life_of_a_pool(manager: Manager) -> None:
    spec = PoolSpec(
        id="p",
        topics=[Topic("t"), Topic("u")],
        governance={"vote": ("majority", 2)},
        max_agents=3,
        metadata={"k": None},
    )
    created = await manager.create_pool(spec)
    assert created == await manager.get_pool("p")
    assert (created.topics, created.governance, created.max_agents) == (
        ["t", "u"],
        {"vote": ("majority", 2)},
        3,
    )
    assert (created.metadata, created.members) == ({"k": None}, [])
    assert created.admission_policy == OpenAdmission()
    for agent in ("b", "a", "c"):
        assert await manager.join_pool(agent, "p") is None
    joined = await manager.get_pool("p")
    assert joined.members == ["b", "a", "c"]
    assert joined.version > created.version
    assert joined.created_at == created.created_at > 1.7e9
    await manager.join_pool("a", "p")
    assert await manager.get_pool("p") == joined
    assert await manager.leave_pool("b", "p") is True
    assert await manager.leave_pool("b", "p") is False
    assert (await manager.get_pool("p")).members == ["a", "c"]
    assert await manager.delete_pool("p") is True
    assert await manager.delete_pool("p") is False
    assert await manager.get_pool("p") is None
    assert await manager.get_pools_for_agent("a") == []
    assert await manager.leave_pool("a", "p") is False
    with pytest.raises(PoolNotFoundError, match="'p'"):
        await manager.join_pool("a", "p")


async def test_nothing_is_left_of_deleted_pools(manager: Manager, client: redis.Redis) -> None:
    before = set(client.keys())
    for policy in ("open", WhitelistAdmission(allowed=["a"]), TokenAdmission(tokens=["t"])):
        pool = await manager.create_pool(PoolSpec(admission_policy=policy, max_agents=2))
        await manager.join_pool("a", pool.id, token="t")
        assert await manager.delete_pool(pool.id)
    assert set(client.keys()) <= before | {b"{converge}:layout"}


async def test_the_same_spec_again_and_another(manager: Manager) -> None:
    spec = {
        "id": "p",
        "metadata": {"a": 1, "b": 2},
        "admission_policy": {"type": "token", "tokens": ["x", "y"]},
    }
    first = await manager.create_pool(spec)
    await manager.join_pool("a", "p", token="x")
    reordered = {**spec, "metadata": {"b": 2, "a": 1}, "admission_policy": TokenAdmission(tokens=["y", "x"])}
    again = await manager.create_pool(reordered)
    assert (again.created_at, again.members) == (first.created_at, ["a"])
    assert await manager.create_pool(again) == again  # a snapshot is a specification too
    with pytest.raises(PoolExistsError, match="'p'"):
        await manager.create_pool({**spec, "max_agents": 5})
    assert await manager.get_pool("p") == again


async def test_pools_are_listed_in_order_and_up_to_a_limit(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "IDS_PER_SCRIPT", 3)
    assert await manager.list_pools() == []
    ids = [f"p{number}" for number in range(9)]
    for pool_id in reversed(ids):
        await manager.create_pool(PoolSpec(id=pool_id))
        await manager.join_pool("a", pool_id)
    assert await manager.list_pools() == ids
    assert await manager.list_pools(limit=4) == ids[:4]
    assert await manager.list_pools(limit=99) == ids
    assert await manager.get_pools_for_agent("a") == ids[::-1]
    for number in range(10):
        await manager.join_pool(f"agent {number}", "p0")
    assert (await manager.get_pool("p0")).members == ["a", *(f"agent {number}" for number in range(10))]


async def test_ids_cannot_forge_keys(manager: Manager) -> None:
    for pool_id in FORGED:
        await manager.create_pool({"id": pool_id})
        for agent in FORGED:
            await manager.join_pool(agent, pool_id)
    assert await manager.list_pools() == sorted(FORGED, key=str.encode)
    for text in FORGED:
        assert (await manager.get_pool(text)).members == FORGED
        assert await manager.get_pools_for_agent(text) == FORGED
    assert await manager.leave_pool("*", "}")
    assert await manager.delete_pool("{x}:pool:a")
    assert await manager.get_pools_for_agent("*") == [i for i in FORGED if i not in {"}", "{x}:pool:a"}]


async def test_whitelist(manager: Manager) -> None:
    pool = await manager.create_pool({"admission_policy": WhitelistAdmission(allowed=["b", "a", "b"])})
    assert pool.admission_policy == WhitelistAdmission(allowed=["a", "b"])
    await manager.join_pool("a", pool.id)
    await denied(manager, "not_on_whitelist", "c", pool.id)
    assert (await manager.get_pool(pool.id)).members == ["a"]


async def test_tokens_are_checked_and_not_stored(manager: Manager, client: redis.Redis) -> None:
    pool = await manager.create_pool({"id": "p", "admission_policy": {"type": "token", "tokens": ["s3cret"]}})
    await manager.join_pool("a", "p", token="s3cret")
    for wrong in (None, "S3cret", token_digest("s3cret"), "sha256:" + token_digest("s3cret")):
        await denied(manager, "wrong_token", "b", "p", token=wrong)
    stored = list(map(client.dump, client.keys()))
    assert not any(b"s3cret" in value for value in stored if value)
    assert "s3cret" not in repr(pool)
    await manager.join_pool("a", "p")  # a member needs no token


async def test_full(manager: Manager) -> None:
    await manager.create_pool({"id": "p", "max_agents": 1})
    await manager.join_pool("a", "p")
    await denied(manager, "full", "b", "p")
    await manager.join_pool("a", "p")
    await manager.leave_pool("a", "p")
    await manager.join_pool("b", "p")


def test_a_hundred_threads_race_for_ten_places(store: RedisStore) -> None:
    managers = [PoolManager(store) for _ in range(4)]
    managers[0].create_pool({"id": "p", "max_agents": 10})
    gate = threading.Barrier(100)

    def race(number: int) -> str:
        gate.wait()
        try:
            managers[number % 4].join_pool(f"agent {number}", "p")
        except AdmissionDeniedError as error:
            return error.reason
        return "in"

    with ThreadPoolExecutor(100) as threads:
        outcomes = list(threads.map(race, range(100)))
    assert (outcomes.count("in"), outcomes.count("full")) == (10, 90)
    pool = managers[0].get_pool("p")
    assert pool is not None
    assert set(pool.members) == {f"agent {n}" for n, outcome in enumerate(outcomes) if outcome == "in"}
    assert managers[0].audit() == []


async def test_a_hundred_coroutines_race_for_ten_places(manager: Manager) -> None:
    await manager.create_pool({"id": "p", "max_agents": 10})
    joins = [manager.join_pool(f"agent {number}", "p") for number in range(100)]
    outcomes = await asyncio.gather(*joins, return_exceptions=True)
    assert outcomes.count(None) == 10
    assert all(isinstance(outcome, AdmissionDeniedError) for outcome in outcomes if outcome is not None)


class Policy:
    """Admits whom a function admits, and keeps what it was asked."""

    def __init__(self, admits: Callable[[str, Pool], bool]) -> None:
        self.admits = admits
        self.asked: list[list[str]] = []

    def can_admit(self, agent_id: str, pool: Pool) -> bool:
        self.asked.append(pool.members)
        return self.admits(agent_id, pool)


class NamedPolicy(Policy):
    name = "named"


async def test_a_policy_object_is_asked_by_the_process_that_joins(
    manager: Manager, new_manager: Callable[[], Manager]
) -> None:
    policy = NamedPolicy(lambda agent_id, _: agent_id == "a")
    pool = await manager.create_pool(PoolSpec(id="p", admission_policy=policy))
    assert pool.admission_policy == CustomAdmission(name="named")
    await manager.join_pool("a", "p")
    await denied(manager, "policy", "b", "p")
    await manager.join_pool("a", "p")
    assert policy.asked == [[], ["a"]]  # a member is let in unasked

    other = new_manager()
    with pytest.raises(ConfigurationError, match=r"pool 'p' .*'named'.*use_policy"):
        await other.join_pool("b", "p")
    await other.use_policy("named", Policy(lambda *_: True))
    await other.join_pool("b", "p")
    assert (await other.get_pool("p")).members == ["a", "b"]


async def test_policies_of_one_class_stay_apart(manager: Manager) -> None:
    await manager.create_pool(PoolSpec(id="all", admission_policy=Policy(lambda *_: True)))
    await manager.create_pool(PoolSpec(id="none", admission_policy=Policy(lambda *_: False)))
    await manager.join_pool("a", "all")
    await denied(manager, "policy", "a", "none")


async def test_a_policy_is_asked_again_when_the_pool_changes_meanwhile(
    manager: Manager, store: RedisStore
) -> None:
    second = PoolManager(store)
    second.use_policy("Policy", Policy(lambda *_: True))

    def admits(_: str, pool: Pool) -> bool:
        if not pool.members:
            second.join_pool("first", "p")
        return len(pool.members) < 1

    policy = Policy(admits)
    await manager.create_pool(PoolSpec(id="p", admission_policy=policy))
    await denied(manager, "policy", "late", "p")
    assert policy.asked == [[], ["first"]]
    assert (await manager.get_pool("p")).members == ["first"]


async def test_a_pool_that_always_changes_is_given_up(manager: Manager, store: RedisStore) -> None:
    second = PoolManager(store)
    second.use_policy("Policy", Policy(lambda *_: True))

    def admits(*_: Any) -> bool:
        if not second.leave_pool("restless", "p"):
            second.join_pool("restless", "p")
        return True

    policy = Policy(admits)
    await manager.create_pool(PoolSpec(id="p", admission_policy=policy))
    await denied(manager, "busy", "a", "p")
    assert len(policy.asked) == pools.MAX_POLICY_RETRIES


async def test_a_pool_made_again_is_not_joined_under_the_old_answer(
    manager: Manager, store: RedisStore
) -> None:
    second = PoolManager(store)

    def admits(*_: Any) -> bool:
        second.delete_pool("p")
        second.create_pool({"id": "p", "admission_policy": {"type": "custom", "name": "strict"}})
        return True

    await manager.create_pool(PoolSpec(id="p", admission_policy=Policy(admits)))
    with pytest.raises(ConfigurationError, match="strict"):
        await manager.join_pool("a", "p")
    assert (await manager.get_pool("p")).members == []


class Trust:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get_trust(self, agent_id: str) -> Any:
        return self.answer


class TrustingPolicy(Policy):
    def get_trust(self, agent_id: str) -> float:
        return 0.9


async def test_trust(manager: Manager) -> None:
    await manager.create_pool({"id": "p", "trust_threshold": 0.5, "max_agents": 1})
    with pytest.raises(ConfigurationError, match=r"'p' .*0\.5.*use_trust"):
        await manager.join_pool("a", "p")
    await manager.use_trust(Trust(0.4))
    await denied(manager, "untrusted", "a", "p")
    await manager.use_trust(Trust(0.5))
    await manager.join_pool("a", "p")
    await denied(manager, "full", "b", "p")
    policy = TrustingPolicy(lambda *_: True)
    for pool_id, threshold in (("q", 0.9), ("r", 0.91)):
        await manager.create_pool(PoolSpec(id=pool_id, trust_threshold=threshold, admission_policy=policy))
    await manager.join_pool("a", "q")
    await denied(manager, "untrusted", "a", "r")


async def test_answers_that_are_none(manager: Manager) -> None:
    async def later() -> bool:
        return True

    not_an_answer: Any = lambda *_: later()  # noqa: E731
    await manager.create_pool(PoolSpec(id="p", admission_policy=Policy(not_an_answer)))
    with pytest.raises(InvalidTypeError, match=r"can_admit must return True or False, not coroutine"):
        await manager.join_pool("a", "p")
    await manager.create_pool({"id": "q", "trust_threshold": 0})
    for answer, error in (("much", InvalidTypeError), (float("nan"), InvalidValueError)):
        await manager.use_trust(Trust(answer))
        with pytest.raises(error, match="get_trust"):
            await manager.join_pool("a", "q")


def test_specifications_and_pools_can_be_dumped() -> None:
    spec = PoolSpec(id="p", topics=[Topic("t")], admission_policy=NamedPolicy(lambda *_: True))
    pool = Pool(id="p", topics=[Topic("t")], admission_policy=CustomAdmission(name="named"))
    for model in (spec, pool):
        assert model.model_dump()["admission_policy"] == {"type": "custom", "name": "named"}
        assert model.model_dump()["topics"] == ["t"]
    assert Pool.model_validate_json(pool.model_dump_json()) == pool


async def test_coroutines_and_classes_are_no_policies(manager: Manager) -> None:
    class Later:
        async def can_admit(self, agent_id: str, pool: Pool) -> bool:
            return True

    later: Any = Later()
    with pytest.raises(InvalidTypeError, match="plain function"):
        await manager.create_pool(PoolSpec(id="p", admission_policy=later))
    with pytest.raises(InvalidTypeError, match="plain function"):
        await manager.use_policy("name", later)
    with pytest.raises(InvalidTypeError, match="can_admit"):
        await manager.create_pool({"id": "p", "admission_policy": Later})
    with pytest.raises(InvalidTypeError, match="get_trust"):
        await manager.use_trust(later)
    assert await manager.list_pools() == []


async def fill(manager: Manager, pool_id: str, count: int) -> None:
    await manager.create_pool({"id": pool_id})
    for start in range(0, count, 50):  # a client made by others has as many connections as its owner allowed
        numbers = range(start, min(count, start + 50))
        await asyncio.gather(*(manager.join_pool(f"agent {number}", pool_id) for number in numbers))


async def test_a_large_pool_is_deleted_in_parts(manager: Manager, client: redis.Redis) -> None:
    await fill(manager, "p", 2500)
    assert len((await manager.get_pool("p")).members) == 2500
    await manager.create_pool({"id": "q"})
    await manager.join_pool("agent 7", "q")
    assert await manager.delete_pool("p") is True
    assert await manager.get_pools_for_agent("agent 7") == ["q"]
    assert len(client.keys("*:agent:*")) == 1


def first_of(steps: Any) -> Operation[Any]:
    operation: Operation[Any] = next(steps)
    return operation


async def test_a_deletion_that_was_cut_short_is_finished_by_whoever_comes_next(
    manager: Manager, store: RedisStore
) -> None:
    context = PoolContext(store._namespace)
    for finish in ("delete", "create"):
        await fill(manager, "p", 1200)
        assert store._run(first_of(pools.delete_pool(context, "p"))) is True
        assert await manager.get_pool("p") is None
        assert await manager.get_pools_for_agent("agent 7") == []
        with pytest.raises(PoolNotFoundError):
            await manager.join_pool("agent 7", "p")
        assert [v.kind for v in await manager.audit()] == ["unfinished_deletion"]
        if finish == "delete":
            assert await manager.delete_pool("p") is False
        else:
            assert (await manager.create_pool({"id": "p"})).members == []
            assert (await manager.get_pool("p")).members == []
        assert await manager.get_pools_for_agent("agent 7") == []
        assert await manager.audit() == []


def test_an_old_deletion_is_swept_by_other_pools(store: RedisStore, client: redis.Redis) -> None:
    manager, space = PoolManager(store), store._namespace
    context = PoolContext(space)
    manager.create_pool({"id": "p"})
    manager.join_pool("a", "p")
    store._run(first_of(pools.delete_pool(context, "p")))
    manager.create_pool({"id": "q"})
    assert client.hlen(space.keys.deleted_pools()) == 1  # its deleter is at it still
    call: Any = client.hget(space.keys.deleted_pools(), "p")
    client.hset(space.keys.deleted_pools(), "p", call[:11] + b"1")
    manager.create_pool({"id": "r"})
    assert manager.audit() == []


def test_calls_that_are_sent_again_have_their_effect_once(store: RedisStore) -> None:
    manager, context = PoolManager(store), PoolContext(store._namespace)
    assert manager.store is store
    create = first_of(pools.create_pool(context, {"id": "p"}))
    assert store._run(create)[0] == b"CREATED"
    assert store._run(create)[0] == b"EXISTS"

    join = first_of(pools.join_pool(context, "a", "p"))
    assert store._run(join) is True
    version = getattr(manager.get_pool("p"), "version", None)
    assert store._run(join) is True
    assert getattr(manager.get_pool("p"), "version", None) == version

    leave = first_of(pools.leave_pool(context, "a", "p"))
    assert store._run(leave) is True
    assert store._run(leave) is True
    assert store._run(join) is True  # sent again late: the agent stays out
    assert manager.get_pools_for_agent("a") == []
    manager.join_pool("a", "p")
    assert store._run(leave) is True  # and here it stays in
    assert manager.get_pools_for_agent("a") == ["p"]

    delete = first_of(pools.delete_pool(context, "p"))
    assert store._run(delete) is True
    assert store._run(delete) is True
    manager.create_pool({"id": "p"})
    assert store._run(delete) is True  # the pool of before is gone; the new one stays
    assert manager.get_pool("p") is not None
    assert manager.audit() == []


BAD = [
    ({"id": ""}, InvalidValueError, r"spec\.id must not be empty"),
    ({"id": 5}, InvalidTypeError, r"spec\.id .*5"),
    ({"topics": "t"}, InvalidTypeError, r"spec\.topics .*'t'"),
    ({"topics": ["", "t"]}, InvalidValueError, r"spec\.topics\[0\]"),
    ({"max_agents": 0}, InvalidValueError, r"spec\.max_agents .*0"),
    ({"max_agents": True}, InvalidTypeError, r"spec\.max_agents .*True"),
    ({"trust_threshold": 1.5}, InvalidValueError, r"spec\.trust_threshold .*1\.5"),
    ({"trust_threshold": float("nan")}, InvalidValueError, r"spec\.trust_threshold .*nan"),
    ({"trust_threshold": "1"}, InvalidTypeError, r"spec\.trust_threshold .*'1'"),
    ({"colour": "red"}, InvalidValueError, r"spec\.colour is unknown.*max_agents"),
    ({"metadata": 5}, InvalidValueError, r"spec\.metadata .*5"),
    ({"governance": object()}, InvalidTypeError, r"governance.*object"),
    ({"admission_policy": "closed"}, InvalidValueError, r"spec\.admission_policy\.type .*'closed'"),
    ({"admission_policy": "whitelist"}, InvalidValueError, r"spec\.admission_policy\.allowed is missing"),
    ({"admission_policy": 7}, InvalidTypeError, r"spec\.admission_policy .*7"),
    (
        {"admission_policy": {"type": "open", "x": 1}},
        InvalidValueError,
        r"spec\.admission_policy\.x is unknown",
    ),
    ({"admission_policy": {"type": ["open"]}}, InvalidValueError, r"spec\.admission_policy\.type"),
    (
        {"admission_policy": {"type": "token", "tokens": []}},
        InvalidValueError,
        r"tokens must hold at least one",
    ),
    (
        {"admission_policy": {"type": "whitelist", "allowed": [str(n) for n in range(10_001)]}},
        InvalidValueError,
        r"spec\.admission_policy\.allowed has 10001 entries",
    ),
    ([("id", "p")], InvalidTypeError, r"spec must be a PoolSpec or a mapping, not list"),
]


@pytest.mark.parametrize(("spec", "error", "message"), BAD)
def test_bad_specs_name_field_and_value(spec: Any, error: type[Exception], message: str) -> None:
    with RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer())) as store:
        manager = PoolManager(store)
        with pytest.raises(error, match=message):
            manager.create_pool(spec)
        assert manager.list_pools() == []


def test_errors_do_not_show_tokens() -> None:
    bad: list[Any] = [["s3cret", 5], ["s3cret", ""], "s3cret", ["s3cret\ud800"]]
    for tokens in bad:
        with pytest.raises((ValueError, TypeError)) as caught:
            TokenAdmission(tokens=tokens)
        assert "s3cret" not in str(caught.value)
        with pytest.raises((ValueError, TypeError)) as caught:
            PoolSpec(admission_policy={"type": "token", "tokens": tokens})
        assert "s3cret" not in str(caught.value)


async def test_bad_arguments_name_field_and_value(manager: Manager) -> None:
    await manager.create_pool({"id": "p"})
    for verb in ("join_pool", "leave_pool"):
        with pytest.raises(InvalidTypeError, match=r"agent_id .*5"):
            await getattr(manager, verb)(5, "p")
        with pytest.raises(InvalidValueError, match="pool_id"):
            await getattr(manager, verb)("a", "")
    for verb in ("get_pool", "delete_pool"):
        with pytest.raises(InvalidTypeError, match=r"pool_id .*None"):
            await getattr(manager, verb)(None)
    with pytest.raises(InvalidTypeError, match="token must be a string, not int"):
        await manager.join_pool("a", "p", token=5)
    with pytest.raises(InvalidValueError, match=r"limit .*0"):
        await manager.list_pools(limit=0)


def test_the_audit_finds_what_is_wrong(store: RedisStore, client: redis.Redis) -> None:
    manager = PoolManager(store)
    for pool_id in ("lost", "unlisted", "crowded", "half", "other half"):
        manager.create_pool({"id": pool_id, "max_agents": 2})
        manager.join_pool("a", pool_id)
    base = "{converge:pools}:"
    client.delete(f"{base}pool:lost")
    client.zrem(f"{base}pools", "unlisted")
    client.zadd(f"{base}members:crowded", {"b": 1, "c": 2})
    client.zrem(f"{base}members:half", "a")
    client.zrem(f"{base}agent:a", "other half")
    client.sadd(f"{base}admits:half", "x")
    assert {(violation.kind, violation.id) for violation in manager.audit()} == {
        ("missing_record", "lost"),
        ("leftover_key", "lost"),
        ("missing_entry", "unlisted"),
        ("too_many_members", "crowded"),
        ("member_without_membership", "crowded"),
        ("membership_without_member", "a"),
        ("member_without_membership", "other half"),
        ("leftover_key", "half"),
    }
