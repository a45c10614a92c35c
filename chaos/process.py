"""One process of the fleet: several agents that share a store, blocking in threads or on asyncio.

``python -m chaos.process '{"role": "worker", …}'``; SIGTERM asks it to end.
"""

import asyncio
import json
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Literal, Self

from chaos.acts import Program, run, run_async
from chaos.history import Recorder
from chaos.submitter import Submitter
from chaos.waiter import waiter
from chaos.worker import Worker
from converge_redis import AsyncRedisStore, AsyncTaskManager, RedisStore, TaskManager
from converge_redis.errors import ConvergeError

NAMESPACE = "chaos"
SOCKET_TIMEOUT = 1.0
OPEN_PAUSE = 0.1

Role = Literal["worker", "submitter", "waiter"]
Style = Literal["sync", "async"]


@dataclass(frozen=True)
class Orders:
    """What a process is to do.

    Attributes:
        role: What it is.
        name: Its name, which no other process ever has.
        style: Whether it blocks.
        url: Where the server is.
        folder: Where histories are.
        seed: What decides what it does.
        agents: How many agents it has.
        tasks: Submitter: how many tasks. Waiter: unused.
        seconds: Submitter: how long that takes.
        together: Submitter: the most tasks at a time.
        task_ids: Waiter: what to wait for.
    """

    role: Role
    name: str
    style: Style
    url: str
    folder: str
    seed: str
    agents: int = 1
    tasks: int = 0
    seconds: float = 0.0
    together: int = 1
    task_ids: tuple[str, ...] = ()

    def written(self) -> str:
        """Return the orders as text."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """Read orders from text."""
        return cls(**json.loads(text))

    def programs(self, stopped: threading.Event) -> list[Program]:
        """Make the program of each agent."""
        programs: list[Program] = []
        for number in range(self.agents):
            random = Random(f"{self.seed}/{self.name}/{number}")
            if self.role == "worker":
                topics = random.choice((None, None, ["a"], ["b"], ["a", "b"]))
                programs.append(
                    Worker(
                        f"{self.name}-{number}", random, stopped.is_set, topics if number else None
                    ).program()
                )
            elif self.role == "submitter":
                programs.append(
                    Submitter(self.name, random, self.tasks, self.seconds, self.together).program()
                )
            else:
                verb = "wait" if self.style == "sync" else "wait_until_done"
                programs.append(waiter(self.task_ids[number :: self.agents], random, stopped.is_set, verb))
        return programs


def carry_out(orders: Orders, recorder: Recorder, stopped: threading.Event) -> None:
    """Run a blocking process's programs, each in a thread."""
    with RedisStore.from_url(orders.url, NAMESPACE, socket_timeout=SOCKET_TIMEOUT) as store:
        manager = TaskManager(store)
        programs = orders.programs(stopped)
        with ThreadPoolExecutor(len(programs)) as threads:
            for future in [threads.submit(run, program, manager, recorder) for program in programs]:
                future.result()


async def carry_out_async(orders: Orders, recorder: Recorder, stopped: threading.Event) -> None:
    """Run the programs of a process on asyncio together."""
    store = AsyncRedisStore.from_url(orders.url, NAMESPACE, socket_timeout=SOCKET_TIMEOUT)
    try:
        await asyncio.gather(
            *(run_async(program, AsyncTaskManager(store), recorder) for program in orders.programs(stopped))
        )
    finally:
        await store.aclose()


def open_namespace(orders: Orders, recorder: Recorder) -> None:
    """Agree on the namespace; as often as it takes, since faults may begin at once."""
    while True:
        store = RedisStore.from_url(orders.url, NAMESPACE, socket_timeout=SOCKET_TIMEOUT)
        try:
            with recorder.call("open"):
                store.open()
        except ConvergeError:
            time.sleep(OPEN_PAUSE)
        else:
            return
        finally:
            store.close()


def main() -> None:
    """Do what the orders say."""
    orders = Orders.read(sys.argv[1])
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    recorder = Recorder(Path(orders.folder), orders.name)
    open_namespace(orders, recorder)
    if orders.style == "sync":
        carry_out(orders, recorder, stopped)
    else:
        asyncio.run(carry_out_async(orders, recorder, stopped))


if __name__ == "__main__":
    main()
