"""The queues that users have today, each in its best sensible configuration, and ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A system under test.

    Attributes:
        name: What the tables call it.
        driver: Its file in ``drivers/``.
        requirements: What its environment needs, as pip or npm take it; none: this project's own environment.
        configuration: What was chosen, and why.
        concurrency: How many tasks one worker process works on at a time.
        calls: How many results one round waits for, one after the other.
        pace: About how many tasks one worker process does in a second: so many does a measurement take.
    """

    name: str
    driver: str
    requirements: tuple[str, ...]
    configuration: str
    concurrency: int = 100
    pace: int = 2500
    calls: int = 500

    @property
    def is_node(self) -> bool:
        """Whether it runs on Node.js."""
        return self.driver.endswith(".cjs")

    @property
    def is_ours(self) -> bool:
        """Whether it is this project."""
        return not self.requirements


OURS = (
    System(
        "ours",
        "ours_driver.py",
        (),
        "RedisStore with leases of 30 s that the worker renews; one Worker with a coroutine function, "
        "concurrency 200 (at most 100 tasks come from one call).",
        200,
        30000,
    ),
    System(
        "ours, asyncio",
        "ours_async_driver.py",
        (),
        "The same with AsyncRedisStore; one by one means that each call is awaited before the next.",
        200,
        30000,
    ),
)

PEERS = (
    System(
        "BullMQ (Node)",
        "bullmq_node_driver.cjs",
        ("bullmq@6.7.0", "ioredis@5"),
        "addBulk in calls of 1000; one Worker; results by QueueEvents.",
        pace=15000,
    ),
    System(
        "BullMQ (Python)",
        "bullmq_driver.py",
        ("bullmq==3.4.4", "uvloop"),
        "addBulk in calls of 1000; one Worker on uvloop; results by QueueEvents.",
    ),
    System(
        "saq",
        "saq_driver.py",
        ("saq[redis,hiredis]==0.26.4", "typing_extensions", "uvloop"),
        "Results by publish and subscribe (apply); in bulk by gathering 100 calls at a time.",
    ),
    System(
        "huey",
        "huey_driver.py",
        ("huey==3.5.4", "redis[hiredis]==8.1.0"),
        "RedisHuey with blocking pops and worker threads; results are waited for with a blocking pop "
        "(notify_result) in the test of latency. It has no bulk submit.",
        4,
    ),
    System(
        "dramatiq",
        "dramatiq_driver.py",
        ("dramatiq[redis]==2.2.1", "redis[hiredis]==8.1.0"),
        "Worker threads in one process, results in Redis, read with a blocking pop. It has no bulk submit.",
        8,
    ),
    System(
        "taskiq",
        "taskiq_driver.py",
        ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis[hiredis]==8.1.0", "uvloop"),
        "ListQueueBroker; its result is polled, here every 10 ms (200 ms by default). It has no bulk submit.",
    ),
    System(
        "arq",
        "arq_driver.py",
        ("arq==0.28.0", "hiredis==3.5.0", "uvloop"),
        "It polls the queue and the result: here every 10 ms (500 ms by default). It has no bulk submit.",
    ),
    System(
        "rq",
        "rq_driver.py",
        ("rq==3.0.0", "redis[hiredis]==8.1.0"),
        "SimpleWorker, which does not fork for each job; results by its blocking read; enqueue_many.",
        1,
        500,
    ),
    System(
        "celery",
        "celery_driver.py",
        ("celery[redis]==5.7.0", "redis[hiredis]==8.1.0"),
        "Pool of threads in one process, without gossip, mingle and heartbeat; results in Redis; in bulk by "
        "groups of 1000.",
        8,
        800,
    ),
    System(
        "streaq",
        "streaq_driver.py",
        ("streaq==7.2.0", "uvloop"),
        "Its own worker on anyio, enqueue_many.",
        pace=1200,
        calls=50,
    ),
    System(
        "docket",
        "docket_driver.py",
        ("pydocket==0.27.0", "hiredis==3.5.0", "uvloop"),
        "Checks every 10 ms at most; redelivery after 2 s: of many tasks that are there when its worker "
        "starts, it drops a few, which come after that time; in bulk by gathering 100 calls at a time.",
        pace=1000,
    ),
)

SYSTEMS = {system.name: system for system in (*OURS, *PEERS)}
