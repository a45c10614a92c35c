"""The processes of a round, as the main process controls them."""

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.process import ProcessOptions
from chaos.worker import CRASH_EXIT_CODE
from converge_redis.server.child_process import ChildProcess

END_SECONDS = 60.0


@dataclass
class Member:
    """One process of the fleet.

    Attributes:
        options: Its options.
        child: The process.
        log: The file with its output.
        killed: Whether it was killed on purpose.
        suspended: Whether it is suspended (SIGSTOP).
        terminated: Whether it was sent SIGTERM. If it has no signal handler yet, the signal ends it.
    """

    options: ProcessOptions
    child: ChildProcess
    log: Path
    killed: bool = False
    suspended: bool = False
    terminated: bool = False

    @property
    def ended_as_expected(self) -> bool:
        """Whether its exit code is an expected one."""
        return self.child.returncode in ({0, -signal.SIGTERM} if self.terminated else {0})


class Fleet:
    """All processes of a round.

    Args:
        logs: The folder for their output.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._members: list[Member] = []
        self._started = 0

    def start(self, options: ProcessOptions) -> Member:
        """Start a process under a new name."""
        self._started += 1
        options = replace(options, name=f"{options.name.partition('.')[0]}.{self._started}")
        log = self._logs / f"{options.name}.log"
        child = ChildProcess([sys.executable, "-m", "chaos.process", options.to_json()], log, None)
        member = Member(options, child, log)
        self._members.append(member)
        return member

    def running(self, role: str) -> list[Member]:
        """Return the processes of a role that have not ended."""
        return [
            member
            for member in self._members
            if member.options.role == role and not member.child.ended.is_set()
        ]

    def kill(self, member: Member) -> None:
        """Kill a process and start another in its place."""
        member.killed = True
        os.kill(member.child.pid, signal.SIGKILL)
        member.child.ended.wait()
        self.start(member.options)

    def suspend(self, member: Member) -> None:
        """Suspend a process (SIGSTOP)."""
        member.suspended = True
        os.kill(member.child.pid, signal.SIGSTOP)

    def resume(self, member: Member) -> None:
        """Resume a suspended process, if it was not killed meanwhile."""
        member.suspended = False
        if not member.child.ended.is_set():
            os.kill(member.child.pid, signal.SIGCONT)

    def replace_crashed(self) -> int:
        """Replace the processes that crashed on purpose; return how many have crashed so far."""
        crashed = [
            m for m in self._members if m.child.ended.is_set() and m.child.returncode == CRASH_EXIT_CODE
        ]
        for member in crashed:
            if not member.killed:
                member.killed = True
                self.start(member.options)
        return len(crashed)

    def failed(self) -> list[str]:
        """Return a message for each process that ended unexpectedly."""
        return [
            f"{member.options.name} ended with code {member.child.returncode}:\n{_tail(member.log)}"
            for member in self._members
            if member.child.ended.is_set() and not member.killed and not member.ended_as_expected
        ]

    def end(self, role: str) -> list[str]:
        """Send SIGTERM to the processes of a role; return a message for each that did not end."""
        members = self.running(role)
        for member in members:
            member.terminated = True
            os.kill(member.child.pid, signal.SIGTERM)
        late = []
        for member in members:
            if not member.child.ended.wait(END_SECONDS):
                late.append(f"{member.options.name} did not end within {END_SECONDS:.0f} s after SIGTERM")
                member.killed = True
                os.kill(member.child.pid, signal.SIGKILL)
        return late

    def close(self) -> None:
        """Kill all processes that still run."""
        for member in self._members:
            if not member.child.ended.is_set():
                member.killed = True
                os.kill(member.child.pid, signal.SIGKILL)
                member.child.ended.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
