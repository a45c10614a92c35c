"""Processes that call a protocol at the same time."""

from collections.abc import Iterator

import pytest

from tests.support.processes import ProcessGroup, process_group


@pytest.fixture(scope="package")
def processes() -> Iterator[ProcessGroup]:
    """Sixteen processes; a function for fewer of them does nothing in the others."""
    with process_group(16) as processes:
        yield processes
