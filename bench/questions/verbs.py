"""What do single verbs cost, and what does each promise add?"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.questions.question import Measure, Measured, Metric, Question, Settings
from converge_redis import (
    AsyncRedisStore,
    AsyncTaskManager,
    Ballot,
    BiddingProtocol,
    ClaimKeeper,
    CoordinationMetrics,
    RedisStore,
    Task,
    TaskManager,
)

TASKS = 2000
INPUTS = {"text": "x" * 190}


@contextlib.contextmanager
def claiming(settings: Settings) -> Iterator[Measure]:
    """Claim and report, one by one."""
    count = settings.tasks(TASKS)

    def blocking(url: str) -> float:
        with RedisStore.from_url(url) as store:
            return _cycles(TaskManager(store), count)

    def on_asyncio(url: str) -> float:
        async def run() -> float:
            async with AsyncRedisStore.from_url(url) as store:
                manager = AsyncTaskManager(store)
                await manager.submit_many(Task(inputs=INPUTS) for _ in range(count))
                begun = time.perf_counter()
                for _ in range(count):
                    (task,) = await manager.claim_next("agent")
                    await manager.report("agent", task.id, 1, claim_token=task.claim_token)
                return time.perf_counter() - begun

        return asyncio.run(run())

    def measure(name: str) -> Measured:
        with settings.server() as server:
            return {"rate": count / (blocking if name == "blocking" else on_asyncio)(server.url)}

    yield measure


def _cycles(
    manager: TaskManager,
    count: int,
    *,
    with_token: bool = True,
    around: Callable[[Task], Any] = lambda _task: None,
    after: Callable[[Task], Any] = lambda _task: None,
) -> float:
    """Submit tasks, then claim and report them one by one; return the seconds of the latter."""
    manager.submit_many(Task(inputs=INPUTS) for _ in range(count))
    begun = time.perf_counter()
    for _ in range(count):
        (task,) = manager.claim_next("agent")
        around(task)
        manager.report("agent", task.id, 1, claim_token=task.claim_token if with_token else None)
        after(task)
    return time.perf_counter() - begun


class _Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __getattr__(self, _name: str) -> Callable[..., None]:
        def count(*_args: Any, **_kwargs: Any) -> None:
            self.calls += 1

        return count


@contextlib.contextmanager
def promising(settings: Settings) -> Iterator[Measure]:
    """Claim and report with and without each promise."""
    count = settings.tasks(TASKS)

    def measure(name: str) -> Measured:
        ttl = None if name in {"neither lease nor token", "token"} else 30.0
        with settings.server() as server, RedisStore.from_url(server.url, claim_ttl_sec=ttl) as store:
            manager = TaskManager(store)
            if name == "lease, token, a keeper":
                with ClaimKeeper(store) as keeper:
                    seconds = _cycles(
                        manager,
                        count,
                        around=lambda task: keeper.keep(task, time.monotonic()),
                        after=keeper.discard,
                    )
            elif name == "lease, token, running":
                seconds = _cycles(manager, count, around=lambda task: manager.start("agent", task.id))
            elif name == "lease, token, metrics":
                counting: Any = _Counting()
                metrics: CoordinationMetrics = counting
                seconds = _cycles(TaskManager(store, coordination_metrics=metrics), count)
            else:
                seconds = _cycles(manager, count, with_token="neither" not in name)
            return {"a task": seconds / count * 1e6}

    yield measure


PROMISES = (
    "neither lease nor token",
    "token",
    "lease, token",
    "lease, token, a keeper",
    "lease, token, running",
    "lease, token, metrics",
)


@contextlib.contextmanager
def protocols(settings: Settings) -> Iterator[Measure]:
    """Bids into one auction, votes into one ballot, one by one."""
    count = settings.tasks(TASKS)

    def measure(name: str) -> Measured:
        with settings.server() as server, RedisStore.from_url(server.url) as store:
            agents = [f"agent-{number}" for number in range(count)]
            if name == "votes":
                ballot = Ballot(store, "ballot", options=["yes", "no"])
                act: Callable[[str], Any] = lambda agent: ballot.vote(agent, "yes")  # noqa: E731
            else:
                english: dict[str, Any] = {"increment": 1.0, "quiet_sec": 600.0}
                auction = (
                    BiddingProtocol("english", store, "auction", **english)
                    if name == "bids in an English auction"
                    else BiddingProtocol("first_price_sealed_bid", store, "auction")
                )
                amounts = itertools.count(1)
                act = lambda agent: auction.submit_bid(agent, float(next(amounts)))  # noqa: E731
            begun = time.perf_counter()
            for agent in agents:
                act(agent)
            return {"rate": count / (time.perf_counter() - begun)}

    yield measure


QUESTIONS = (
    Question(
        "claim_and_report",
        "Tasks claimed and reported one by one",
        [Metric("rate", "tasks/s")],
        lambda _settings: ("blocking", "asyncio"),
        claiming,
    ),
    Question(
        "promises",
        "Claim and report of a task, by what is promised",
        [Metric("a task", "µs", more_is_better=False)],
        lambda _settings: PROMISES,
        promising,
    ),
    Question(
        "protocols",
        "Bids and votes one by one",
        [Metric("rate", "calls/s")],
        lambda _settings: ("sealed bids", "bids in an English auction", "votes"),
        protocols,
    ),
)
