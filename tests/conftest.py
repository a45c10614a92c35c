"""Fixtures of all tests: servers, fleets, and the checks after each test that used one."""

import shutil
from collections.abc import AsyncIterator, Iterator

import fakeredis
import pytest

from converge_redis import TaskManager
from converge_redis.notifications import listener
from tests.support.backends import TIMEOUT, Backend, Servers, until
from tests.support.fleet import Fleet, Style
from tests.support.leaks import leaked_keys

DEBIAN = shutil.which("redis-server")
"""The binary of a second real server, if one is installed."""

REAL = ["embedded", *(["redis"] if DEBIAN else [])]
FLAVOURS = ["fake", *REAL]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The real servers of this test process. Tests that need one fail where none is installed."""
    started = Servers()
    yield started
    started.stop()


def make_backend(flavour: str, servers: Servers) -> Backend:
    if flavour == "fake":
        return Backend("fake", fake=fakeredis.FakeServer())
    backend = Backend(flavour, servers.url(flavour, DEBIAN if flavour == "redis" else None))
    backend.flush()
    return backend


@pytest.fixture(autouse=True)
def unhurried_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners unregister completely, however slow the machine is."""
    monkeypatch.setattr(listener, "UNREGISTER_TIMEOUT", TIMEOUT)


@pytest.fixture(params=FLAVOURS)
def backend(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Backend]:
    """Each kind of server: the fake, the embedded one, and ``redis-server`` if it is installed."""
    backend = make_backend(request.param, servers)
    yield backend
    backend.close()


@pytest.fixture
def real(servers: Servers) -> Iterator[Backend]:
    """The embedded server."""
    backend = make_backend("embedded", servers)
    yield backend
    backend.close()


@pytest.fixture(params=["sync", "async"])
async def fleet(request: pytest.FixtureRequest, backend: Backend) -> AsyncIterator[Fleet]:
    """Blocking and asyncio managers on each kind of server; fails if a test leaves a key without an owner."""
    async for fleet in _fleet(backend, request.param):
        yield fleet


@pytest.fixture(params=["sync", "async"])
async def real_fleet(request: pytest.FixtureRequest, real: Backend) -> AsyncIterator[Fleet]:
    """As `fleet`, on the embedded server only: for tests of what the fake lacks."""
    async for fleet in _fleet(real, request.param):
        yield fleet


async def _fleet(backend: Backend, style: Style) -> AsyncIterator[Fleet]:
    fleet = Fleet(backend, style)
    try:
        yield fleet
    finally:
        await fleet.close()
    check_left_clean(fleet)


def check_left_clean(fleet: Fleet) -> None:
    """Check that every key has an owner, that the audit finds nothing, and that no subscription is left."""
    if fleet.is_intact:
        for namespace in fleet.namespaces.values():
            with fleet.backend.store(namespace.name, namespace.shards) as store:
                assert TaskManager(store).audit() == []
        assert leaked_keys(fleet.raw, fleet.namespaces.values()) == []
    if fleet.backend.is_real:
        until(lambda: not fleet.raw.pubsub_channels("*"))
