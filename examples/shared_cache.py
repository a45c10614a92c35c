"""Four processes call a slow function 10,000 times for 100 keys: it runs 100 times.

Run it with ``python -m examples.shared_cache``.
"""

import random
import time

from converge_redis import NearCache, RedisStore, SharedCache
from examples.processes import fleet, say

CALLS, KEYS = 2500, 100


def worker(url: str, name: str) -> None:
    """Call the function for random numbers."""
    with RedisStore.from_url(url, near_cache=NearCache()) as store:
        cache = SharedCache(store)

        @cache.cached(ttl=600, key="square:{number}")
        def square(number: int) -> int:
            time.sleep(0.02)
            return number * number

        draw = random.Random(name)  # noqa: S311 - not for security
        for _ in range(CALLS):
            square(draw.randrange(KEYS))
        statistics = cache.statistics()
        store.put(f"computes of {name}", statistics.computes)
        say(
            f"{name} computed {statistics.computes}, waited {statistics.waits} times, "
            f"read {statistics.hits} from the server and {statistics.near_hits} from its near cache"
        )


def main() -> None:
    """Sum up the computations of all processes."""
    with fleet(worker, ("ann",), ("bob",), ("cleo",), ("dan",)) as store:
        while store.count("computes of ") < 4:
            time.sleep(0.05)
        computes = sum(store.get_many(store.list("computes of ")).values())
        say(f"{4 * CALLS} calls, {computes} computations")


if __name__ == "__main__":
    main()
