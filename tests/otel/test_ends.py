"""Stores that come to their end: their last counts are exported, and nothing else of them is kept."""

import gc
import threading
import weakref
from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import Deltas, exported, memory_counts
from reentry import Nested
from stores import event

from papyra import MemoryBackend
from papyra_otel import MetricsBridge

MEMORY = ("memory", "memory")


def test_a_store_is_not_kept_alive_and_its_last_counts_are_exported(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    store.append(event())
    assert exported(cumulative) == {MEMORY: memory_counts(records_written=1)}
    store.append(event())
    gone = weakref.ref(store)
    del store
    assert gone() is None
    expected = {MEMORY: memory_counts(records_written=2)}
    assert exported(cumulative) == deltas.collect() == expected
    assert bridge._exporter._sources == {}
    assert exported(cumulative) == deltas.collect() == expected


def test_a_store_that_ends_before_the_first_collection_is_exported(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    store.append(event())
    store.metrics.reset()
    del store
    assert exported(cumulative) == {MEMORY: memory_counts(records_written=1)}


def test_what_ends_with_its_store_is_counted_though_a_collection_comes_between(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    """The garbage collector clears the weak references to a store before it ends its streams."""
    store = MemoryBackend()
    store.append(event())
    bridge.add(store)
    between: list[Any] = []
    watch = weakref.ref(store, lambda _: between.extend(exported(cumulative) for _ in range(3)))
    cycle: list[Any] = [store, store.records()]
    cycle.append(cycle)
    next(cycle[1])
    del store, cycle
    gc.collect()
    assert watch() is None
    assert between == [{MEMORY: memory_counts(records_written=1)}] * 3
    expected = {MEMORY: memory_counts(records_written=1, records_read=1)}
    assert exported(cumulative) == expected
    assert bridge._exporter._sources == {}


def test_counters_that_outlive_their_store_stay_exported(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    counters = store.metrics
    del store
    for n in range(1, 4):
        counters.increment("read_errors")
        assert exported(cumulative) == {MEMORY: memory_counts(read_errors=n)}
    del counters
    exported(cumulative)
    assert bridge._exporter._sources == {}


def test_what_cannot_be_referred_to_weakly_is_exported_all_the_same(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    class Slotted:
        __slots__ = ("metrics",)

        def __init__(self) -> None:
            self.metrics = MemoryBackend().metrics

    store = Slotted()
    bridge.add(store)
    store.metrics.increment("records_read", 7)
    del store
    assert exported(cumulative) == {("custom", "custom"): memory_counts(records_read=7)}


def test_an_end_inside_a_collection_blocks_nothing(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    """The garbage collector may run in the thread that holds the bridge's lock."""
    store = MemoryBackend()
    bridge.add(store)
    store.append(event())
    cycle: list[Any] = [store]
    cycle.append(cycle)
    del store, cycle
    with bridge._exporter._lock:
        gc.collect()
    assert exported(cumulative) == {MEMORY: memory_counts(records_written=1)}


def test_stores_that_come_and_go_in_threads_are_exported_exactly(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    """Three threads make, reset and drop stores, a third of them in cycles, beside two readers."""
    going = True
    seen: list[int] = []

    def make() -> None:
        for n in range(400):
            store: Any = MemoryBackend()
            bridge.add(store)
            store.append_many([event()] * (n % 4))
            if n % 2:
                store.metrics.reset()
            store.append(event())
            store.cycle = store if n % 3 == 0 else None

    def read() -> None:
        while going:
            seen.append(exported(cumulative).get(MEMORY, {}).get("records_written", 0))
            deltas.collect()

    reader = threading.Thread(target=read)
    makers = [threading.Thread(target=make) for _ in range(3)]
    for thread in (reader, *makers):
        thread.start()
    for thread in makers:
        thread.join()
    going = False
    reader.join()

    gc.collect()
    expected = {MEMORY: memory_counts(records_written=3 * (400 + 100 * (0 + 1 + 2 + 3)))}
    assert exported(cumulative) == deltas.collect() == expected
    assert bridge._exporter._sources == {}
    assert seen == sorted(seen)


def test_a_finalizer_adds_counts_and_drops_stores_wherever_it_interrupts_the_bridge(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    """In the same thread: it would wait for itself."""

    def finalize() -> None:
        dropped, removed = MemoryBackend(), MemoryBackend()
        for store in (dropped, removed):
            bridge.add(store, name="nested")
            store.append(event())
        bridge.remove(removed)

    def work() -> None:
        store = MemoryBackend()
        bridge.add(store, name="outer")
        store.append(event())
        exported(cumulative)
        bridge.remove(store)

    nested = Nested(finalize)
    runs = nested.at_each_line_of(work)

    assert nested.done == runs - 1 > 50
    assert exported(cumulative) == {
        ("memory", "outer"): memory_counts(records_written=runs),
        ("memory", "nested"): memory_counts(records_written=2 * nested.done),
    }
