"""The bound on attribute sets: the SDK keeps each for ever, and gives up labels beyond 2,000."""

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import exported, memory_counts
from stores import counts, event

from papyra import MemoryBackend, PersistenceMetricsMixin
from papyra_otel import MetricsBridge
from papyra_otel.attribute_sets import MAX_ATTRIBUTE_SETS


def fill(bridge: MetricsBridge) -> list[MemoryBackend]:
    stores = [MemoryBackend() for _ in range(MAX_ATTRIBUTE_SETS)]
    for number, store in enumerate(stores):
        bridge.add(store, name=f"s{number}")
        store.append(event())
    return stores


class Journal(PersistenceMetricsMixin):
    kind = "journal"


def test_stores_beyond_the_bound_are_counted_together_and_told_of_once(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    stores = fill(bridge)
    assert caplog.messages == []
    named = {("memory", f"s{n}"): memory_counts(records_written=1) for n in range(200)}
    assert exported(cumulative) == named

    late = [MemoryBackend() for _ in range(3)]
    journal = Journal()
    for number in range(3):
        bridge.add(late[number], name=f"late{number}")
        late[number].append_many([event(1), event(2)])
        late[number].metrics.reset()
    bridge.add(journal)
    journal.metrics.increment("compactions_triggered")
    del late[0]
    assert exported(cumulative) == named | {
        ("memory", "_other"): memory_counts(records_written=6),
        ("journal", "_other"): counts(compactions_triggered=1),
    }
    sentence = (
        "the store 'late0' and all that come after 200 others are exported together, as"
        " papyra.store.name='_other'; give stores that come and go one name, with"
        " bridge.add(store, name=...)"
    )
    assert caplog.messages == [sentence]

    known = MemoryBackend()
    bridge.add(known, name="s7")
    known.append(event())
    assert exported(cumulative)["memory", "s7"] == memory_counts(records_written=2)
    with pytest.raises(ValueError, match="'late1' is exported under that name"):
        bridge.add(late[0], name="s7")
    assert len(stores) == 200


def test_the_sdk_never_meets_its_own_limit(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    """Ten times its limit of stores under ever new names, each gone before the next comes."""

    def come_and_go(number: int) -> None:
        store = MemoryBackend()
        bridge.add(store, name=f"s{number}")
        store.metrics.increment("records_read")

    for number in range(20_000):
        come_and_go(number)
        if number % 1000 == 0:
            exported(cumulative)
    assert exported(cumulative) == {
        **{("memory", f"s{n}"): memory_counts(records_read=1) for n in range(200)},
        ("memory", "_other"): memory_counts(records_read=19_800),
    }
    assert bridge._exporter._sources == {}
