"""The HTTP server: what it answers, what it refuses, and that no client stops it."""

import gzip
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from otel.readings import samples
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from stores import event, raiser

from papyra import MemoryBackend
from papyra_otel import MetricsBridge, listener
from papyra_otel.listener import BACKLOG, MOST_THREADS, Listener, listen
from papyra_otel.prometheus import GuardedReader, serve
from servers import wait_until

#: Seconds that no test takes.
FOR_EVER = 1e6
WRITTEN = "papyra_persistence_records_written_total"


@pytest.fixture
def port() -> Iterator[int]:
    """Where a store with one record is served."""
    store = MemoryBackend()
    store.append(event())
    with serve(store, port=0) as server:
        yield server.port


def ask(
    port: int, method: str, target: str = "/metrics", **more: object
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, target, **more)  # type: ignore[arg-type]  # body and headers
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def test_head_gives_the_headers_of_get_and_no_body(port: int) -> None:
    status, headers, text = ask(port, "GET")
    assert (status, headers["Content-Length"]) == (200, str(len(text)))
    head_status, head_headers, nothing = ask(port, "HEAD")
    del headers["Date"], head_headers["Date"]
    assert (head_status, head_headers, nothing) == (200, headers, b"")
    assert headers["Server"].strip() == "papyra"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_refused_in_words(port: int, method: str) -> None:
    status, headers, text = ask(port, method, body=b"x" * 1_000_000)
    assert (status, headers["Allow"], headers["Content-Type"]) == (
        405,
        "GET, HEAD",
        "text/plain; charset=utf-8",
    )
    assert text.decode() == (
        f"{method} is not allowed here; GET and HEAD answer with the metrics\n"
    )


def test_what_is_not_http_is_refused_in_words(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /metrics HTTP/nine\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nBad request version ('HTTP/nine')\n")


def test_a_page_is_compressed_where_that_is_asked_for(port: int) -> None:
    _, headers, packed = ask(port, "GET", headers={"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == ask(port, "GET")[2]


def test_a_series_that_is_asked_for_by_name_is_given_alone(port: int) -> None:
    text = ask(port, "GET", f"/metrics?name[]={WRITTEN}")[2].decode()
    assert [line for line in text.splitlines() if line[0] != "#"] == [
        f'{WRITTEN}{{papyra_backend_kind="memory",papyra_store_name="memory"}} 1.0'
    ]
    both = f"/metrics?name[]={WRITTEN}&name%5B%5D=papyra_persistence_read_errors_total"
    assert ask(port, "GET", both)[2].count(b"# HELP") == 2
    assert ask(port, "GET", "/metrics?name[]=other")[2] == b""


@pytest.mark.parametrize(
    "options", [{}, {"support_collectors_without_names": True}, {"auto_describe": True}]
)
@pytest.mark.parametrize("prefix", ["", "my"])
def test_a_guarded_reader_gives_a_series_by_name_in_any_registry(
    options: dict[str, Any], prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry(**options)
    reader = GuardedReader(registry=registry, prefix=prefix, scope_info_enabled=False)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    MetricsBridge(provider).add(MemoryBackend())
    name = f"{prefix}_{WRITTEN}" if prefix else WRITTEN
    text = generate_latest(registry.restricted_registry([name])).decode()
    assert [family[0] for family in samples(text)] == [name.removesuffix("_total")]
    reader.shutdown()
    assert generate_latest(registry.restricted_registry([name])) == b""
    assert caplog.messages == []


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def test_a_hundred_clients_at_once_are_queued_by_the_system() -> None:
    """Nobody accepts them meanwhile; the system drops what is one too many, which costs it a second."""
    with listen("127.0.0.1", 0, CollectorRegistry()) as idle, ExitStack() as clients:
        for _ in range(100):
            address = "127.0.0.1", idle.server_address[1]
            clients.enter_context(socket.create_connection(address, 0.5))
    assert BACKLOG == 128


@contextmanager
def serving(patience: float = 30.0) -> Iterator[Listener]:
    """Serve an empty registry with *patience*."""
    server = listen("127.0.0.1", 0, CollectorRegistry(), patience=patience)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def rest(client: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(4096), b""))


def test_silent_clients_take_so_many_threads_and_others_wait_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "BACKLOG", 2)
    monkeypatch.setattr(listener, "TIME_TO_ASK", FOR_EVER)
    with serving() as server, ExitStack() as clients:
        port = server.server_address[1]
        silent = [clients.enter_context(connect(port)) for _ in range(MOST_THREADS)]
        wait_until(lambda: server._threads == MOST_THREADS)
        waiting = [clients.enter_context(connect(port)) for _ in range(2)]
        for client in waiting:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        wait_until(lambda: len(server._waiting) == 2)
        with connect(port) as refused:
            answer = rest(refused)
        assert answer.startswith(b"HTTP/1.0 503 Service Unavailable\r\n")
        assert b"Retry-After: 1" in answer
        assert answer.endswith(b"Too many clients are served; ask again later.\n")
        serving_threads = [t for t in threading.enumerate() if "_serve" in t.name]
        assert len(serving_threads) == MOST_THREADS
        silent[0].close()
        for client in waiting:  # one after the other, by the one thread that is free
            assert rest(client).startswith(b"HTTP/1.0 200 OK\r\n")


def silence(_: socket.socket) -> None:
    """Ask for nothing."""


def half_a_request(client: socket.socket) -> None:
    """Begin to ask."""
    client.sendall(b"GET / HTTP/1.0\r\nAccept:")


def whole_request(client: socket.socket) -> None:
    """Ask; the answer is never taken."""
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")


class Large:
    """Metrics that no system buffers for a client."""

    def collect(self) -> list[Metric]:
        """Return one whose help is long."""
        return [GaugeMetricFamily("large", "x" * 30_000_000, 1)]


@pytest.mark.parametrize("number", [MOST_THREADS, MOST_THREADS + BACKLOG])
@pytest.mark.parametrize("ask_for", [silence, half_a_request])
def test_clients_that_do_not_ask_keep_no_scrape_out(
    monkeypatch: pytest.MonkeyPatch, number: int, ask_for: Callable[[socket.socket], None]
) -> None:
    if ask_for is half_a_request:
        number = min(number, MOST_THREADS + BACKLOG - 1)  # one place is left to wait at
    monkeypatch.setattr(listener, "TIME_TO_ASK", 0.1)
    with serving(patience=FOR_EVER) as server, ExitStack() as clients:
        port = server.server_address[1]
        for _ in range(number):
            ask_for(clients.enter_context(connect(port)))
        with connect(port) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert rest(client).startswith(b"HTTP/1.0 200 OK\r\n")


def test_a_client_that_asks_comes_before_those_that_wait_and_ask_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "TIME_TO_ASK", FOR_EVER)
    monkeypatch.setattr(listener, "MOST_THREADS", 1)
    monkeypatch.setattr(listener, "BACKLOG", 2)
    with serving() as server, ExitStack() as clients:
        port = server.server_address[1]
        served, turned_away, _ = (clients.enter_context(connect(port)) for _ in range(3))
        wait_until(lambda: len(server._waiting) == 2)
        with connect(port) as client:
            whole_request(client)
            assert rest(turned_away).startswith(b"HTTP/1.0 503 Service Unavailable\r\n")
            served.close()
            assert rest(client).startswith(b"HTTP/1.0 200 OK\r\n")


def test_clients_that_do_not_take_their_answers_keep_no_scrape_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "TIME_TO_TAKE", 0.1)
    monkeypatch.setattr(listener, "MOST_THREADS", 2)
    with serving(patience=FOR_EVER) as server, ExitStack() as clients:
        port = server.server_address[1]
        server.registry.register(Large())
        for _ in range(2):
            whole_request(clients.enter_context(connect(port)))
        wait_until(lambda: server._threads == 2)
        with connect(port) as client:
            client.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            assert rest(client).startswith(b"HTTP/1.0 200 OK\r\n")


def test_a_client_that_takes_its_time_is_served_where_no_other_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "TIME_TO_ASK", -FOR_EVER)
    with serving() as server, connect(server.server_address[1]) as slow:
        wait_until(lambda: server._threads == 1)
        for _ in range(3):
            with connect(server.server_address[1]) as client:
                whole_request(client)
                assert rest(client).startswith(b"HTTP/1.0 200 OK\r\n")
        whole_request(slow)
        assert rest(slow).startswith(b"HTTP/1.0 200 OK\r\n")
        wait_until(lambda: server._threads == 0)
        assert (server._served, server._ends) == ({}, {})


def test_a_scrape_that_takes_long_to_answer_keeps_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its client is not what is awaited."""
    monkeypatch.setattr(listener, "TIME_TO_ASK", 0.0)
    monkeypatch.setattr(listener, "MOST_THREADS", 1)
    looks: list[int] = []
    look = Listener.service_actions

    def counted(self: Listener) -> None:
        looks.append(0)
        look(self)

    monkeypatch.setattr(Listener, "service_actions", counted)
    asked = threading.Event()

    class Slow:
        def collect(self) -> list[Metric]:
            asked.set()
            wait_until(lambda: bool(server._waiting))
            before = len(looks)
            wait_until(lambda: len(looks) > before + 2)
            server._waiting[0][0].shutdown(socket.SHUT_RDWR)
            return []

    with serving() as server, ExitStack() as clients:
        port = server.server_address[1]
        server.registry.register(Slow())
        first = clients.enter_context(connect(port))
        whole_request(first)
        assert asked.wait(10)
        clients.enter_context(connect(port))
        assert rest(first).startswith(b"HTTP/1.0 200 OK\r\n")


def nothing(_: socket.socket) -> None:
    """Send nothing."""


def a_little(client: socket.socket) -> None:
    """Send one byte more of a request that never ends."""
    client.send(b"x")


@pytest.mark.parametrize("send", [nothing, a_little])
def test_a_slow_client_is_ended(send: Callable[[socket.socket], None]) -> None:
    """Also one that sends a byte now and then, so that no single wait takes long."""
    with serving(patience=0.3) as server, connect(server.server_address[1]) as client:
        client.settimeout(0.01)

        def ended() -> bool:
            try:
                send(client)
                return client.recv(4096) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(ended)
        wait_until(lambda: server._threads == 0)
        assert server._ends == {}


def test_clients_that_wait_too_long_are_ended_too() -> None:
    with serving(patience=0.3) as server, ExitStack() as clients:
        port = server.server_address[1]
        many = [clients.enter_context(connect(port)) for _ in range(MOST_THREADS + 10)]
        for client in many:
            assert rest(client) == b""
        wait_until(lambda: server._threads == 0)
        with connect(port) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert rest(client).startswith(b"HTTP/1.0 200 OK\r\n")


def test_a_system_without_threads_costs_its_client_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving() as server:
        port = server.server_address[1]
        with monkeypatch.context() as patch:
            patch.setattr(listener, "Thread", raiser(RuntimeError("can't start new thread")))
            with connect(port) as client:
                assert rest(client) == b""
        assert "can't start new thread" in caplog.text
        assert (server._threads, server._ends) == (0, {})
        with connect(port) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert rest(client).startswith(b"HTTP/1.0 200 OK\r\n")
