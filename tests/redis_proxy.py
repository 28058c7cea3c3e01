"""A small TCP proxy before a server, which cuts connections where a test wants it to."""

import select
import socket
import threading
from contextlib import suppress
from typing import Literal, Self

#: Before the command reaches the server, after it did and before its reply, or within the reply.
Cut = Literal["before", "after", "within"]


class Proxy:
    """
    Hands everything on between any number of clients and one server, until told to cut.

    Attributes:
        port: Where clients connect.
        server: The port that the next connections lead to.
        cuts: Where to cut next, one item a command that mentions `about`; None lets it pass.
        about: What a command has in it that is cut.
        done: How many connections were cut.
    """

    def __init__(self, port: int, about: bytes = b"EVALSHA") -> None:
        self.server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.about = about
        self.cuts: list[Cut | None] = []
        self.done = 0
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.server))
                self._open += [client, server]
                threads.append(threading.Thread(target=self._serve, args=(client, server)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Hand on what either side sends; a cut waits for the reply, unless it comes before."""
        waiting: Cut | None = None
        with suppress(OSError):
            while True:
                for one in select.select([client, server], [], [])[0]:
                    data = one.recv(1 << 20)
                    if one is client and waiting is None:
                        waiting = self._next(data)
                    elif one is server and waiting == "within":
                        client.sendall(data[:1])
                    if not data or waiting == "before" or (one is server and waiting):
                        raise OSError
                    (server if one is client else client).sendall(data)
        # Closed at once: a long run cuts thousands, and select takes no descriptor above 1,023.
        for one in (client, server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _next(self, command: bytes) -> Cut | None:
        with self._lock:
            if self.about not in command or not self.cuts:
                return None
            cut = self.cuts.pop(0)
            self.done += cut is not None
            return cut
