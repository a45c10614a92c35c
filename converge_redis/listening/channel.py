"""The one subscribed connection of a listener."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import redis.asyncio
from redis import exceptions
from redis.asyncio.client import PubSub

from converge_redis.sending import raise_for

SILENCE_SECONDS = 15.0
"""A connection silent for so long is asked for a sign of life, and given up after as long again."""

CHANNELS_PER_COMMAND = 1000
LONGEST_PAUSE = 2.0

# redis-py gives an AttributeError for a write to a connection that was closed a moment before.
_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError, AttributeError)


class Channel:
    """Holds the connection, and makes it anew when it breaks.

    Args:
        client: The client whose settings the connection is made with.
        names: The channels to hear, by shard.
        on_heard: Called when all are subscribed to, for the first time and after each lost connection:
            what was told meanwhile is lost.
        on_message: Called with the shard and the text of each message.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        names: Sequence[str],
        on_heard: Callable[[], None],
        on_message: Callable[[int, bytes], None],
    ) -> None:
        self._client = client
        self._shards = {name.encode(): shard for shard, name in enumerate(names)}
        self._on_heard = on_heard
        self._on_message = on_message
        self._acknowledged = set[bytes]()
        self.is_heard = False
        # Looked at besides being cancelled: up to Python 3.11, asyncio.wait_for, with which redis-py sends,
        # swallows a cancellation that arrives together with its result (bpo-37658).
        self.is_stopped = False

    async def keep(self) -> None:
        """Hold the connection until cancelled; with growing pauses while the server cannot be reached."""
        pause = 0.0
        while not self.is_stopped:
            pubsub = self._client.pubsub()
            try:
                await pubsub.connect()  # type: ignore[no-untyped-call]
                pause = 0.0
                await self._hear(pubsub)
            except exceptions.ResponseError as error:
                raise_for(error)  # such as a user who may not subscribe: waiting would be in vain
            except _LOST:
                pause = min(LONGEST_PAUSE, pause * 2 or 0.02)
            finally:
                self.is_heard = False
                self._acknowledged.clear()
                with contextlib.suppress(*_LOST):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load

    async def _hear(self, pubsub: PubSub) -> None:
        names = list(self._shards)
        for start in range(0, len(names), CHANNELS_PER_COMMAND):
            await cast("Awaitable[Any]", pubsub.subscribe(*names[start : start + CHANNELS_PER_COMMAND]))
        silent = False
        while not self.is_stopped:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
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
                self._on_heard()
        elif kind == "message" and name in self._shards:
            self._on_message(self._shards[name], data)
