"""Fixtures of all tests: servers, fleets, and the checks after each test that used one."""

from collections.abc import AsyncIterator, Iterator

import fakeredis
import pytest

from converge_redis import EmbeddedServer, TaskManager
from converge_redis.notifications import listener
from tests.support.backends import TIMEOUT, Backend, until
from tests.support.fleet import Fleet, Style
from tests.support.leaks import leaked_keys


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        metavar="BINARY",
        help="the real server of the tests; by default the embedded one (see scripts/test-engines)",
    )


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[EmbeddedServer]:
    """The real server of this test process. Without one, the tests that need it fail."""
    with EmbeddedServer(binary=pytestconfig.getoption("server")) as server:
        yield server


@pytest.fixture(autouse=True)
def unhurried_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners unregister completely, however slow the machine is."""
    monkeypatch.setattr(listener, "UNREGISTER_TIMEOUT", TIMEOUT)


@pytest.fixture(params=["fake", "real"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The fake server and the real one in turn."""
    if request.param == "real":
        yield request.getfixturevalue("real")
        return
    backend = Backend(fake=fakeredis.FakeServer())
    yield backend
    backend.close()


@pytest.fixture
def real(server: EmbeddedServer) -> Iterator[Backend]:
    """The real server, empty."""
    backend = Backend(server.url)
    backend.flush()
    yield backend
    backend.close()


@pytest.fixture(params=["sync", "async"])
async def fleet(request: pytest.FixtureRequest, backend: Backend) -> AsyncIterator[Fleet]:
    """Blocking and asyncio managers on each server; fails if a key is left without an owner."""
    async for fleet in _fleet(backend, request.param):
        yield fleet


@pytest.fixture(params=["sync", "async"])
async def real_fleet(request: pytest.FixtureRequest, real: Backend) -> AsyncIterator[Fleet]:
    """As `fleet`, on the real server only: for tests of what the fake lacks."""
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
