"""
Serve metrics over HTTP, for Prometheus to scrape.

The server answers GET and HEAD on every path, and no client can stop it. A limited number of threads
serve, a limited number of connections wait for them, and each connection ends after a while. A client
that keeps a thread idle keeps it only as long as no other client needs it.

`papyra_otel.prometheus` makes the listener; nothing here knows papyra's counters.
"""

import gzip
import os
import socket
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from threading import Lock, Thread, local
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

from papyra.system.forks import forget_in_child
from papyra.system.log import warn

#: Seconds from its connection on in which a client must ask and take the answer.
PATIENCE: Final = 30.0
#: Seconds that a client keeps a thread while it asks, and then while it takes the answer, if others wait.
TIME_TO_ASK: Final = 1.0
TIME_TO_TAKE: Final = 5.0
#: Clients that are served at once.
MOST_THREADS: Final = 32
#: Connections that may wait to be accepted; as many accepted ones may wait for a thread.
BACKLOG: Final = 128
#: Bytes of a request's body that are read and dropped, so that the client receives the answer.
_MOST_BODY: Final = 1 << 20
_BUSY: Final = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\nToo many clients are served; ask again later.\n"
)


#: The listener that a thread serves for.
_here: Final = local()
#: Seconds between two checks of the accepting thread for connections that must end.
_POLL: Final = 0.05


class _EndedError(Exception):
    """The accepting thread must stop serving."""


class _Handler(BaseHTTPRequestHandler):
    """One client, one answer."""

    server_version = "papyra"
    sys_version = ""
    # Otherwise a request that is not HTTP would be answered without status and headers.
    default_request_version = "HTTP/1.0"

    @property
    def _listener(self) -> "Listener":
        assert isinstance(self.server, Listener)  # noqa: S101  which makes it
        return self.server

    def setup(self) -> None:
        """Wait no longer for a client than the listener does."""
        super().setup()
        self.connection.settimeout(self._listener.patience)

    def parse_request(self) -> bool:
        """Note that the client has asked, so that the thread no longer waits for it."""
        is_request = super().parse_request()
        if is_request:
            self._listener.await_client(self.connection, float("inf"))
        return is_request

    def do_GET(self) -> None:
        """Answer with all metrics, or with those that ``name[]`` asks for."""
        registry: Any = self._listener.registry
        names = parse_qs(urlsplit(self.path).query).get("name[]")
        if names:
            registry = registry.restricted_registry(names)
        encode, media_type = choose_encoder(self.headers.get("Accept", ""))
        text = encode(registry)
        headers = {"Content-Type": media_type}
        if gzip_accepted(self.headers.get("Accept-Encoding", "")):
            text = gzip.compress(text)
            headers["Content-Encoding"] = "gzip"
        self._answer(HTTPStatus.OK, headers, text)

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  the base's
        """Say in words why a method, or a request that is not HTTP, is not answered."""
        status = HTTPStatus(code)
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if status == HTTPStatus.NOT_IMPLEMENTED:  # of the base, for a method that it does not know
            status = HTTPStatus.METHOD_NOT_ALLOWED
            headers["Allow"] = "GET, HEAD"
            message = f"{self.command} is not allowed here; GET and HEAD answer with the metrics"
            self._read_body_away()
        self._answer(status, headers, f"{message or status.phrase}\n".encode())

    def _answer(self, status: HTTPStatus, headers: dict[str, str], body: bytes) -> None:
        self._listener.await_client(self.connection, TIME_TO_TAKE)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _read_body_away(self) -> None:
        self._listener.await_client(self.connection, TIME_TO_TAKE)
        length = self.headers.get("Content-Length", "")
        if length.isascii() and length.isdigit():
            left = min(int(length[:9]), _MOST_BODY)
            while left and (got := self.rfile.read(min(left, 1 << 16))):
                left -= len(got)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  the base's
        """Log nothing: requests are not events of the program."""


class Listener(TCPServer):
    """
    Listens on *address*, and serves each client from a thread.

    It is not http.server's, which asks the DNS for a name first; that may take seconds.

    Args:
        family: The family of *address*.
        address: The address to listen on.
        registry: The metrics to serve.
        patience: Seconds that a client has.
    """

    request_queue_size = BACKLOG
    # A port whose connections have just ended is free; on Windows any port would be.
    allow_reuse_address: bool = os.name != "nt"

    def __init__(
        self,
        family: socket.AddressFamily,
        address: tuple[Any, ...],  # a family's own
        registry: CollectorRegistry,
        patience: float,
    ) -> None:
        self.address_family: int = family
        self.registry = registry
        self.patience = patience
        self._lock = Lock()
        self._threads = 0
        self._waiting: deque[tuple[socket.socket, Any]] = deque()
        # All open connections, the oldest first, each with the time when it ends.
        self._ends: dict[socket.socket, float] = {}
        # The connections that have a thread, each with the time when it loses the thread if others wait.
        self._served: dict[socket.socket, float] = {}
        self._is_ending = False
        self._at_end: Callable[[], object] = bool
        forget_in_child(self)
        super().__init__(address, _Handler)

    def serve(self, poll: float = _POLL) -> None:
        """Serve clients until `shutdown`, or until `close_soon` was called."""
        _here.listener = self
        try:
            self.serve_forever(poll)
        except _EndedError:
            self.server_close()
            self._at_end()

    def is_served_here(self) -> bool:
        """Tell whether this very thread serves; it must not wait for the threads that do."""
        return getattr(_here, "listener", None) is self

    def close_soon(self, at_end: Callable[[], object]) -> None:
        """Make the accepting thread end, give the port back, and call *at_end*; wait for nothing."""
        self._at_end, self._is_ending = at_end, True

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  the base's
        """Let a thread serve the client, at once or when one is free, or refuse a client."""
        refused = None
        with self._lock:
            is_full = self._threads >= MOST_THREADS
            self._ends[request] = monotonic() + self.patience
            if is_full:
                self._waiting.append((request, client_address))
                if len(self._waiting) > BACKLOG:
                    refused = self._pop_silent()
                    del self._ends[refused]
            else:
                self._threads += 1
                self._served[request] = monotonic() + TIME_TO_ASK
        if refused is not None:
            self._refuse(refused)
        if not is_full:
            try:
                Thread(target=self._serve, args=(request, client_address), daemon=True).start()
            except RuntimeError:  # the system has no more threads; the base closes the connection
                with self._lock:
                    self._threads -= 1
                    self._served.pop(request, None)
                    self._ends.pop(request, None)
                raise

    def _serve(self, request: socket.socket, client_address: object) -> None:
        _here.listener = self
        while True:
            try:
                self.finish_request(request, client_address)
            except Exception:  # noqa: BLE001  logged; the next client is served all the same
                self.handle_error(request, client_address)
            with self._lock:
                self._ends.pop(request, None)
                self._served.pop(request, None)
            self.shutdown_request(request)
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                request, client_address = self._pop_waiting()
                self._served[request] = monotonic() + TIME_TO_ASK

    def await_client(self, request: socket.socket, seconds: float) -> None:
        """Let the client of *request* keep its thread for *seconds* from now on, also if others wait."""
        with self._lock:
            if request in self._served:
                self._served[request] = monotonic() + seconds

    def _pop_waiting(self) -> tuple[socket.socket, Any]:
        """Remove and return the first waiting connection that has asked, or the first of all."""
        asked = (
            index for index, (request, _) in enumerate(self._waiting) if not _is_silent(request)
        )
        index = next(asked, 0)
        chosen = self._waiting[index]
        del self._waiting[index]
        return chosen

    def _pop_silent(self) -> socket.socket:
        """Remove and return the first waiting connection that has not asked, or the last of all."""
        silent = (index for index, (request, _) in enumerate(self._waiting) if _is_silent(request))
        index = next(silent, -1)
        chosen, _ = self._waiting[index]
        del self._waiting[index]
        return chosen

    def _refuse(self, request: socket.socket) -> None:
        with suppress(OSError):
            request.settimeout(0)  # only as much is sent as the system buffers
            request.send(_BUSY)
        self.shutdown_request(request)

    def service_actions(self) -> None:
        """End connections whose time is over; the base calls this between two clients and 20 times a second."""
        if self._is_ending:
            raise _EndedError
        now = monotonic()
        with self._lock:
            late = []
            for request, end in self._ends.items():
                if end > now:
                    break
                late.append(request)
            if self._waiting:
                late += [
                    request
                    for request, due in self._served.items()
                    if due <= now and request not in late
                ]
            for request in late:
                self._ends.pop(request, None)
                self._served.pop(request, None)
        for request in late:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)  # its thread finds it ended

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  the base's
        """Log the error, unless a client left or was too slow."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            warn("a scrape from %s failed: %r", client_address, error)

    def server_close(self) -> None:
        """Give the port back, and end the connections that wait."""
        super().server_close()
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for request, _ in waiting:
            self.shutdown_request(request)

    def _after_fork(self) -> None:
        # Otherwise the port would stay taken, and its clients without an answer, as long as the child lives.
        port: socket.socket | None = getattr(self, "socket", None)
        if port is not None:  # not there yet in one that another thread was making
            port.close()
        for request in self._ends:
            request.close()
        self._lock = Lock()
        self._threads = 0
        self._waiting.clear()
        self._ends.clear()
        self._served.clear()


def _is_silent(request: socket.socket) -> bool:
    """Tell whether the client has sent nothing yet, and has not left; *request* does not wait afterwards."""
    try:
        request.settimeout(0)
        request.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:  # it left
        return False
    return False


def listen(
    host: str, port: int, registry: CollectorRegistry, *, patience: float = PATIENCE
) -> Listener:
    """
    Return a listener on the first address of *host*.

    Raises:
        OSError: if the address cannot be listened on.
    """
    resolve: Callable[..., list[Any]] = socket.getaddrinfo
    family, _, _, _, address = resolve(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return Listener(family, address, registry, patience)
