"""The measured systems: this project, and other queues, each in its best sensible configuration."""

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A measured system.

    Attributes:
        name: Its name in tables.
        driver: Its file in ``drivers/``.
        requirements: Its packages for pip or npm; none: it runs in this project's environment.
        configuration: Its configuration, with reasons.
        concurrency: The tasks in progress at the same time in a worker process.
        pace: The approximate tasks per second of a worker process, which determine the size of measurements.
        calls: The results that a round waits for, one after the other.
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
        "The same with AsyncRedisStore; one by one: each call is awaited before the next.",
        200,
        30000,
    ),
)

PEERS = (
    System(
        "BullMQ (Node)",
        "bullmq_node_driver.cjs",
        ("bullmq@6.7.0", "ioredis@5"),
        "addBulk with 1000 jobs per call; one Worker; results by QueueEvents.",
        pace=15000,
    ),
    System(
        "BullMQ (Python)",
        "bullmq_driver.py",
        ("bullmq==3.4.4", "uvloop"),
        "addBulk with 1000 jobs per call; one Worker on uvloop; results by QueueEvents.",
    ),
    System(
        "saq",
        "saq_driver.py",
        ("saq[redis,hiredis]==0.26.4", "typing_extensions", "uvloop"),
        "Results by publish and subscribe (apply); bulk submit by 100 concurrent calls.",
    ),
    System(
        "huey",
        "huey_driver.py",
        ("huey==3.5.4", "redis[hiredis]==8.1.0"),
        "RedisHuey with blocking pops and worker threads; in latency, a blocking pop waits for the result "
        "(notify_result). No bulk submit.",
        4,
    ),
    System(
        "dramatiq",
        "dramatiq_driver.py",
        ("dramatiq[redis]==2.2.1", "redis[hiredis]==8.1.0"),
        "Worker threads in one process; results in Redis, read with a blocking pop. No bulk submit.",
        8,
    ),
    System(
        "taskiq",
        "taskiq_driver.py",
        ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis[hiredis]==8.1.0", "uvloop"),
        "ListQueueBroker; results are polled every 10 ms (default: 200 ms). No bulk submit.",
    ),
    System(
        "arq",
        "arq_driver.py",
        ("arq==0.28.0", "hiredis==3.5.0", "uvloop"),
        "The queue and results are polled every 10 ms (default: 500 ms). No bulk submit.",
    ),
    System(
        "rq",
        "rq_driver.py",
        ("rq==3.0.0", "redis[hiredis]==8.1.0"),
        "SimpleWorker, which does not fork for each job; results by a blocking read; enqueue_many.",
        1,
        500,
    ),
    System(
        "celery",
        "celery_driver.py",
        ("celery[redis]==5.7.0", "redis[hiredis]==8.1.0"),
        "Thread pool in one process, without gossip, mingle and heartbeat; results in Redis; bulk submit by "
        "groups of 1000.",
        8,
        800,
    ),
    System(
        "streaq",
        "streaq_driver.py",
        ("streaq==7.2.0", "uvloop"),
        "Its worker on anyio; enqueue_many.",
        pace=1200,
        calls=50,
    ),
    System(
        "docket",
        "docket_driver.py",
        ("pydocket==0.27.0", "hiredis==3.5.0", "uvloop"),
        "Checks at most every 10 ms; redelivery after 2 s, since its worker drops a few of many tasks that "
        "are queued when it starts; bulk submit by 100 concurrent calls.",
        pace=1000,
    ),
)

SYSTEMS = {system.name: system for system in (*OURS, *PEERS)}
