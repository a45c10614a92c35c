"""One process of the fleet: several agents that share a store, in threads or on asyncio.

``python -m chaos.process '{"role": "worker", …}'``; SIGTERM ends it.
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

from chaos.history import Recorder
from chaos.programs import Program, run, run_async
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
class ProcessOptions:
    """The options of a process.

    Attributes:
        role: Its role.
        name: Its name, which no other process has.
        style: Whether its agents use blocking or asyncio managers.
        url: The server's URL.
        folder: The folder of the histories.
        seed: The seed of its random choices.
        agents: The number of its agents.
        tasks: Submitter: the number of tasks.
        seconds: Submitter: the seconds over which it submits them.
        max_batch: Submitter: the most tasks per call.
        task_ids: Waiter: the tasks to wait for.
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
    max_batch: int = 1
    task_ids: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the options as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make options from JSON."""
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
                    Submitter(self.name, random, self.tasks, self.seconds, self.max_batch).program()
                )
            else:
                method = "wait" if self.style == "sync" else "wait_until_done"
                programs.append(waiter(self.task_ids[number :: self.agents], random, stopped.is_set, method))
        return programs


def run_blocking(options: ProcessOptions, recorder: Recorder, stopped: threading.Event) -> None:
    """Run the programs of a process with blocking managers, each in a thread."""
    with RedisStore.from_url(options.url, NAMESPACE, socket_timeout=SOCKET_TIMEOUT) as store:
        manager = TaskManager(store)
        programs = options.programs(stopped)
        with ThreadPoolExecutor(len(programs)) as threads:
            for future in [threads.submit(run, program, manager, recorder) for program in programs]:
                future.result()


async def run_asyncio(options: ProcessOptions, recorder: Recorder, stopped: threading.Event) -> None:
    """Run the programs of a process with asyncio managers, concurrently."""
    store = AsyncRedisStore.from_url(options.url, NAMESPACE, socket_timeout=SOCKET_TIMEOUT)
    try:
        await asyncio.gather(
            *(run_async(program, AsyncTaskManager(store), recorder) for program in options.programs(stopped))
        )
    finally:
        await store.aclose()


def open_namespace(options: ProcessOptions, recorder: Recorder) -> None:
    """Open the namespace; retry until it succeeds, since faults may begin at once."""
    while True:
        store = RedisStore.from_url(options.url, NAMESPACE, socket_timeout=SOCKET_TIMEOUT)
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
    """Run the process."""
    options = ProcessOptions.from_json(sys.argv[1])
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    recorder = Recorder(Path(options.folder), options.name)
    open_namespace(options, recorder)
    if options.style == "sync":
        run_blocking(options, recorder, stopped)
    else:
        asyncio.run(run_asyncio(options, recorder, stopped))


if __name__ == "__main__":
    main()
