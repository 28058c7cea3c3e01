"""Nothing lost, nothing twice, no exported total falls: one thread, step by step."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.metrics import (
    Meter,
    NoOpMeter,
    NoOpMeterProvider,
    ObservableCounter,
    Observation,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import Deltas, exported, in_child, memory_counts
from stores import counts, event

from papyra import JsonBackend, MemoryBackend
from papyra.metrics.names import NAMES
from papyra_otel import MetricsBridge

MEMORY = ("memory", "memory")


def test_the_naive_export_counts_the_whole_history_again_and_the_bridge_does_not(
    provider: MeterProvider, bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    store.append_many([event(n) for n in range(10)])
    labels = {"papyra.backend.kind": "memory", "papyra.store.name": "naive"}
    naive = provider.get_meter("naive").create_counter("records_written")
    for reported in (10, 20, 30):
        naive.add(store.metrics.snapshot()["records_written"], labels)
        assert exported(cumulative) == {
            ("memory", "naive"): {"records_written": reported},
            MEMORY: memory_counts(records_written=10),
        }


#: What happens between the two collections of a scenario: appends, and None for a reset.
SCENARIOS: dict[str, tuple[int | None, ...]] = {
    "no reset": (5,),
    "a reset, then fewer": (None, 3),
    "a reset, then more": (None, 30),
    "unseen ones, a reset, then fewer": (5, None, 3),
    "unseen ones, a reset, then more": (5, None, 30),
    "two resets": (5, None, 7, None, 2),
    "a reset, nothing after": (5, None),
    "as many after a reset as before": (None, 10),
}


@pytest.mark.parametrize("steps", SCENARIOS.values(), ids=SCENARIOS)
def test_an_export_is_exact_whatever_is_reset(
    bridge: MetricsBridge,
    cumulative: InMemoryMetricReader,
    deltas: Deltas,
    steps: tuple[int | None, ...],
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    store.append_many([event(n) for n in range(10)])
    written = 10
    assert exported(cumulative) == deltas.collect() == {MEMORY: memory_counts(records_written=10)}
    for step in steps:
        if step is None:
            store.metrics.reset()
        else:
            store.append_many([event(n) for n in range(step)])
            written += step
    expected = {MEMORY: memory_counts(records_written=written)}
    assert exported(cumulative) == deltas.collect() == expected
    assert exported(cumulative) == deltas.collect() == expected


def test_readers_that_ask_at_different_times_are_each_told_all(
    bridge: MetricsBridge,
    provider: MeterProvider,
    cumulative: InMemoryMetricReader,
    deltas: Deltas,
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    for n in range(1, 13):
        store.append(event(n))
        store.metrics.reset()
        expected = {MEMORY: memory_counts(records_written=n)}
        if n % 2:
            assert exported(cumulative) == expected
        if n % 3 == 0:
            assert deltas.collect() == expected
    late = InMemoryMetricReader()
    provider.add_metric_reader(late)
    assert exported(late) == exported(cumulative) == deltas.collect()


def test_a_closed_store_stays_exported_and_its_next_object_counts_on(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas, tmp_path: Path
) -> None:
    for n in range(1, 4):
        with JsonBackend(tmp_path / "orders.ndjson", sync="none") as store:
            bridge.add(store)
            store.append(event(n))
            if n == 2:
                exported(cumulative)
        expected = {("json", "orders"): counts(records_written=n)}
        assert exported(cumulative) == deltas.collect() == expected


class Ticking:
    """Counters that all move by one whenever somebody looks."""

    def __init__(self) -> None:
        self.looks = 0

    def totals(self) -> dict[str, int]:
        self.looks += 1
        return dict.fromkeys(NAMES, self.looks)


def test_one_collection_shows_one_moment_of_a_store(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    ticking = Ticking()
    bridge.add(ticking)
    for look in range(ticking.looks + 1, 20, 2):
        assert exported(cumulative) == {("custom", "custom"): dict.fromkeys(NAMES, look)}
        assert deltas.collect() == {("custom", "custom"): dict.fromkeys(NAMES, look + 1)}


class PickyProvider(NoOpMeterProvider):
    """A provider that asks for the counters it likes, as its Views say."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Callable[[object], Iterable[Observation]]] = {}

    def get_meter(self, *_: Any, **__: Any) -> Meter:
        return PickyMeter(self.callbacks)

    def ask(self, name: str) -> list[float]:
        return [observation.value for observation in self.callbacks[name](None)]


class PickyMeter(NoOpMeter):
    def __init__(self, callbacks: dict[str, Callable[[object], Iterable[Observation]]]) -> None:
        super().__init__("picky")
        self._callbacks = callbacks

    def create_observable_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> ObservableCounter:
        self._callbacks[name.removeprefix("papyra.persistence.")] = callbacks[0]
        return super().create_observable_counter(name, callbacks, unit, description)


def test_a_collection_begins_with_whichever_counter_is_asked_for_again() -> None:
    provider = PickyProvider()
    ticking = Ticking()
    MetricsBridge(provider).add(ticking)
    first = ticking.looks + 1
    assert [provider.ask("write_errors"), provider.ask("read_errors")] == [[first], [first]]
    assert [provider.ask("read_errors"), provider.ask("write_errors")] == [[first + 1]] * 2
    assert [provider.ask("read_errors"), provider.ask("read_errors")] == [[first + 2], [first + 3]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestFork:
    def test_a_child_goes_on_from_its_parents_numbers_and_none_is_negative(
        self, bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
    ) -> None:
        store = MemoryBackend()
        bridge.add(store)
        store.append_many([event(1), event(2), event(3)])
        exported(cumulative)
        deltas.collect()
        store.append_many([event(4), event(5)])  # which the parent is still to export

        def child() -> Any:
            reported = []
            for records in (4, 1):  # at first more than its parent had exported
                store.append_many([event(6)] * records)
                reported.append((exported(cumulative), deltas.collect()))
            return reported

        with bridge._exporter._lock:  # held by another thread, for all the child knows
            reported = in_child(child)

        five, seven, eight = ({MEMORY: memory_counts(records_written=n)} for n in (5, 7, 8))
        assert reported == [(seven, seven), (eight, eight)]
        assert exported(cumulative) == deltas.collect() == five

    def test_a_child_with_a_provider_of_its_own_exports_what_it_counted(
        self, bridge: MetricsBridge, cumulative: InMemoryMetricReader
    ) -> None:
        store = MemoryBackend()
        bridge.add(store)
        store.append(event(1))

        def child() -> Any:
            reader = InMemoryMetricReader()
            MetricsBridge(MeterProvider([reader], shutdown_on_exit=False)).add(store)
            store.append_many([event(2), event(3)])
            return exported(reader)

        assert in_child(child) == {MEMORY: memory_counts(records_written=2)}
        assert exported(cumulative) == {MEMORY: memory_counts(records_written=1)}

    def test_a_strangers_counters_that_go_on_in_the_child_are_not_told_again(
        self, bridge: MetricsBridge, cumulative: InMemoryMetricReader
    ) -> None:
        counted = {"records_written": 5}

        class Stranger:
            def snapshot(self) -> dict[str, int]:
                return counted

        bridge.add(Stranger())
        exported(cumulative)

        def child() -> Any:
            counted["records_written"] += 1
            return exported(cumulative)

        assert in_child(child) == {("custom", "custom"): {"records_written": 6}}


def test_an_interrupted_collection_counts_nothing_twice(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    """Wherever the interrupt strikes: before each reading of a collection, one after the other."""
    stores = [MemoryBackend() for _ in range(3)]
    interrupts = [False] * len(stores)

    def interrupting(number: int, totals: Callable[[], dict[str, int]]) -> Any:
        class Interrupting:
            def totals(self) -> dict[str, int]:
                if interrupts[number]:
                    interrupts[number] = False
                    raise KeyboardInterrupt
                return totals()

        return Interrupting()

    for number, store in enumerate(stores):
        bridge.add(interrupting(number, store.metrics.totals))
    for number, store in enumerate(stores):
        store.append(event(number))
        interrupts[number] = True
        with pytest.raises(KeyboardInterrupt):
            cumulative.collect()
    for store in stores:
        store.append(event())
    expected = {("custom", "custom"): counts(records_written=6)}
    assert exported(cumulative) == deltas.collect() == expected
