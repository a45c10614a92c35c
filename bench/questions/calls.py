"""The cost of single calls, and of each guarantee."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.questions.question import Measure, Measurement, Metric, Question, Settings
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
    """Measure claim and report, one by one."""
    count = settings.tasks(TASKS)

    def blocking(url: str) -> float:
        with RedisStore.from_url(url) as store:
            return _cycles(TaskManager(store), count)

    def on_asyncio(url: str) -> float:
        async def run() -> float:
            async with AsyncRedisStore.from_url(url) as store:
                manager = AsyncTaskManager(store)
                await manager.submit_many(Task(inputs=INPUTS) for _ in range(count))
                started = time.perf_counter()
                for _ in range(count):
                    (task,) = await manager.claim_next("agent")
                    await manager.report("agent", task.id, 1, claim_token=task.claim_token)
                return time.perf_counter() - started

        return asyncio.run(run())

    def measure(name: str) -> Measurement:
        with settings.server() as server:
            return {"rate": count / (blocking if name == "blocking" else on_asyncio)(server.url)}

    yield measure


def _cycles(
    manager: TaskManager,
    count: int,
    *,
    with_token: bool = True,
    after_claim: Callable[[Task], Any] = lambda _task: None,
    after_report: Callable[[Task], Any] = lambda _task: None,
) -> float:
    """Submit tasks, then claim and report them one by one; return the seconds of claims and reports."""
    manager.submit_many(Task(inputs=INPUTS) for _ in range(count))
    started = time.perf_counter()
    for _ in range(count):
        (task,) = manager.claim_next("agent")
        after_claim(task)
        manager.report("agent", task.id, 1, claim_token=task.claim_token if with_token else None)
        after_report(task)
    return time.perf_counter() - started


class _CountingMetrics:
    def __init__(self) -> None:
        self.calls = 0

    def __getattr__(self, _name: str) -> Callable[..., None]:
        def count(*_args: Any, **_kwargs: Any) -> None:
            self.calls += 1

        return count


@contextlib.contextmanager
def guarantees(settings: Settings) -> Iterator[Measure]:
    """Measure claim and report with and without each guarantee."""
    count = settings.tasks(TASKS)

    def measure(name: str) -> Measurement:
        ttl = None if name in {"neither lease nor token", "token"} else 30.0
        with settings.server() as server, RedisStore.from_url(server.url, claim_ttl_sec=ttl) as store:
            manager = TaskManager(store)
            if name == "lease, token, claim keeper":
                with ClaimKeeper(store) as keeper:
                    seconds = _cycles(
                        manager,
                        count,
                        after_claim=lambda task: keeper.keep(task, time.monotonic()),
                        after_report=keeper.discard,
                    )
            elif name == "lease, token, running":
                seconds = _cycles(manager, count, after_claim=lambda task: manager.start("agent", task.id))
            elif name == "lease, token, metrics":
                counting: Any = _CountingMetrics()
                metrics: CoordinationMetrics = counting
                seconds = _cycles(TaskManager(store, coordination_metrics=metrics), count)
            else:
                seconds = _cycles(manager, count, with_token="neither" not in name)
            return {"a task": seconds / count * 1e6}

    yield measure


GUARANTEES = (
    "neither lease nor token",
    "token",
    "lease, token",
    "lease, token, claim keeper",
    "lease, token, running",
    "lease, token, metrics",
)


@contextlib.contextmanager
def protocols(settings: Settings) -> Iterator[Measure]:
    """Measure bids in one auction and votes in one ballot, one by one."""
    count = settings.tasks(TASKS)

    def measure(name: str) -> Measurement:
        with settings.server() as server, RedisStore.from_url(server.url) as store:
            agents = [f"agent-{number}" for number in range(count)]
            if name == "votes":
                ballot = Ballot(store, "ballot", options=["yes", "no"])
                call: Callable[[str], Any] = lambda agent: ballot.vote(agent, "yes")  # noqa: E731
            else:
                english: dict[str, Any] = {"increment": 1.0, "quiet_sec": 600.0}
                auction = (
                    BiddingProtocol("english", store, "auction", **english)
                    if name == "bids in an English auction"
                    else BiddingProtocol("first_price_sealed_bid", store, "auction")
                )
                amounts = itertools.count(1)
                call = lambda agent: auction.submit_bid(agent, float(next(amounts)))  # noqa: E731
            started = time.perf_counter()
            for agent in agents:
                call(agent)
            return {"rate": count / (time.perf_counter() - started)}

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
        "Claim and report of a task, by guarantee",
        [Metric("a task", "µs", higher_is_better=False)],
        lambda _settings: GUARANTEES,
        guarantees,
    ),
    Question(
        "protocols",
        "Bids and votes one by one",
        [Metric("rate", "calls/s")],
        lambda _settings: ("sealed bids", "bids in an English auction", "votes"),
        protocols,
    ),
)
