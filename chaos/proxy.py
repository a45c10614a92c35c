"""A TCP proxy before the server, in a thread, that breaks connections as networks do."""

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any, Literal, TypeVar

T = TypeVar("T")

CHUNK = 65536


class _Link:
    """One connection through the proxy.

    Attributes:
        flows: Cleared while nothing is forwarded.
        loses: Whether the next reply is swallowed, and the connection cut.
    """

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)
        self.flows = asyncio.Event()
        self.flows.set()
        self.loses = False

    def cut(self) -> None:
        """Break the connection, both ways, at once."""
        for writer in self._writers:
            with contextlib.suppress(Exception):  # it may be broken already
                writer.transport.abort()
        self.flows.set()


class Proxy:
    """Forwards between its port and the server's; methods are for the thread of whoever made it.

    Args:
        server_port: The server's port of 127.0.0.1.
        random: What decides which connections are hit.
    """

    def __init__(self, server_port: int, random: Random) -> None:
        self._server_port = server_port
        self._random = random
        self._links = set[_Link]()
        self._tasks = set[asyncio.Task[None]]()
        self._delay = 0.0
        self.effects = Counter[str]()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._accepting = self._do(asyncio.start_server(self._accept, sock=self._listening))

    def close(self) -> None:
        """Break all connections, and listen no more."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self, share: float) -> int:
        """Break a share of the connections; returns how many."""
        return self._do(self._hit(share, "cut"))

    def lose_replies(self, share: float) -> int:
        """Have a share of the connections lose their next reply and break; returns how many.

        The server gets the request, and carries it out. `effects` counts the replies that were lost.
        """
        return self._do(self._hit(share, "lose"))

    def delay(self, seconds: float) -> None:
        """Forward everything later by up to so much; 0: at once."""
        self._delay = seconds

    def stall(self, share: float, seconds: float) -> int:
        """Forward nothing on a share of the connections for a while, without closing them; returns how many.

        Then half of them break, and half go on: what was sent meanwhile arrives late, perhaps after its
        sender has given up.
        """
        return self._do(self._stall(share, seconds))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    def _some(self, share: float) -> list[_Link]:
        links = [link for link in self._links if link.flows.is_set()]
        return self._random.sample(links, min(len(links), max(1, round(len(links) * share))))

    async def _hit(self, share: float, how: Literal["cut", "lose"]) -> int:
        links = self._some(share)
        for link in links:
            if how == "cut":
                link.cut()
            else:
                link.loses = True
        return len(links)

    async def _stall(self, share: float, seconds: float) -> int:
        links = self._some(share)
        for link in links:
            link.flows.clear()
            end = link.cut if self._random.random() < 0.5 else link.flows.set
            self._loop.call_later(seconds, end)
        return len(links)

    async def _close(self) -> None:
        self._accepting.close()
        for link in list(self._links):
            link.cut()
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
            pass  # the server is down, or the proxy ends
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
                # A client that goes may have sent something before: that still arrives.
                await asyncio.wait((requests, replies), return_when=asyncio.FIRST_COMPLETED)
            finally:
                requests.cancel()
                replies.cancel()
                await asyncio.gather(requests, replies, return_exceptions=True)
        finally:
            self._links.discard(link)
            link.cut()

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link, *, replies: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                if self._delay:
                    await asyncio.sleep(self._random.uniform(0.0, self._delay))
                await link.flows.wait()
                if replies and link.loses:
                    self.effects["replies lost"] += 1
                    link.cut()
                    return
                sink.write(data)
                await sink.drain()
