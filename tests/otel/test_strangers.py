"""Counters that are not papyra's."""

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import Deltas, exported, memory_counts
from stores import counts, event

from papyra import MemoryBackend
from papyra_otel import MetricsBridge

CUSTOM = ("custom", "custom")


class Counted:
    """Counters of a third party: one dict that goes on counting, and may be set back."""

    def __init__(self, **counted: int) -> None:
        self.counted = counted

    def snapshot(self) -> dict[str, int]:
        return self.counted


class Store:
    """A third party's store."""

    kind = "journal"

    def __init__(self, **counted: int) -> None:
        self.metrics = Counted(**counted)


def test_snapshots_are_exported_as_totals(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    store, counters = Store(records_written=3), Counted(records_read=1)
    bridge.add(store, name="orders")
    bridge.add(counters)
    for n in range(4, 7):
        store.metrics.counted["records_written"] = n
        expected = {("journal", "orders"): {"records_written": n}, CUSTOM: {"records_read": 1}}
        assert exported(cumulative) == deltas.collect() == expected


def test_only_the_ten_are_exported_and_of_these_what_is_there(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    bridge.add(Counted(records_written=3, write_errors=0, elephants=9))
    assert exported(cumulative) == {CUSTOM: {"records_written": 3, "write_errors": 0}}


def test_a_lower_value_is_a_new_start(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, deltas: Deltas
) -> None:
    store = Store(records_written=0, write_errors=0)
    bridge.add(store)
    reported = []
    for written, errors in [(10, 1), (4, 1), (4, 0), (9, 2), (0, 0), (1, 1)]:
        store.metrics.counted.update(records_written=written, write_errors=errors)
        now = exported(cumulative)
        assert now == deltas.collect()
        reported.append(tuple(now["journal", "journal"].values()))
    assert reported == [(10, 1), (14, 1), (14, 1), (19, 3), (19, 3), (20, 4)]


def test_a_strangers_store_is_not_kept_alive_either(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = Store(records_written=0)
    bridge.add(store)
    store.metrics.counted["records_written"] = 5
    del store
    assert exported(cumulative) == {("journal", "journal"): {"records_written": 5}}
    assert bridge._exporter._sources == {}


class Faulty:
    """Counters that cannot be read now and then."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.n = 0

    def totals(self) -> dict[str, int]:
        if self.fault:
            raise self.fault
        return counts(records_written=self.n)


def test_counters_that_cannot_be_read_hide_no_others_and_are_told_of_once(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    faulty, store = Faulty(), MemoryBackend()
    bridge.add(faulty, name="faulty")
    bridge.add(store)

    def both(faults: int, written: int) -> dict[tuple[str, str], dict[str, int]]:
        return {
            ("custom", "faulty"): counts(records_written=faults),
            ("memory", "memory"): memory_counts(records_written=written),
        }

    for n in (0, 10):
        faulty.n, faulty.fault = n + 3, None
        assert exported(cumulative) == both(n + 3, store.metrics.totals()["records_written"])
        faulty.n, faulty.fault = n + 7, RuntimeError("no connection")
        for _ in range(2):
            store.append(event())
            assert exported(cumulative) == both(n + 3, store.metrics.totals()["records_written"])
    faulty.fault = None
    assert exported(cumulative) == both(17, 4)
    sentence = (
        "the counters of 'faulty' cannot be read; the last ones stay exported:"
        " RuntimeError('no connection')"
    )
    assert caplog.messages == [sentence, sentence]  # once for each time that they began to fail
