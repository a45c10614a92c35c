"""The one subscribed connection of a listener."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from redis import exceptions
from redis.asyncio.client import PubSub

from converge_redis.notifications.near_entries import NearCopies
from converge_redis.transport.clients import tracking_pubsub
from converge_redis.transport.delivery import raise_for
from converge_redis.transport.pipelined_connection import Line

SILENCE_SECONDS = 15.0
"""A connection silent for so long is asked for a sign of life, and given up after as long again."""

TRACKED_SILENCE_SECONDS = 2.0
"""The same where copies are kept: they may be wrong for as long."""

CHANNELS_PER_COMMAND = 1000
LONGEST_PAUSE = 2.0

# redis-py gives an AttributeError for a write to a connection that was closed a moment before.
_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError, AttributeError)


_CHANGES = b"__redis__:invalidate"

_log = logging.getLogger("converge_redis")


@dataclass(slots=True, frozen=True)
class Tracking:
    """What the server is to tell of changes.

    Attributes:
        copies: To whom.
        prefixes: What the names of the keys begin with.
    """

    copies: NearCopies
    prefixes: Sequence[str]


class Channel:
    """Holds the connection, and makes it anew when it breaks.

    Args:
        client: The client whose settings the connection is made with.
        names: The channels to hear, by shard.
        on_heard: Called when all are subscribed to, for the first time and after each lost connection:
            what was told meanwhile is lost.
        on_message: Called with the shard and the text of each message.
        tracking: What to have the server tell of changes; None: nothing.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        names: Sequence[str],
        on_heard: Callable[[], None],
        on_message: Callable[[int, bytes], None],
        tracking: Tracking | None = None,
    ) -> None:
        self._client = client
        self._shards = {name.encode(): shard for shard, name in enumerate(names)}
        self._on_heard = on_heard
        self._on_message = on_message
        self._tracking = tracking
        self._acknowledged = set[bytes]()
        self.is_heard = False
        # Looked at besides being cancelled: up to Python 3.11, asyncio.wait_for, with which redis-py sends,
        # swallows a cancellation that arrives together with its result (bpo-37658).
        self.is_stopped = False

    async def keep(self) -> None:
        """Hold the connection until cancelled; with growing pauses while the server cannot be reached."""
        pause = 0.0
        while not self.is_stopped:
            pubsub = self._client.pubsub() if self._tracking is None else tracking_pubsub(self._client)
            try:
                await pubsub.connect()  # type: ignore[no-untyped-call]
                pause = 0.0
                if self._tracking is None or await self._track(pubsub, self._tracking):
                    await self._hear(pubsub)
            except exceptions.ResponseError as error:
                raise_for(error)  # such as a user who may not subscribe: waiting would be in vain
            except _LOST:
                pause = min(LONGEST_PAUSE, pause * 2 or 0.02)
            finally:
                self.is_heard = False
                self._acknowledged.clear()
                if self._tracking is not None:
                    self._tracking.copies.on_lost()
                with contextlib.suppress(*_LOST):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load

    async def _track(self, pubsub: PubSub, tracking: Tracking) -> bool:
        """Have this connection told of changes; without the server's consent it is used without."""
        try:
            await pubsub.execute_command("CLIENT", "ID")
            own_id = await pubsub.parse_response()
            prefixes = [part for prefix in tracking.prefixes for part in ("PREFIX", prefix)]
            told = ("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", *prefixes)
            await pubsub.execute_command(*told)
            await pubsub.parse_response()
        except exceptions.ResponseError as error:
            _log.warning("the near cache is off, the server refuses to track keys: %s", error)
            self._tracking = None
            return False
        return True

    async def _hear(self, pubsub: PubSub) -> None:
        names = list(self._shards) if self._tracking is None else [_CHANGES, *self._shards]
        parts = [
            names[start : start + CHANNELS_PER_COMMAND]
            for start in range(0, len(names), CHANNELS_PER_COMMAND)
        ]
        silence = SILENCE_SECONDS if self._tracking is None else TRACKED_SILENCE_SECONDS
        line = Line.over(pubsub.connection, self._on_told)
        if line is None:
            await self._hear_in_turns(pubsub, parts, silence)
            return
        try:
            for part in parts:
                line.ask("SUBSCRIBE", *part)
            await self._stay(line, silence)
        finally:
            line.close(exceptions.ConnectionError("the channel was closed"))
            await line.connection.disconnect(nowait=True)

    async def _stay(self, line: Line, silence: float) -> None:
        """Stay until the connection is lost; ask for a sign of life when it is silent."""
        loop = asyncio.get_running_loop()
        while line.is_open and not self.is_stopped:
            if not await _comes(line.lost, silence) and loop.time() - line.heard_at >= silence:
                pong: asyncio.Future[Any] = loop.create_future()
                line.send(("PING",), pong)
                try:
                    await asyncio.wait_for(pong, silence)
                except TimeoutError as error:
                    raise exceptions.ConnectionError(
                        "the connection is half-open: no answer to a ping"
                    ) from error
        raise line.error or exceptions.ConnectionError("the channel was closed")

    def _on_told(self, told: Sequence[Any]) -> None:
        kind = told[0].decode()
        if kind in {"message", "subscribe"}:
            self._dispatch(kind, told[1], told[2])

    async def _hear_in_turns(self, pubsub: PubSub, parts: Sequence[Sequence[bytes]], silence: float) -> None:
        """The same through redis-py, for a connection that cannot be taken over."""
        for part in parts:
            await cast("Awaitable[Any]", pubsub.subscribe(*part))
        silent = False
        while not self.is_stopped:
            message = await pubsub.get_message(timeout=silence)
            if message is not None:
                silent = False
                self._dispatch(message["type"], message["channel"], message["data"])
            elif silent:
                raise exceptions.ConnectionError("the connection is half-open: no answer to a ping")
            else:
                silent = True
                await pubsub.ping()

    def _dispatch(self, kind: str, name: bytes | None, data: Any) -> None:
        if kind == "subscribe" and name in self._shards:
            self._acknowledged.add(name)
            if len(self._acknowledged) == len(self._shards):
                self._acknowledged.clear()  # a second one means that the connection was lost in between
                self.is_heard = True
                if self._tracking is not None:
                    self._tracking.copies.on_heard()
                self._on_heard()
        elif kind == "message" and name == _CHANGES and self._tracking is not None:
            if data is None:
                self._tracking.copies.drop_all()  # FLUSHALL, or FLUSHDB
            else:
                self._tracking.copies.drop(data)
        elif kind == "message" and name in self._shards:
            self._on_message(self._shards[name], data)


async def _comes(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
