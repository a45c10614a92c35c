"""The properties of a store and of its server; the representations of public objects."""

import inspect

import fakeredis
import pytest

import converge_redis
from converge_redis import (
    AsyncRedisStore,
    Ballot,
    BiddingProtocol,
    ClaimKeeper,
    RedisStore,
    ServerInfo,
    SharedCache,
    StoreUnavailableError,
    Task,
    TaskManager,
    Worker,
)
from converge_redis.worker.claim import Claim
from tests.support.backends import Backend
from tests.support.fleet import Fleet

WITHOUT_STATE = {"AdmissionPolicy", "Consensus", "CoordinationMetrics", "TrustProvider"}


async def test_a_store_knows_its_namespace_and_reaches_its_server(fleet: Fleet) -> None:
    store = fleet.store("a name", 3)
    assert (store.name, store.shards) == ("a name", 3)
    assert await store.ping() is True


async def test_info_reports_the_server(real_fleet: Fleet) -> None:
    info = await real_fleet.store().info()
    assert info.product in {"redis", "valkey"}
    assert info.version is not None
    assert (info.role, info.eviction_policy) == ("master", "noeviction")
    assert info.used_memory is not None
    assert info.used_memory > 0
    assert info.clients is not None
    assert info.clients > 0
    assert info.uptime_sec is not None


async def test_info_of_a_server_without_the_command_is_empty() -> None:
    with Backend(fake=fakeredis.FakeServer()).store() as store:
        assert store.info() in {ServerInfo()}


def test_ping_raises_when_no_server_is_there(tmp_path: object) -> None:
    store = RedisStore.from_url(f"unix://{tmp_path}/missing")
    with pytest.raises(StoreUnavailableError):
        store.ping()
    store.close()


def test_a_store_is_printed_with_its_server_and_without_the_password() -> None:
    store = RedisStore.from_url("redis://user:secret@example.com:6400/2", "fleet")
    assert repr(store) == "RedisStore('redis://example.com:6400/2', namespace='fleet')"
    on_asyncio = AsyncRedisStore.from_url("rediss://:secret@example.com:6400/0", "fleet")
    assert "secret" not in repr(on_asyncio)
    assert repr(on_asyncio).startswith("AsyncRedisStore('rediss://example.com:6400/0'")
    store.close()


def test_objects_on_a_store_are_printed_with_it() -> None:
    store = RedisStore.from_url("redis://example.com:6400/2", "fleet")
    printed = "RedisStore('redis://example.com:6400/2', namespace='fleet')"
    assert repr(TaskManager(store)) == f"TaskManager({printed})"
    auction = BiddingProtocol("english", store, "well")
    assert repr(auction) == f"BiddingProtocol(auction_id='well', store={printed})"
    assert repr(Ballot(store, "leader")) == f"Ballot(vote_id='leader', store={printed})"
    assert repr(SharedCache(store)) == f"SharedCache({printed}, prefix='cache:')"
    assert repr(Worker(store, "ada", print)) == f"Worker({printed}, agent_id='ada')"
    with ClaimKeeper(store) as keeper:
        assert repr(keeper) == "ClaimKeeper(namespace='fleet', claims=0)"
    claim = Claim(Task(id="task", claim_token=7))
    assert repr(claim) == "Claim(task_id='task', claim_token=7, is_lost=False)"
    store.close()


def test_every_public_class_with_state_has_a_representation() -> None:
    classes = {name: getattr(converge_redis, name) for name in converge_redis.__all__}
    plain = {
        name for name, cls in classes.items() if inspect.isclass(cls) and cls.__repr__ is object.__repr__
    }
    assert plain == WITHOUT_STATE
