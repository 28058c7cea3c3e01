"""What Prometheus is served, and by what."""

import errno
import os
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
from otel.readings import in_child, run_strictly, samples
from stores import event, raiser

from papyra import JsonBackend, MemoryBackend
from papyra.exposition import exposition
from papyra_otel import AddressError
from papyra_otel.listener import Listener
from papyra_otel.prometheus import PrometheusServer, serve


def scrape(url: str, **headers: str) -> str:
    """Return what *url* answers."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_a_scrape_is_this_text() -> None:
    store = MemoryBackend()
    store.append_many([event(1), event(2)])
    store.metrics.reset()
    store.append(event(3))
    store.read()
    store.scan()
    with serve(store, port=0) as server:
        text = scrape(server.url)
    assert text == dedent(
        """\
        # HELP papyra_persistence_records_written_total Records whose write was acknowledged.
        # TYPE papyra_persistence_records_written_total counter
        papyra_persistence_records_written_total{papyra_backend_kind="memory",papyra_store_name="memory"} 3.0
        # HELP papyra_persistence_write_errors_total Write calls that failed.
        # TYPE papyra_persistence_write_errors_total counter
        papyra_persistence_write_errors_total{papyra_backend_kind="memory",papyra_store_name="memory"} 0.0
        # HELP papyra_persistence_records_read_total Records handed out by reads that succeeded.
        # TYPE papyra_persistence_records_read_total counter
        papyra_persistence_records_read_total{papyra_backend_kind="memory",papyra_store_name="memory"} 3.0
        # HELP papyra_persistence_read_errors_total Read calls that failed.
        # TYPE papyra_persistence_read_errors_total counter
        papyra_persistence_read_errors_total{papyra_backend_kind="memory",papyra_store_name="memory"} 0.0
        # HELP papyra_persistence_scan_operations_total Scans started.
        # TYPE papyra_persistence_scan_operations_total counter
        papyra_persistence_scan_operations_total{papyra_backend_kind="memory",papyra_store_name="memory"} 1.0
        # HELP papyra_persistence_anomaly_detected_total Damages found, by any operation.
        # TYPE papyra_persistence_anomaly_detected_total counter
        papyra_persistence_anomaly_detected_total{papyra_backend_kind="memory",papyra_store_name="memory"} 0.0
        # HELP papyra_persistence_recovery_attempts_total Recoveries started.
        # TYPE papyra_persistence_recovery_attempts_total counter
        papyra_persistence_recovery_attempts_total{papyra_backend_kind="memory",papyra_store_name="memory"} 0.0
        # HELP papyra_persistence_recovery_failures_total Recoveries that failed or left damage.
        # TYPE papyra_persistence_recovery_failures_total counter
        papyra_persistence_recovery_failures_total{papyra_backend_kind="memory",papyra_store_name="memory"} 0.0
        """
    )


def test_a_scrape_says_what_papyras_own_text_says(tmp_path: Path) -> None:
    with JsonBackend(tmp_path / 'odd "name".ndjson') as odd, JsonBackend(tmp_path / "b") as plain:
        stores = [MemoryBackend(), MemoryBackend(), odd, plain]
        for number, store in enumerate(stores):
            store.append_many([event(n) for n in range(number)] or [event()])
            store.metrics.reset()
            store.scan()
        with serve(*stores, port=0) as server:
            for _ in range(2):
                assert samples(scrape(server.url)) == samples(exposition(*stores))
                plain.append(event())


def test_openmetrics_is_spoken_where_it_is_asked_for() -> None:
    with serve(MemoryBackend(), port=0) as server:
        text = scrape(server.url, Accept="application/openmetrics-text; version=1.0.0")
    assert text.startswith("# HELP papyra_persistence_records_written Records whose")
    assert text.endswith("# EOF\n")


def test_stores_are_added_while_it_serves() -> None:
    with serve(port=0) as server:
        assert scrape(server.url) == ""
        store = MemoryBackend()
        server.bridge.add(store, name="orders")
        store.append(event())
        assert (
            'records_written_total{papyra_backend_kind="memory",papyra_store_name="orders"} 1.0'
            in (scrape(server.url))
        )


def test_it_goes_on_serving_when_the_program_keeps_nothing_of_it() -> None:
    store = MemoryBackend()
    url = serve(store, port=0).url
    store.append(event())
    assert "records_written_total" in scrape(url)
    for thread in threading.enumerate():
        if thread.name.startswith("papyra-prometheus-"):
            listener = thread._target.__self__  # type: ignore[attr-defined]  # nothing else has it
            listener.shutdown()
            listener.server_close()
            thread.join()


def test_a_port_in_use_is_refused_with_a_sentence_and_free_again_after_close() -> None:
    with serve(port=0) as first:
        with pytest.raises(AddressError) as caught:
            serve(MemoryBackend(), port=first.port)
        assert str(caught.value) == (
            f"http://127.0.0.1:{first.port}/metrics: Address already in use; another program listens"
            " there; take another port, or 0 for any free one"
        )
        assert caught.value.errno == errno.EADDRINUSE
        assert isinstance(caught.value, OSError)
        assert scrape(first.url) == ""
    with serve(port=first.port) as second:
        assert second.url == first.url
        assert scrape(second.url) == ""


def test_an_address_of_no_machine_is_refused_with_a_sentence() -> None:
    with pytest.raises(AddressError, match=r"^http://192\.0\.2\.1:0/metrics: .*; host must be an"):
        serve(host="192.0.2.1", port=0)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="port must be 0 to 65535, got "):
        serve(port=port)


def test_a_store_without_counters_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with pytest.raises(TypeError, match="has no counters"):
        serve(object(), port=0)  # type: ignore[arg-type]  # what a program without types may do
    assert set(threading.enumerate()) <= before


def test_closing_ends_its_thread_and_closing_again_does_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = set(threading.enumerate())
    server = serve(port=0)
    assert len(set(threading.enumerate()) - before) == 1
    server.close()
    server.close()
    assert set(threading.enumerate()) == before
    assert caplog.messages == []


def closed_by_itself(server: PrometheusServer, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Have *server* closed in a thread of its own, as by a finalizer that the collector runs there."""
    if where == "in a scrape":

        class Closing:
            def totals(self) -> dict[str, int]:
                if threading.current_thread() is not threading.main_thread():
                    server.close()
                return {}

        server.bridge.add(Closing())
    elif where == "under the lock":
        real = time.monotonic

        def closing() -> float:
            server.close()
            return real()

        monkeypatch.setattr("papyra_otel.listener.monotonic", closing)
    else:
        look = Listener.service_actions

        def closing_too(listener: Listener) -> None:
            server.close()
            look(listener)

        monkeypatch.setattr(Listener, "service_actions", closing_too)


@pytest.mark.parametrize("where", ["in a scrape", "under the lock", "between two clients"])
def test_a_server_that_is_closed_in_a_thread_of_its_own_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    server = serve(port=0)
    closed_by_itself(server, monkeypatch, where)
    with suppress(OSError):  # refused, if it was faster
        scrape(server.url)
    server._thread.join(10)
    assert not server._thread.is_alive()
    assert server._closed
    monkeypatch.undo()
    with serve(port=server.port) as again:  # the port was given back
        assert scrape(again.url) == ""
    server.close()


def test_a_program_that_serves_and_ends_is_told_of_no_warning() -> None:
    assert run_strictly("served_page", "close") == "200\n"
    assert run_strictly("served_page") == "200\n"


def test_a_scrape_that_fails_is_logged_and_the_next_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(port=0) as server:
        with monkeypatch.context() as patch:
            patch.setattr("papyra_otel.listener._Handler.do_GET", raiser(RuntimeError("odd")))
            with pytest.raises(ConnectionError):
                scrape(server.url)
            patch.setattr("papyra_otel.listener._Handler.do_GET", raiser(BrokenPipeError()))
            with pytest.raises(ConnectionError):
                scrape(server.url)
        assert [text.partition(" failed: ")[2] for text in caplog.messages] == [
            "RuntimeError('odd')"
        ]
        assert scrape(server.url) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_neither_holds_the_port_nor_hangs_when_it_closes() -> None:
    server = serve(port=0)

    starts, started = os.pipe()

    def child() -> bool:
        os.close(started)
        os.read(starts, 1)  # until the parent serves on that port again
        server.close()
        return True

    def parent() -> None:
        server.close()
        with serve(port=server.port) as again:
            served.append(scrape(again.url))
        os.close(started)

    served: list[str] = []
    assert in_child(child, beside=parent)
    assert served == [""]
    os.close(starts)
