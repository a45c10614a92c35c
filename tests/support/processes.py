"""Many processes that do something at once."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from tests.support.backends import SECONDS


class Crowd:
    """Processes, each at the other end of a pipe, that call what they are told at the same time."""

    def __init__(self, pipes: Sequence[Connection], barrier: Any) -> None:
        self._pipes = pipes
        self._barrier = barrier

    def __len__(self) -> int:
        return len(self._pipes)

    def call(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Call a function of a module in all of them at once, with each one's number first."""
        for pipe in self._pipes:
            pipe.send((function, args))
        with ThreadPoolExecutor(len(self._pipes)) as threads:
            answers = list(threads.map(lambda pipe: pipe.recv(), self._pipes))
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers


@contextmanager
def crowd(size: int) -> Iterator[Crowd]:
    """Start so many processes; end them at the end."""
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
        yield Crowd([near for near, _ in pipes], barrier)
    finally:
        for near, _ in pipes:
            near.send(None)
        for process in processes:
            process.join(SECONDS)
            process.kill()


def _serve(number: int, pipe: Connection, barrier: Any) -> None:
    while (told := pipe.recv()) is not None:
        function, args = told
        barrier.wait(SECONDS * 3)
        try:
            answer = function(number, *args)
        except BaseException as error:
            answer = error
        pipe.send(answer)
