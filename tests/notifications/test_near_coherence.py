"""Near caches of several processes and one writer; `bench/checks/near_coherence.py` runs it for longer."""

from concurrent.futures import ThreadPoolExecutor

from bench.checks.near_coherence import read_twice, write
from tests.support.backends import Backend, until
from tests.support.processes import process_group

PROCESSES = 4
READERS = 2 * PROCESSES
WRITES = 1500


def test_values_never_go_backwards_and_each_reader_sees_the_last_write(real: Backend) -> None:
    url, client = str(real.url), real.client()
    with process_group(PROCESSES) as processes, ThreadPoolExecutor(1) as threads:
        reading = threads.submit(processes.call, read_twice, url, WRITES)
        until(lambda: len(client.client_list(_type="pubsub")) == READERS)
        assert write(url, WRITES, 5) >= 0
        reports = [report for pair in reading.result() for report in pair]
    assert [report.last for report in reports] == [WRITES] * READERS
    assert sum(report.backwards for report in reports) == 0
    assert sum(report.near.hits for report in reports) > 0
