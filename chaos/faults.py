"""The faults, in an order that the seed decides; each is undone after a while, and counted."""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import redis

from chaos.fleet import Fleet
from chaos.proxy import Proxy
from chaos.server import Server

SHORTEST_LEASE, LONGEST_LEASE = 1.0, 2.0


class Faults:
    """Breaks things.

    Args:
        server: The server.
        proxy: What stands before it.
        fleet: The processes.
        random: What decides what happens.
    """

    def __init__(self, server: Server, proxy: Proxy, fleet: Fleet, random: Random) -> None:
        self._server = server
        self._proxy = proxy
        self._fleet = fleet
        self._random = random
        self._undo: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._deck: list[str] = []
        self.counts = Counter[str]()
        self.kinds: dict[str, Callable[[], bool]] = {
            "worker killed (SIGKILL)": self._kill_worker,
            "worker stopped for longer than a lease (SIGSTOP)": self._freeze_worker,
            "server killed (SIGKILL) and started anew": self._kill_server,
            "server stopped for a while (SIGSTOP)": self._pause_server,
            "connections cut": self._cut,
            "connections delayed": self._delay,
            "connections half-open": self._stall,
            "replies lost, connection cut": self._lose_replies,
            "SCRIPT FLUSH": self._flush_scripts,
            "CLIENT KILL TYPE normal": lambda: self._kill_clients("normal"),
            "CLIENT KILL TYPE pubsub": lambda: self._kill_clients("pubsub"),
            "maxmemory reached": self._fill,
        }

    def go_on(self) -> None:
        """Undo what is due, and break one more thing: each kind once in each round, in a random order."""
        self._undo_until(time.monotonic())
        if not self._deck:
            self._deck = self._random.sample([*self.kinds], len(self.kinds))
        kind = self._deck.pop()
        if self.kinds[kind]():
            self.counts[kind] += 1

    def pause(self) -> float:
        """Return the seconds until the next fault."""
        return self._random.uniform(0.1, 0.7)

    def end(self) -> None:
        """Undo everything."""
        self._undo_until(float("inf"))

    def _undo_until(self, at: float) -> None:
        while self._undo and self._undo[0][0] <= at:
            heapq.heappop(self._undo)[2]()

    def _later(self, seconds: float, undo: Callable[[], object]) -> bool:
        heapq.heappush(self._undo, (time.monotonic() + seconds, next(self._numbers), undo))
        return True

    def _kill_worker(self) -> bool:
        workers = [worker for worker in self._fleet.running("worker") if not worker.frozen]
        if workers:
            self._fleet.kill(self._random.choice(workers))
        return bool(workers)

    def _freeze_worker(self) -> bool:
        workers = [worker for worker in self._fleet.running("worker") if not worker.frozen]
        if len(workers) < 2:
            return False
        worker = self._random.choice(workers)
        self._fleet.freeze(worker)
        seconds = self._random.uniform(SHORTEST_LEASE, LONGEST_LEASE) + 0.3
        return self._later(seconds, lambda: self._fleet.thaw(worker))

    def _kill_server(self) -> bool:
        self._server.kill(self._random)
        time.sleep(self._random.choice((0.0, 0.2, 0.8)))
        self._server.start()
        return True

    def _pause_server(self) -> bool:
        self._server.pause()
        time.sleep(self._random.choice((0.1, 0.5, 1.5)))
        self._server.resume()
        return True

    def _cut(self) -> bool:
        return self._proxy.cut(self._random.choice((0.1, 0.5, 1.0))) > 0

    def _delay(self) -> bool:
        self._proxy.delay(self._random.choice((0.02, 0.1, 0.4)))
        return self._later(self._random.uniform(0.3, 1.0), lambda: self._proxy.delay(0.0))

    def _stall(self) -> bool:
        return self._proxy.stall(self._random.choice((0.1, 0.5, 1.0)), self._random.uniform(0.3, 2.5)) > 0

    def _lose_replies(self) -> bool:
        return self._proxy.lose_replies(self._random.choice((0.2, 0.5, 1.0))) > 0

    def _flush_scripts(self) -> bool:
        self._server.client().script_flush()
        return True

    def _kill_clients(self, kind: str) -> bool:
        return bool(self._server.client().client_kill_filter(_type=kind, skipme=True))

    def _fill(self) -> bool:
        client = self._server.client()
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 1)
        return self._later(self._random.uniform(0.2, 0.8), self._empty)

    def _empty(self) -> None:
        try:
            self._server.client().config_set("maxmemory", 0)
        except redis.RedisError:  # pragma: no cover - the server is always there between faults
            raise
