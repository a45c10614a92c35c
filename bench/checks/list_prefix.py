"""What does it cost to list the keys with a prefix, among few keys and among a million?

    python -m bench.checks.list_prefix [--keys 1000000] [--rounds 300]

A hundred keys have the prefix. Rounds alternate between a namespace with ten others and one with a million.
Exits with 1 unless the median among the million is at most 1.5 times the other.
"""

import argparse
import statistics
import sys
import time

from converge_redis import EmbeddedServer, RedisStore

TARGET = 1.5
MATCHES = 100


def fill(store: RedisStore, others: int) -> None:
    """Store the keys that match, and others before and after them."""
    store.put_many({f"match:{number:03}": number for number in range(MATCHES)})
    for start in range(0, others, 100_000):
        numbers = range(start, min(start + 100_000, others))
        store.put_many({f"{'az'[number % 2]}:{number}": number for number in numbers})


def timed(store: RedisStore) -> float:
    """Seconds of one list."""
    begun = time.perf_counter()
    assert len(store.list("match:")) == MATCHES
    return time.perf_counter() - begun


def main() -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=300)
    given = parser.parse_args()
    with (
        EmbeddedServer() as server,
        RedisStore.from_url(server.url, "few") as few,
        RedisStore.from_url(server.url, "many") as many,
    ):
        fill(few, 10)
        fill(many, given.keys)
        rounds = [(timed(few), timed(many)) for _ in range(given.rounds)]
    few_ms, many_ms = (statistics.median(times) * 1000 for times in zip(*rounds, strict=True))
    ratio = many_ms / few_ms
    print(f"{MATCHES} matches: {few_ms:.3f} ms among 110 keys, {many_ms:.3f} ms among {given.keys + MATCHES}")
    print(f"ratio {ratio:.2f} (at most {TARGET})")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
