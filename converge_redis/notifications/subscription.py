"""The subscription: the one pub/sub connection of a listener, made anew whenever it breaks."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from redis import exceptions
from redis.asyncio.client import PubSub

from converge_redis.core.backoff import doubled, jittered
from converge_redis.notifications.near_entries import NearEntries
from converge_redis.transport.clients import tracking_pubsub
from converge_redis.transport.delivery import raise_for
from converge_redis.transport.pipelined_connection import PipelinedConnection

PING_AFTER = 15.0
"""Seconds of silence before the connection is pinged; it is closed when no reply comes for as long again."""

PING_AFTER_TRACKING = 2.0
"""The same where a near cache depends on it: its entries may be stale for as long."""

CHANNELS_PER_COMMAND = 1000

# redis-py raises an AttributeError for a write to a connection that was closed a moment before.
_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError, AttributeError)

_INVALIDATIONS = b"__redis__:invalidate"

_log = logging.getLogger("converge_redis")


@dataclass(slots=True, frozen=True)
class Tracking:
    """The keys whose changes the server reports.

    Attributes:
        near: The near cache to invalidate.
        prefixes: The prefixes of the keys.
    """

    near: NearEntries
    prefixes: Sequence[str]


class Subscription:
    """Keeps a connection subscribed to some channels.

    Args:
        client: The client whose settings the connection is made with.
        channels: The channels, by shard.
        on_subscribed: Called when all channels are acknowledged, at first and after each reconnect; messages
            of the time in between are lost.
        on_message: Called with the shard and the text of each message.
        tracking: The keys whose changes to receive; None: none.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        channels: Sequence[str],
        on_subscribed: Callable[[], None],
        on_message: Callable[[int, bytes], None],
        tracking: Tracking | None = None,
    ) -> None:
        self._client = client
        self._shards = {channel.encode(): shard for shard, channel in enumerate(channels)}
        self._on_subscribed = on_subscribed
        self._on_message = on_message
        self._tracking = tracking
        self._acknowledged = set[bytes]()
        self.is_subscribed = False
        # Checked besides cancellation: up to Python 3.11, asyncio.wait_for, with which redis-py sends,
        # swallows a cancellation that arrives together with its result (bpo-37658).
        self.is_stopped = False

    async def run(self) -> None:
        """Stay subscribed until cancelled; pause longer and longer while the server cannot be reached."""
        pause = 0.0
        while not self.is_stopped:
            pubsub = self._client.pubsub() if self._tracking is None else tracking_pubsub(self._client)
            try:
                await pubsub.connect()  # type: ignore[no-untyped-call]
                pause = 0.0
                if self._tracking is None or await self._track(pubsub, self._tracking):
                    await self._receive(pubsub)
            except exceptions.ResponseError as error:
                raise_for(error)  # such as a user who may not subscribe: a retry would not help
            except _LOST:
                pause = doubled(pause)
            finally:
                self.is_subscribed = False
                self._acknowledged.clear()
                if self._tracking is not None:
                    self._tracking.near.on_lost()
                with contextlib.suppress(*_LOST):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(jittered(pause))

    async def _track(self, pubsub: PubSub, tracking: Tracking) -> bool:
        """Turn tracking on for this connection; where the server refuses, go on without a near cache."""
        try:
            await pubsub.execute_command("CLIENT", "ID")
            own_id = await pubsub.parse_response()
            prefixes = [part for prefix in tracking.prefixes for part in ("PREFIX", prefix)]
            await pubsub.execute_command("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", *prefixes)
            await pubsub.parse_response()
        except exceptions.ResponseError as error:
            _log.warning("the near cache is off, the server refuses to track keys: %s", error)
            self._tracking = None
            return False
        return True

    async def _receive(self, pubsub: PubSub) -> None:
        channels = list(self._shards) if self._tracking is None else [_INVALIDATIONS, *self._shards]
        parts = [
            channels[start : start + CHANNELS_PER_COMMAND]
            for start in range(0, len(channels), CHANNELS_PER_COMMAND)
        ]
        ping_after = PING_AFTER if self._tracking is None else PING_AFTER_TRACKING
        connection = PipelinedConnection.take_over(pubsub.connection, self._on_push)
        if connection is None:
            await self._receive_by_polling(pubsub, parts, ping_after)
            return
        try:
            for part in parts:
                connection.send_unanswered("SUBSCRIBE", *part)
            await self._watch_liveness(connection, ping_after)
        finally:
            connection.close(exceptions.ConnectionError("the subscription was closed"))
            await connection.connection.disconnect(nowait=True)

    async def _watch_liveness(self, connection: PipelinedConnection, ping_after: float) -> None:
        """Return when the connection is lost; ping it when it is silent."""
        loop = asyncio.get_running_loop()
        while connection.is_open and not self.is_stopped:
            lost = await _is_set_within(connection.lost, ping_after)
            if not lost and loop.time() - connection.last_read_at >= ping_after:
                pong: asyncio.Future[Any] = loop.create_future()
                connection.send(("PING",), pong)
                try:
                    await asyncio.wait_for(pong, ping_after)
                except TimeoutError as error:
                    raise exceptions.ConnectionError(
                        "the connection is half-open: no answer to a ping"
                    ) from error
        raise connection.error or exceptions.ConnectionError("the subscription was closed")

    def _on_push(self, message: Sequence[Any]) -> None:
        kind = message[0].decode()
        if kind in {"message", "subscribe"}:
            self._dispatch(kind, message[1], message[2])

    async def _receive_by_polling(
        self, pubsub: PubSub, parts: Sequence[Sequence[bytes]], ping_after: float
    ) -> None:
        """Receive through redis-py, on a connection that cannot be taken over."""
        for part in parts:
            await cast("Awaitable[Any]", pubsub.subscribe(*part))
        is_pinged = False
        while not self.is_stopped:
            message = await pubsub.get_message(timeout=ping_after)
            if message is not None:
                is_pinged = False
                self._dispatch(message["type"], message["channel"], message["data"])
            elif is_pinged:
                raise exceptions.ConnectionError("the connection is half-open: no answer to a ping")
            else:
                is_pinged = True
                await pubsub.ping()

    def _dispatch(self, kind: str, channel: bytes | None, data: Any) -> None:
        if kind == "subscribe" and channel in self._shards:
            self._acknowledged.add(channel)
            if len(self._acknowledged) == len(self._shards):
                self._acknowledged.clear()  # further acknowledgements mean that redis-py has reconnected
                self.is_subscribed = True
                if self._tracking is not None:
                    self._tracking.near.on_subscribed()
                self._on_subscribed()
        elif kind == "message" and channel == _INVALIDATIONS and self._tracking is not None:
            if data is None:
                self._tracking.near.drop_all()  # FLUSHALL, or FLUSHDB
            else:
                self._tracking.near.drop(data)
        elif kind == "message" and channel in self._shards:
            self._on_message(self._shards[channel], data)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
