"""The faults: injected in an order that depends on the seed, undone after a while, and counted."""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from chaos.fleet import Fleet
from chaos.proxy import Proxy
from chaos.server import Server

MIN_LEASE, MAX_LEASE = 1.0, 2.0


class Faults:
    """Injects faults.

    Args:
        server: The server.
        proxy: The proxy between the processes and the server.
        fleet: The processes.
        random: Chooses the faults.

    Attributes:
        counts: How many times each kind of fault was injected.
        kinds: The functions that inject a fault, by kind; each returns whether it had an effect.
    """

    def __init__(self, server: Server, proxy: Proxy, fleet: Fleet, random: Random) -> None:
        self._server = server
        self._proxy = proxy
        self._fleet = fleet
        self._random = random
        self._undo: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._next_kinds: list[str] = []
        self.counts = Counter[str]()
        self.kinds: dict[str, Callable[[], bool]] = {
            "worker killed (SIGKILL)": self._kill_worker,
            "worker suspended for longer than a lease (SIGSTOP)": self._suspend_worker,
            "server killed (SIGKILL) and restarted": self._kill_server,
            "server suspended for a while (SIGSTOP)": self._suspend_server,
            "connections closed": self._close_connections,
            "connections delayed": self._delay,
            "connections half-open": self._stall,
            "replies lost, connection closed": self._lose_replies,
            "SCRIPT FLUSH": self._flush_scripts,
            "CLIENT KILL TYPE normal": lambda: self._kill_clients("normal"),
            "CLIENT KILL TYPE pubsub": lambda: self._kill_clients("pubsub"),
            "maxmemory reached": self._limit_memory,
        }

    @property
    def is_complete(self) -> bool:
        """Whether each kind of fault was injected at least once."""
        return all(self.counts[kind] for kind in self.kinds)

    def inject_next(self) -> None:
        """Undo the faults that are due, and inject one: each kind once per cycle, in random order."""
        self._undo_until(time.monotonic())
        if not self._next_kinds:
            self._next_kinds = self._random.sample([*self.kinds], len(self.kinds))
        kind = self._next_kinds.pop()
        if self.kinds[kind]():
            self.counts[kind] += 1

    def pause(self) -> float:
        """Return the seconds until the next fault."""
        return self._random.uniform(0.1, 0.7)

    def undo_all(self) -> None:
        """Undo all faults."""
        self._undo_until(float("inf"))

    def _undo_until(self, at: float) -> None:
        while self._undo and self._undo[0][0] <= at:
            heapq.heappop(self._undo)[2]()

    def _undo_later(self, seconds: float, undo: Callable[[], object]) -> bool:
        heapq.heappush(self._undo, (time.monotonic() + seconds, next(self._numbers), undo))
        return True

    def _kill_worker(self) -> bool:
        workers = [worker for worker in self._fleet.running("worker") if not worker.suspended]
        if workers:
            self._fleet.kill(self._random.choice(workers))
        return bool(workers)

    def _suspend_worker(self) -> bool:
        workers = [worker for worker in self._fleet.running("worker") if not worker.suspended]
        if len(workers) < 2:
            return False
        worker = self._random.choice(workers)
        self._fleet.suspend(worker)
        seconds = self._random.uniform(MIN_LEASE, MAX_LEASE) + 0.3
        return self._undo_later(seconds, lambda: self._fleet.resume(worker))

    def _kill_server(self) -> bool:
        self._server.kill(self._random)
        time.sleep(self._random.choice((0.0, 0.2, 0.8)))
        self._server.start()
        return True

    def _suspend_server(self) -> bool:
        self._server.suspend()
        time.sleep(self._random.choice((0.1, 0.5, 1.5)))
        self._server.resume()
        return True

    def _close_connections(self) -> bool:
        return self._proxy.close_connections(self._random.choice((0.1, 0.5, 1.0))) > 0

    def _delay(self) -> bool:
        self._proxy.delay(self._random.choice((0.02, 0.1, 0.4)))
        return self._undo_later(self._random.uniform(0.3, 1.0), lambda: self._proxy.delay(0.0))

    def _stall(self) -> bool:
        return self._proxy.stall(self._random.choice((0.1, 0.5, 1.0)), self._random.uniform(0.3, 2.5)) > 0

    def _lose_replies(self) -> bool:
        return self._proxy.lose_replies(self._random.choice((0.2, 0.5, 1.0))) > 0

    def _flush_scripts(self) -> bool:
        self._server.client().script_flush()
        return True

    def _kill_clients(self, kind: str) -> bool:
        return bool(self._server.client().client_kill_filter(_type=kind, skipme=True))

    def _limit_memory(self) -> bool:
        client = self._server.client()
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 1)
        return self._undo_later(self._random.uniform(0.2, 0.8), self._lift_memory_limit)

    def _lift_memory_limit(self) -> None:
        self._server.client().config_set("maxmemory", 0)
