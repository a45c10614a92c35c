"""A TCP proxy in front of the server, in a thread, that breaks connections as networks do."""

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

CHUNK = 65536


class _Link:
    """One connection through the proxy.

    Attributes:
        forwards: Cleared while the link is stalled.
        loses_reply: Whether the next reply is dropped, and the connection closed.
    """

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)
        self.forwards = asyncio.Event()
        self.forwards.set()
        self.loses_reply = False

    def abort(self) -> None:
        """Close the connection to both sides at once."""
        for writer in self._writers:
            with contextlib.suppress(Exception):  # it may be closed already
                writer.transport.abort()
        self.forwards.set()


class Proxy:
    """Forwards between its port and the server's. Its methods are for the thread that made it.

    Args:
        server_port: The server's port of 127.0.0.1.
        random: Chooses the affected connections.

    Attributes:
        effects: How many replies were lost.
        url: The URL of the proxy.
    """

    def __init__(self, server_port: int, random: Random) -> None:
        self._server_port = server_port
        self._random = random
        self._links = set[_Link]()
        self._tasks = set[asyncio.Task[None]]()
        self._delay = 0.0
        self.effects = Counter[str]()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._acceptor = self._run(asyncio.start_server(self._accept, sock=self._socket))

    def close(self) -> None:
        """Close all connections and the port."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close_connections(self, share: float) -> int:
        """Close a share of the connections; return how many."""
        return self._run(self._close_connections(share))

    def lose_replies(self, share: float) -> int:
        """Drop the next reply of a share of the connections, and close them; return how many.

        The server executes the requests. `effects` counts the lost replies.
        """
        return self._run(self._lose_replies(share))

    def delay(self, seconds: float) -> None:
        """Delay everything by up to some seconds."""
        self._delay = seconds

    def stall(self, share: float, seconds: float) -> int:
        """Forward nothing on a share of the connections for some seconds; return how many.

        Then half of them are closed, and half continue: data that was sent meanwhile arrives late, perhaps
        after the sender's time-out.
        """
        return self._run(self._stall(share, seconds))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60.0)

    def _sample(self, share: float) -> list[_Link]:
        links = [link for link in self._links if link.forwards.is_set()]
        return self._random.sample(links, min(len(links), max(1, round(len(links) * share))))

    async def _close_connections(self, share: float) -> int:
        links = self._sample(share)
        for link in links:
            link.abort()
        return len(links)

    async def _lose_replies(self, share: float) -> int:
        links = self._sample(share)
        for link in links:
            link.loses_reply = True
        return len(links)

    async def _stall(self, share: float, seconds: float) -> int:
        links = self._sample(share)
        for link in links:
            link.forwards.clear()
            end = link.abort if self._random.random() < 0.5 else link.forwards.set
            self._loop.call_later(seconds, end)
        return len(links)

    async def _close(self) -> None:
        self._acceptor.close()
        for link in list(self._links):
            link.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._tasks.add(task)
        try:
            await self._forward_both(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the server is down, or the proxy is closing
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _forward_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        link = _Link(writer, server_writer)
        self._links.add(link)
        try:
            requests = asyncio.create_task(self._forward(reader, server_writer, link, replies=False))
            replies = asyncio.create_task(self._forward(server_reader, writer, link, replies=True))
            try:
                # What a client has sent before it disconnects is still forwarded.
                await asyncio.wait((requests, replies), return_when=asyncio.FIRST_COMPLETED)
            finally:
                requests.cancel()
                replies.cancel()
                await asyncio.gather(requests, replies, return_exceptions=True)
        finally:
            self._links.discard(link)
            link.abort()

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link, *, replies: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                if self._delay:
                    await asyncio.sleep(self._random.uniform(0.0, self._delay))
                await link.forwards.wait()
                if replies and link.loses_reply:
                    self.effects["replies lost"] += 1
                    link.abort()
                    return
                sink.write(data)
                await sink.drain()
