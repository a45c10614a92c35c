"""Servers for all tests, and the checks that follow each test that has touched one."""

import shutil
from collections.abc import AsyncIterator, Iterator

import fakeredis
import pytest

from converge_redis import TaskManager
from converge_redis.notifications import listener
from tests.support.backends import SECONDS, Backend, Servers, until
from tests.support.fleet import Fleet, Style
from tests.support.leaks import leaks

DEBIAN = shutil.which("redis-server")
"""A second real server, where the machine has one."""

REAL = ["embedded", *(["redis"] if DEBIAN else [])]
FLAVOURS = ["fake", *REAL]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real servers of this process. Without a binary to run the tests that need one fail."""
    started = Servers()
    yield started
    started.stop()


def make_backend(flavour: str, servers: Servers) -> Backend:
    if flavour == "fake":
        return Backend("fake", fake=fakeredis.FakeServer())
    backend = Backend(flavour, servers.url(flavour, DEBIAN if flavour == "redis" else None))
    backend.empty()
    return backend


@pytest.fixture(autouse=True)
def patient_farewells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners leave nothing behind, however slow the machine is."""
    monkeypatch.setattr(listener, "UNREGISTER_TIMEOUT", SECONDS)


@pytest.fixture(params=FLAVOURS)
def backend(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Backend]:
    """Each server in turn."""
    backend = make_backend(request.param, servers)
    yield backend
    backend.close()


@pytest.fixture
def real(servers: Servers) -> Iterator[Backend]:
    """The real server that the package brings."""
    backend = make_backend("embedded", servers)
    yield backend
    backend.close()


@pytest.fixture(params=["sync", "async"])
async def fleet(request: pytest.FixtureRequest, backend: Backend) -> AsyncIterator[Fleet]:
    """Blocking and asynchronous managers in turn on each server in turn; nothing may be left behind."""
    async for fleet in _fleet(backend, request.param):
        yield fleet


@pytest.fixture(params=["sync", "async"])
async def real_fleet(request: pytest.FixtureRequest, real: Backend) -> AsyncIterator[Fleet]:
    """As `fleet`, for what the fake cannot do."""
    async for fleet in _fleet(real, request.param):
        yield fleet


async def _fleet(backend: Backend, style: Style) -> AsyncIterator[Fleet]:
    fleet = Fleet(backend, style)
    try:
        yield fleet
    finally:
        await fleet.close()
    check_nothing_is_left(fleet)


def check_nothing_is_left(fleet: Fleet) -> None:
    """Every key has its reason, every task is where its state demands, and nobody listens any more."""
    if fleet.honest:
        for space in fleet.spaces.values():
            with fleet.backend.store(space.name, space.shards) as store:
                assert TaskManager(store).audit() == []
        assert leaks(fleet.raw, fleet.spaces.values()) == []
    if fleet.backend.is_real:
        until(lambda: not fleet.raw.pubsub_channels("*"))
