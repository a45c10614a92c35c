"""Groups of processes that call a function at the same time."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from tests.support.backends import TIMEOUT


class ProcessGroup:
    """Processes, each at the other end of a pipe, that call a function at the same time."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def __len__(self) -> int:
        return len(self._pipes)

    def call(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Call a module's function in all processes at once, with the process's number as first argument."""
        for pipe in self._pipes:
            pipe.send((function, args))
        with ThreadPoolExecutor(len(self._pipes)) as threads:
            answers = list(threads.map(lambda pipe: pipe.recv(), self._pipes))
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers


@contextmanager
def process_group(size: int) -> Iterator[ProcessGroup]:
    """Start `size` processes, and end them after the block."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(size)
    pipes = [context.Pipe() for _ in range(size)]
    processes = [
        context.Process(target=_serve, args=(number, far, barrier), daemon=True)
        for number, (_, far) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    try:
        yield ProcessGroup([near for near, _ in pipes])
    finally:
        for near, _ in pipes:
            near.send(None)
        for process in processes:
            process.join(TIMEOUT)
            process.kill()


def _serve(number: int, pipe: Connection, barrier: Any) -> None:
    while (request := pipe.recv()) is not None:
        function, args = request
        barrier.wait(TIMEOUT)
        try:
            answer = function(number, *args)
        except BaseException as error:
            answer = error
        pipe.send(answer)
