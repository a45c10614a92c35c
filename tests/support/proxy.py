"""A TCP proxy that drops replies: the request reaches the server, then the client's connection is closed."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class LossyProxy:
    """Forwards a TCP port to a unix socket; `lose(n)` drops the next n replies."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._to_lose = 0
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        self.url = f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    @property
    def remaining_losses(self) -> int:
        return self._to_lose

    def lose(self, replies: int) -> None:
        self._to_lose = replies

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._path)
            threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        with contextlib.suppress(OSError), contextlib.closing(source), contextlib.closing(sink):
            while data := source.recv(65536):
                if replies and self._take_loss():
                    break
                sink.sendall(data)
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _take_loss(self) -> bool:
        with self._lock:
            if self._to_lose == 0:
                return False
            self._to_lose -= 1
            return True
