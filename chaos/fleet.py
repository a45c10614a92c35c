"""The processes of a run, as the main process sees them: started, killed, stopped, started anew."""

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.process import Orders
from chaos.worker import CRASHED
from converge_redis.server.child_process import ChildProcess

END_SECONDS = 30.0


@dataclass
class Member:
    """One process.

    Attributes:
        orders: What it does.
        child: The process.
        log: Where its output goes.
        killed: Whether it was killed on purpose.
        frozen: Whether it is stopped (SIGSTOP).
        asked: Whether it was asked to end (SIGTERM); one that had only begun to start ends by the signal.
    """

    orders: Orders
    child: ChildProcess
    log: Path
    killed: bool = False
    frozen: bool = False
    asked: bool = False

    @property
    def ended_well(self) -> bool:
        """Whether it has ended as it should."""
        return self.child.returncode in ({0, -signal.SIGTERM} if self.asked else {0})


class Fleet:
    """All processes of a run.

    Args:
        logs: Where their output goes.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._members: list[Member] = []
        self._generations = 0

    def start(self, orders: Orders) -> Member:
        """Start a process; each gets a name that none had before."""
        self._generations += 1
        orders = replace(orders, name=f"{orders.name.partition('.')[0]}.{self._generations}")
        log = self._logs / f"{orders.name}.log"
        child = ChildProcess([sys.executable, "-m", "chaos.process", orders.written()], log, None)
        member = Member(orders, child, log)
        self._members.append(member)
        return member

    def running(self, role: str) -> list[Member]:
        """Return the processes of a role that have not ended."""
        return [
            member
            for member in self._members
            if member.orders.role == role and not member.child.ended.is_set()
        ]

    def kill(self, member: Member) -> None:
        """Kill a process, and start another in its place."""
        member.killed = True
        os.kill(member.child.pid, signal.SIGKILL)
        member.child.ended.wait()
        self.start(member.orders)

    def freeze(self, member: Member) -> None:
        """Stop a process where it stands."""
        member.frozen = True
        os.kill(member.child.pid, signal.SIGSTOP)

    def thaw(self, member: Member) -> None:
        """Let it go on, if it was not killed meanwhile."""
        member.frozen = False
        if not member.child.ended.is_set():
            os.kill(member.child.pid, signal.SIGCONT)

    def replace_crashed(self) -> int:
        """Start another process for each that has crashed as it may; returns how many."""
        crashed = [m for m in self._members if m.child.ended.is_set() and m.child.returncode == CRASHED]
        for member in crashed:
            if not member.killed:
                member.killed = True
                self.start(member.orders)
        return len(crashed)

    def failed(self) -> list[str]:
        """Tell which processes have ended in a way that nobody wanted."""
        return [
            f"{member.orders.name} ended with code {member.child.returncode}:\n{_tail(member.log)}"
            for member in self._members
            if member.child.ended.is_set() and not member.killed and not member.ended_well
        ]

    def end(self, role: str) -> list[str]:
        """Ask the processes of a role to end; returns those that did not."""
        members = self.running(role)
        for member in members:
            member.asked = True
            os.kill(member.child.pid, signal.SIGTERM)
        late = []
        for member in members:
            if not member.child.ended.wait(END_SECONDS):
                late.append(f"{member.orders.name} did not end when it was asked to")
                member.killed = True
                os.kill(member.child.pid, signal.SIGKILL)
        return late

    def close(self) -> None:
        """Leave nobody behind."""
        for member in self._members:
            if not member.child.ended.is_set():
                member.killed = True
                os.kill(member.child.pid, signal.SIGKILL)
                member.child.ended.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
