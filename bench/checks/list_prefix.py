"""Check that a list of keys with a prefix costs the same among few keys and among a million.

    python -m bench.checks.list_prefix [--keys 1000000] [--rounds 300]

A hundred keys have the prefix. Rounds alternate between a namespace with ten other keys and one with a
million. Exits with 1 unless the median of the second is at most 1.5 times that of the first.
"""

import argparse
import statistics
import sys
import time

from converge_redis import EmbeddedServer, RedisStore

TARGET = 1.5
MATCHES = 100


def fill(store: RedisStore, others: int) -> None:
    """Store the matching keys, and other keys before and after them."""
    store.put_many({f"match:{number:03}": number for number in range(MATCHES)})
    for start in range(0, others, 100_000):
        numbers = range(start, min(start + 100_000, others))
        store.put_many({f"{'az'[number % 2]}:{number}": number for number in numbers})


def timed(store: RedisStore) -> float:
    """Return the seconds of one list."""
    started = time.perf_counter()
    assert len(store.list("match:")) == MATCHES
    return time.perf_counter() - started


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    with (
        EmbeddedServer() as server,
        RedisStore.from_url(server.url, "few") as few,
        RedisStore.from_url(server.url, "many") as many,
    ):
        fill(few, 10)
        fill(many, options.keys)
        rounds = [(timed(few), timed(many)) for _ in range(options.rounds)]
    few_ms, many_ms = (statistics.median(times) * 1000 for times in zip(*rounds, strict=True))
    ratio = many_ms / few_ms
    print(
        f"{MATCHES} matches: {few_ms:.3f} ms among 110 keys, {many_ms:.3f} ms among {options.keys + MATCHES}"
    )
    print(f"ratio {ratio:.2f} (at most {TARGET})")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
