"""What a bridge exports, and what it refuses."""

from pathlib import Path

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum
from otel.readings import exported, memory_counts, metrics, run_strictly
from stores import counts, event

from papyra import COUNTERS, JsonBackend, MemoryBackend, PersistenceMetricsMixin
from papyra_otel import BridgeError, MetricsBridge


def test_the_instruments_are_made_from_the_table_of_counters(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, tmp_path: Path
) -> None:
    with JsonBackend(tmp_path / "orders.ndjson") as store:
        bridge.add(store)
        found = metrics(cumulative)
        assert [(m.name, m.unit, m.description) for m in found] == [
            (f"papyra.persistence.{name}", unit, meaning) for name, unit, meaning in COUNTERS
        ]
        assert all(isinstance(m.data, Sum) and m.data.is_monotonic for m in found)
        assert exported(cumulative) == {("json", "orders"): counts()}


def test_every_supported_counter_is_exported_from_0_on_and_no_other(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    assert exported(cumulative) == {("memory", "memory"): memory_counts()}


def test_what_was_counted_before_it_was_added_is_exported_too(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    store.append(event())
    store.metrics.reset()
    store.append(event())
    bridge.add(store)
    assert exported(cumulative) == {("memory", "memory"): memory_counts(records_written=2)}


def test_a_store_is_called_what_the_program_calls_it(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store, name="orders")
    assert exported(cumulative) == {("memory", "orders"): memory_counts()}


def test_adding_a_store_again_does_nothing(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store, name="orders")
    bridge.add(store, name="orders")
    bridge.add(store)
    store.append(event())
    assert exported(cumulative) == {("memory", "orders"): memory_counts(records_written=1)}


def test_a_second_name_for_one_store_is_refused(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store)
    with pytest.raises(
        BridgeError,
        match=r"^the memory store 'memory' is exported under that name; as 'orders' too, its counts",
    ):
        bridge.add(store, name="orders")
    assert exported(cumulative) == {("memory", "memory"): memory_counts()}


def test_stores_of_one_kind_and_name_are_exported_as_their_sum(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    stores = [MemoryBackend() for _ in range(3)]
    for number, store in enumerate(stores, 1):
        bridge.add(store)
        store.append_many([event(n) for n in range(number)])
    assert exported(cumulative) == {("memory", "memory"): memory_counts(records_written=6)}


def test_a_third_partys_store_says_its_kind_and_else_is_custom(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    class Journal(PersistenceMetricsMixin):
        kind = "journal"

    class Unnamed(PersistenceMetricsMixin):
        pass

    journal, unnamed = Journal(), Unnamed()
    journal.metrics.increment("records_written")
    bridge.add(journal)
    bridge.add(unnamed)
    assert exported(cumulative) == {
        ("journal", "journal"): counts(records_written=1),
        ("custom", "custom"): counts(),
    }


def test_a_name_that_is_no_utf8_does_not_end_the_scrape(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    store = MemoryBackend()
    bridge.add(store, name="caf\udce9")
    assert exported(cumulative) == {("memory", "caf\\udce9"): memory_counts()}


@pytest.mark.parametrize("stranger", [object(), 1, None])
def test_what_has_no_counters_is_refused(bridge: MetricsBridge, stranger: object) -> None:
    with pytest.raises(TypeError, match=r"has no counters to export: totals\(\) or snapshot\(\)"):
        bridge.add(stranger)  # type: ignore[arg-type]  # what a program without types may do


def test_a_name_that_is_no_text_is_refused(bridge: MetricsBridge) -> None:
    with pytest.raises(TypeError, match="name must be a string or None, got 5"):
        bridge.add(MemoryBackend(), name=5)  # type: ignore[arg-type]


def test_a_second_bridge_on_one_provider_is_refused(
    bridge: MetricsBridge, provider: MeterProvider, cumulative: InMemoryMetricReader
) -> None:
    with pytest.raises(BridgeError, match=r"has a papyra bridge already.*keep one bridge"):
        MetricsBridge(provider)
    store = MemoryBackend()
    store.append(event())
    bridge.add(store)
    assert exported(cumulative) == {("memory", "memory"): memory_counts(records_written=1)}


def test_bridges_on_two_providers_each_export_all() -> None:
    store = MemoryBackend()
    readers = [InMemoryMetricReader() for _ in range(2)]
    providers = [MeterProvider([reader], shutdown_on_exit=False) for reader in readers]
    for provider in providers:
        MetricsBridge(provider).add(store)
    for n in range(3):
        store.append(event(n))
        store.metrics.reset()
        expected = {("memory", "memory"): memory_counts(records_written=n + 1)}
        assert [exported(reader) for reader in readers] == [expected, expected]


def test_a_bridge_lives_as_long_as_a_reader_does(cumulative: InMemoryMetricReader) -> None:
    """The program keeps its reader, and neither the provider nor the bridge."""
    store = MemoryBackend()
    MetricsBridge(MeterProvider([cumulative], shutdown_on_exit=False)).add(store)
    store.append(event())
    assert exported(cumulative) == {("memory", "memory"): memory_counts(records_written=1)}


def test_without_an_sdk_a_bridge_does_nothing() -> None:
    provider = NoOpMeterProvider()
    bridge = MetricsBridge(provider)
    store = MemoryBackend()
    bridge.add(store)
    store.append(event())
    with pytest.raises(BridgeError):
        MetricsBridge(provider)


def test_a_bridge_may_be_made_before_the_global_provider_is_set_and_is_the_only_one() -> None:
    printed = run_strictly("global_provider", "early")
    assert printed == "refused\nrefused\nrefused\n('papyra.persistence.records_written', [1])\n"


def test_a_bridge_that_became_the_second_one_later_says_so_when_a_store_is_added() -> None:
    printed = run_strictly("global_provider", "second")
    assert printed == "refused\n"
