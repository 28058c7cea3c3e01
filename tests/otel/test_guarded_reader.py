"""The stock reader's faults, which the guarded one has not."""

import threading
from collections.abc import Iterable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from otel.readings import samples
from prometheus_client import CollectorRegistry, generate_latest
from stores import event

from papyra import MemoryBackend
from papyra.exposition import exposition
from papyra.metrics.exportable import Countable
from papyra_otel import MetricsBridge
from papyra_otel.prometheus import GuardedReader


def guarded(
    *stores: Countable,
) -> tuple[CollectorRegistry, GuardedReader, MeterProvider, MetricsBridge]:
    """Return a provider with a guarded reader, and a bridge with *stores* on it."""
    registry = CollectorRegistry()
    reader = GuardedReader(registry=registry, disable_target_info=True, scope_info_enabled=False)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    bridge = MetricsBridge(provider)
    for store in stores:
        bridge.add(store)
    return registry, reader, provider, bridge


def test_flushes_leave_no_second_sample_to_the_next_scrape() -> None:
    store = MemoryBackend()
    registry, reader, provider, _ = guarded(store)
    for n in range(5):
        store.append(event(n))
        provider.force_flush()
        reader.collect()
    assert generate_latest(registry).decode().count("# HELP") == 8
    assert samples(generate_latest(registry).decode()) == samples(exposition(store))


class NoticingLock:
    """A lock that tells when somebody has to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting = threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.waiting.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_scrapes_at_once_are_each_told_one_sample_of_each_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second begins when the first has collected, and before it takes what it collected."""
    store = MemoryBackend()
    registry, reader, _, _ = guarded(store)
    lock = NoticingLock()
    monkeypatch.setattr(reader._scrapes, "_lock", lock)
    texts: list[str] = []
    take_in = reader._collector.add_metrics_data

    def second() -> None:
        texts.append(generate_latest(registry).decode())
        lock.waiting.set()  # where nobody made it wait

    other = threading.Thread(target=second)

    def interposed(data: Any) -> None:
        take_in(data)
        if not texts and not other.is_alive():
            other.start()
            assert lock.waiting.wait(10)

    monkeypatch.setattr(reader._collector, "add_metrics_data", interposed)
    texts.append(generate_latest(registry).decode())
    other.join()
    assert [samples(text) for text in texts] == [samples(exposition(store))] * 2


def test_a_second_shutdown_does_nothing() -> None:
    registry, reader, provider, _ = guarded(MemoryBackend())
    provider.shutdown()
    reader.shutdown()
    assert generate_latest(registry) == b""


def test_the_guard_adds_nothing_to_what_the_stock_reader_tells() -> None:
    """Options reach it, as that for target_info."""
    registry = CollectorRegistry()
    provider = MeterProvider([GuardedReader(registry=registry)], shutdown_on_exit=False)
    MetricsBridge(provider).add(MemoryBackend())
    families: Iterable[Any] = registry.collect()
    assert [family.name for family in families][:2] == [
        "target",
        "papyra_persistence_records_written",
    ]
