"""Compare the store and the shared cache with cashews, aiocache and dogpile.cache on one server.

    pip install 'converge-redis[bench]'
    python -m bench.checks.cache_peers [--rounds 9] [--calls 2000]

Measures calls one after the other, blocking calls with dogpile.cache and asyncio calls with cashews and
aiocache, in alternating rounds; prints medians. Then a cold stampede: four processes with eight callers each
request five keys at the same time. Exits with 1 unless our remote hits are at least as fast as those of the
peers, our near hits are ten times as fast, and our caches compute each key once.
"""

import argparse
import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.checks.cache_stampede import CALLERS, KEYS, PROCESSES, STAMPEDES, stampede
from bench.checks.cache_systems import async_calls, blocking_calls
from converge_redis import EmbeddedServer

OURS = {"store", "cache"}
NEAR_TARGET = 10.0


@dataclass
class Line:
    """A line of the table.

    Attributes:
        system: The name of the system.
        call: The kind of call.
        kind: ``blocking`` or ``asyncio``.
        rates: Calls per second by round.
    """

    system: str
    call: str
    kind: str
    rates: list[float]

    @property
    def rate(self) -> float:
        """The median rate."""
        return statistics.median(self.rates)


def measure_blocking(port: int, rounds: int, calls: int) -> list[Line]:
    """Measure all blocking systems in rounds."""
    closers: list[Any] = []
    lines = {
        name: (Line(*name, "blocking", []), call) for name, call in blocking_calls(port, closers).items()
    }
    for _ in range(rounds):
        for line, call in lines.values():
            started = time.perf_counter()
            for _ in range(calls):
                call()
            line.rates.append(calls / (time.perf_counter() - started))
    for close in closers:
        close()
    return [line for line, _ in lines.values()]


async def measure_async(port: int, rounds: int, calls: int) -> list[Line]:
    """Measure all systems on asyncio in rounds."""
    closers: list[Any] = []
    calls_by_name = await async_calls(port, closers)
    lines = {name: (Line(*name, "asyncio", []), call) for name, call in calls_by_name.items()}
    for _ in range(rounds):
        for line, call in lines.values():
            started = time.perf_counter()
            for _ in range(calls):
                await call()
            line.rates.append(calls / (time.perf_counter() - started))
    for close in closers:
        await close()
    return [line for line, _ in lines.values()]


def compare(lines: list[Line]) -> bool:
    """Print the ratios of our rates to those of the peers; return whether all targets are reached."""
    passed = True
    for kind in ("blocking", "asyncio"):
        of_kind = [line for line in lines if line.kind == kind]
        for line in of_kind:
            if line.system in OURS and line.call != "set":
                is_near = line.call == "near hit"
                peer_call, target = ("get hit", NEAR_TARGET) if is_near else (line.call, 1.0)
                peers = [peer for peer in of_kind if peer.call == peer_call and peer.system not in OURS]
                ratios = {peer.system: line.rate / peer.rate for peer in peers}
                text = ", ".join(f"{ratio:.2f} of {system}" for system, ratio in ratios.items())
                print(f"{kind}, {line.system}, {line.call}: {text} ({peer_call}; at least {target})")
                passed &= min(ratios.values()) >= target
    return passed


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    with EmbeddedServer(port=0) as server:
        port = int(server.url.partition("127.0.0.1:")[2].split("/")[0])
        lines = measure_blocking(port, options.rounds, options.calls)
        lines += asyncio.run(measure_async(port, options.rounds, options.calls))
        print(f"{'':22}{'':13}{'':10}{'calls/s':>12}  spread")
        for line in sorted(lines, key=lambda line: (line.kind, line.call, -line.rate)):
            spread = f"{min(line.rates):,.0f} to {max(line.rates):,.0f}"
            print(f"{line.system:22}{line.call:13}{line.kind:10}{line.rate:12,.0f}  {spread}")
        passed = compare(lines)
        for system in STAMPEDES:
            computations, took = stampede(system, port)
            print(
                f"cold stampede, {system}: {computations} computations of {KEYS} keys "
                f"for {PROCESSES * CALLERS} callers, {took:.2f} s"
            )
            passed &= not system.startswith("ours") or computations == KEYS
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
