"""Near caches of several processes under one writer; `bench/checks/near_coherence.py` does it for longer."""

from concurrent.futures import ThreadPoolExecutor

from bench.checks.near_coherence import read_twice, write
from tests.support.backends import Backend
from tests.support.processes import process_group

WRITES = 1500


def test_no_reader_goes_backwards_and_each_sees_the_last_write(real: Backend) -> None:
    url = str(real.url)
    with process_group(4) as processes, ThreadPoolExecutor(1) as threads:
        reading = threads.submit(processes.call, read_twice, url, WRITES)
        assert write(url, WRITES, 5) >= 0
        reports = [report for pair in reading.result() for report in pair]
    assert [report.last for report in reports] == [WRITES] * 8
    assert sum(report.backwards for report in reports) == 0
    assert sum(report.near.hits for report in reports) > 0
