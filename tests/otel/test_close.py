"""A bridge that is closed, a store that is removed: what was exported stays, and nothing counts twice."""

import gc
import os
import threading
import weakref
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import Deltas, exported, in_child, memory_counts, run_strictly, samples
from otel.test_guarded_reader import guarded
from prometheus_client import generate_latest
from stores import event

from papyra import COUNTERS, MemoryBackend, PersistenceMetricsMixin
from papyra.exposition import exposition
from papyra.metrics.names import NAMES
from papyra_otel import BridgeError, MetricsBridge

MEMORY = ("memory", "memory")


class Journal(PersistenceMetricsMixin):
    kind = "journal"


def test_a_second_bridge_goes_on_from_what_the_first_exported(
    provider: MeterProvider, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    """As where a test client runs an application's lifespan twice, with another store each time."""
    for turn in range(1, 4):
        with MetricsBridge(provider) as bridge:
            store, journal = MemoryBackend(), Journal()
            bridge.add(store)
            bridge.add(journal)
            store.append_many([event(1), event(2)])
            for n, counter in enumerate(COUNTERS):
                journal.metrics.increment(counter.name, n)
            if turn == 2:  # otherwise it is closed before anybody has asked
                exported(cumulative)
        expected = {
            MEMORY: memory_counts(records_written=2 * turn),
            ("journal", "journal"): {name: n * turn for n, name in enumerate(NAMES)},
        }
        for _ in range(2):
            assert exported(cumulative) == deltas.collect() == expected


def test_what_was_counted_until_the_close_is_exported_though_nobody_asked_before(
    provider: MeterProvider, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    store = MemoryBackend()
    with MetricsBridge(provider) as bridge:
        bridge.add(store)
        store.append(event())
    store.append(event())
    assert exported(cumulative) == deltas.collect() == {MEMORY: memory_counts(records_written=1)}


def test_a_scrape_shows_what_two_bridges_counted() -> None:
    registry, _, provider, bridge = guarded()
    stores = [MemoryBackend(), MemoryBackend()]
    for store in stores:
        with bridge:
            bridge.add(store)
            store.append(event())
        bridge = MetricsBridge(provider)
    assert samples(generate_latest(registry).decode()) == samples(exposition(*stores))


def test_a_store_that_is_added_again_counts_nothing_twice(
    provider: MeterProvider, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    store = MemoryBackend()
    for turn in range(3):
        with MetricsBridge(provider) as bridge:
            store.append(event())
            bridge.add(store)
            store.append(event())
            expected = {MEMORY: memory_counts(records_written=3 * turn + 2)}
            assert exported(cumulative) == deltas.collect() == expected
        store.append(event())  # seen when the next bridge adds it
        assert exported(cumulative) == deltas.collect() == expected


def test_a_removed_store_leaves_its_counts_and_goes_on_when_it_is_added_again(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    store, other = MemoryBackend(), MemoryBackend()
    bridge.add(store)
    bridge.add(other)
    store.append(event())
    bridge.remove(store)
    bridge.remove(store)
    other.append(event())
    store.append(event())
    expected = {MEMORY: memory_counts(records_written=2)}
    assert exported(cumulative) == deltas.collect() == expected
    bridge.add(store)
    store.metrics.reset()
    assert exported(cumulative) == deltas.collect() == {MEMORY: memory_counts(records_written=3)}
    bridge.remove(store)
    bridge.add(store, name="orders")  # its counts of before stay where they are
    store.append(event())
    assert (
        exported(cumulative)
        == deltas.collect()
        == {
            MEMORY: memory_counts(records_written=3),
            ("memory", "orders"): memory_counts(records_written=1),
        }
    )


def test_removing_what_is_not_exported_does_nothing_and_what_has_no_counters_is_refused(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    bridge.remove(MemoryBackend())
    assert exported(cumulative) == {}
    with pytest.raises(TypeError, match="has no counters"):
        bridge.remove(object())  # type: ignore[arg-type]  # what a program without types may do


def test_a_closed_bridge_refuses_stores_and_closing_again_does_nothing(
    provider: MeterProvider, bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.close()
    for use in (bridge.add, bridge.remove):
        with pytest.raises(BridgeError, match="closed; make another one on the same provider"):
            use(store)
    second = MetricsBridge(provider)
    bridge.close()
    second.add(store)
    store.append(event())
    assert exported(cumulative) == {MEMORY: memory_counts(records_written=1)}
    with pytest.raises(BridgeError, match="closed"):
        bridge.add(store)


def test_what_is_removed_is_not_kept_alive_nor_taken_for_what_comes_in_its_place(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    gone = []
    for n in range(1, 101):
        store = MemoryBackend()
        bridge.add(store)
        store.append(event())
        bridge.remove(store)
        gone.append(weakref.ref(store.metrics))
        del store
        assert gone[-1]() is None
        assert exported(cumulative) == {MEMORY: memory_counts(records_written=n)}
    assert bridge._exporter._sources == {}


def test_of_removed_stores_that_are_gone_little_is_kept(bridge: MetricsBridge) -> None:
    for _ in range(10):
        stores = [MemoryBackend() for _ in range(100)]  # at once: none in another's place
        for store in stores:
            bridge.add(store)
            bridge.remove(store)
    assert len(bridge._exporter._left) < 300


def test_a_closed_bridge_keeps_no_store_and_ends_with_its_provider() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    with MetricsBridge(provider) as bridge:
        store = MemoryBackend()
        bridge.add(store)
    ends = [weakref.ref(thing) for thing in (store.metrics, provider, bridge._exporter)]
    del store, bridge
    assert ends[0]() is None
    del provider, reader
    gc.collect()
    assert [end() for end in ends] == [None, None, None]


def test_one_provider_of_many_has_its_bridge_closed() -> None:
    store = MemoryBackend()
    readers = [InMemoryMetricReader() for _ in range(2)]
    one, other = (
        MetricsBridge(MeterProvider([reader], shutdown_on_exit=False)) for reader in readers
    )
    one.add(store)
    other.add(store)
    store.append(event(1))
    one.close()
    store.append(event(2))
    assert [exported(reader)[MEMORY]["records_written"] for reader in readers] == [1, 2]


def test_bridges_that_come_and_go_beside_collections_and_appends_lose_nothing(
    provider: MeterProvider, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    store = MemoryBackend()
    going = True
    seen: list[int] = []

    def append() -> None:
        for n in range(3000):
            store.append(event(n))

    def read() -> None:
        while going:
            seen.append(exported(cumulative).get(MEMORY, {}).get("records_written", 0))
            deltas.collect()

    reader, writer = threading.Thread(target=read), threading.Thread(target=append)
    reader.start()
    writer.start()
    while writer.is_alive():
        with MetricsBridge(provider) as bridge:
            bridge.add(store)
            bridge.remove(store)
            bridge.add(store)
    writer.join()
    going = False
    reader.join()
    with MetricsBridge(provider) as bridge:
        bridge.add(store)
        expected = {MEMORY: memory_counts(records_written=3000)}
        assert exported(cumulative) == deltas.collect() == expected
    assert seen == sorted(seen)


def test_the_global_provider_has_one_bridge_after_another_whenever_it_is_set() -> None:
    assert run_strictly("global_provider", "in turn") == "[2]\n[3]\n[4]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_adds_again_what_its_parent_removed_and_counts_its_own(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    store.append_many([event(1), event(2)])
    bridge.remove(store)

    def child() -> Any:
        bridge.add(store)
        store.append_many([event(n) for n in range(5)])  # more than its parent had exported
        return exported(cumulative)

    with bridge._exporter._lock:  # held by another thread, for all the child knows
        assert in_child(child) == {MEMORY: memory_counts(records_written=7)}
    assert exported(cumulative) == {MEMORY: memory_counts(records_written=2)}
