"""Those who wait for sessions to change; see `converge_redis.notifications.watching`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from converge_redis.notifications.waiters import Wait, Waits
from converge_redis.notifications.watching import Watched
from converge_redis.tasks.waiters import Look

Name = tuple[int, str]  # a shard, and what a session is called there


class Watches:
    """All calls of a listener that wait for sessions.

    Args:
        look: Looks at some of them, and has the listener told of their next changes.
        look_away: Has the listener not told any more.
    """

    def __init__(
        self,
        look: Callable[[Sequence[Watched[Any]]], Awaitable[dict[Watched[Any], Look[Any]]]],
        look_away: Callable[[Sequence[Name]], Awaitable[None]],
    ) -> None:
        self.waits: Waits[Watched[Any], Any] = Waits(look, self._forget)
        self._look_away = look_away
        self._by_name = dict[Name, set[Watched[Any]]]()

    def begin(self, changes: Sequence[Watched[Any]]) -> Wait[Watched[Any], Any]:
        """Begin to wait for one of several changes; end it with `end`."""
        for watched in changes:
            self._by_name.setdefault((watched.shard, watched.what), set()).add(watched)
        wait: Wait[Watched[Any], Any] = Wait(changes, 1)
        self.waits.add(wait)
        return wait

    def end(self, wait: "Wait[Watched[Any], Any]") -> None:
        """End a wait, whatever it has seen."""
        for watched in wait.keys:
            name = (watched.shard, watched.what)
            others = self._by_name.get(name, set())
            others.discard(watched)
            if not others:
                self._by_name.pop(name, None)
        self.waits.remove(wait)

    def on_news(self, shard: int, what: str) -> None:
        """A session has changed."""
        for watched in self._by_name.get((shard, what), ()):
            self.waits.read_again(watched)

    async def forget_all(self) -> None:
        """Have the listener told of nothing any more."""
        self._by_name.clear()
        await self._forget(self.waits.watched)

    async def _forget(self, unwanted: Sequence[Watched[Any]]) -> None:
        names = {(watched.shard, watched.what) for watched in unwanted}
        if nobody := [name for name in names if name not in self._by_name]:
            await self._look_away(nobody)
