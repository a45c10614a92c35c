"""Entry point of the fleet's processes: ``python -m converge_redis.demo ROLE FOLDER [WORKER]``."""

import os
import sys
from pathlib import Path

from converge_redis.demo.collector import collect
from converge_redis.demo.folder import RunFolder
from converge_redis.demo.parent_watch import watch_parent
from converge_redis.demo.submitter import submit
from converge_redis.demo.worker import make_worker
from converge_redis.errors import ConvergeError
from converge_redis.store.redis_store import RedisStore


def main(role: str, path: str, name: str | None = None) -> None:
    """Run one process of the fleet. Only the main process starts this command.

    Args:
        role: ``submitter``, ``collector`` or ``worker``.
        path: The folder of the run.
        name: The name of the worker; None for the other roles.
    """
    folder = RunFolder(Path(path))
    try:
        with RedisStore.from_url(os.environ["CONVERGE_REDIS_URL"], folder.read_namespace()) as store:
            if name is not None:
                worker = make_worker(store, folder, folder.read_worker(name))
                watch_parent(name, worker.drain)
                worker.run()
                return
            watch_parent(role, store.close)
            if role == "submitter":
                submit(store, folder)
            else:
                collect(store, folder)
    except ConvergeError as error:
        sys.exit(f"{name or role}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
