"""The display of a run's progress."""

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_LINE_EVERY_SEC = 1.0


class Display(Protocol):
    """Shows the progress; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, phase: str, done: int, total: int, by_worker: Mapping[str, int]) -> None:
        """Show how many files are done, of how many, and how many each worker did."""

    def log(self, event: str) -> None:
        """Show an event."""


def make_display() -> Display:
    """Make a live display if the standard output is a terminal, else one that prints lines."""
    return LiveDisplay() if sys.stdout.isatty() else LineDisplay()


class _Rate:
    """Files per second since the phase began."""

    def __init__(self) -> None:
        self._phase = ""
        self._began = 0.0

    def of(self, phase: str, done: int) -> float:
        if phase != self._phase:
            self._phase, self._began = phase, time.monotonic()
        return done / max(time.monotonic() - self._began, 0.001)


class LineDisplay:
    """Prints a line about once per second."""

    def __init__(self) -> None:
        self._rate = _Rate()
        self._began = time.monotonic()
        self._next = 0.0
        self._done = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, phase: str, done: int, total: int, by_worker: Mapping[str, int]) -> None:
        """Print the progress, at most once per second."""
        rate = self._rate.of(phase, done)
        is_last = done == total != self._done
        if time.monotonic() < self._next and not is_last:
            return
        self._next, self._done = time.monotonic() + _LINE_EVERY_SEC, done
        workers = "".join(f"  {name} {number}" for name, number in by_worker.items())
        self.log(f"{phase} {done}/{total} files, {rate:.0f}/s{workers}")

    def log(self, event: str) -> None:
        """Print a line."""
        print(f"{time.monotonic() - self._began:6.1f} s  {event}", flush=True)


class LiveDisplay:
    """Draws a progress bar and a table of the workers in place."""

    def __init__(self) -> None:
        self._rate = _Rate()
        self._console = Console(highlight=False, markup=False)
        self._live = Live(console=self._console, refresh_per_second=10, redirect_stderr=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, phase: str, done: int, total: int, by_worker: Mapping[str, int]) -> None:
        """Draw the progress."""
        rate = self._rate.of(phase, done)
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(phase), ProgressBar(total=total, completed=done, width=40), f"{done}/{total}  {rate:.0f}/s"
        )
        rows = Table.grid(padding=(0, 2))
        for name, number in by_worker.items():
            rows.add_row(
                Text(f"  {name}"), ProgressBar(total=max(done, 1), completed=number, width=20), str(number)
            )
        self._live.update(Group(head, rows))

    def log(self, event: str) -> None:
        """Print the event above the progress bar."""
        self._console.print(event)
