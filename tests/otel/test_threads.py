"""Four threads of 10,000 appends beside resets and readers: every sum is 40,000."""

import threading

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import Deltas, exported
from pacing import Paced
from stores import KINDS, counts, event, in_another_thread

from papyra import MemoryBackend
from papyra_otel import MetricsBridge


@pytest.mark.parametrize("kind", KINDS)
def test_the_store_its_totals_the_resets_and_every_export_agree(
    kind: str,
    bridge: MetricsBridge,
    cumulative: InMemoryMetricReader,
    deltas: Deltas,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = KINDS[kind](tmp_path_factory.mktemp(kind))
    with place.open(sync="none", **place.busy) as store:
        bridge.add(store)
        key = store.kind, store.name
        intervals: list[dict[str, int]] = []
        seen: list[int] = []

        def read() -> None:
            seen.append(exported(cumulative)[key]["records_written"])
            deltas.collect()

        beside = [Paced(lambda: intervals.append(store.metrics.reset())), Paced(read)]

        def append() -> None:
            for n in range(10_000):
                store.append(event(n))
                if n % 100 == 0:
                    for thread in beside:
                        thread.turns.release()

        writers = [threading.Thread(target=append) for _ in range(4)]
        for thread in (*beside, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        for thread in beside:
            thread.end()

        intervals.append(store.metrics.snapshot())
        whole = counts(records_written=40_000)
        moved = {name: whole[name] for name in store.metrics.supported}
        assert store.metrics.totals() == whole
        assert exported(cumulative) == deltas.collect() == {key: moved}
        assert {name: sum(i[name] for i in intervals) for name in whole} == whole
        assert seen == sorted(seen)
        assert store.scan().records == 40_000


def test_a_scrape_waits_for_no_thread_that_looks_at_the_counters(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader
) -> None:
    """A finalizer there may want to leave the bridge, and would wait for the scrape."""
    with MemoryBackend() as store, MemoryBackend() as other:
        bridge.add(store)
        bridge.add(other, name="other")
        store.append(event(1))
        with in_another_thread(store.metrics._alone):
            assert exported(cumulative)["memory", "memory"]["records_written"] == 1
            bridge.remove(other)
