"""Four threads of 10,000 appends beside resets and readers: every sum is 40,000."""

import threading

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import Deltas, exported
from stores import KINDS, counts, event

from papyra_otel import MetricsBridge


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_store_its_totals_the_resets_and_every_export_agree(
    kind: str,
    bridge: MetricsBridge,
    cumulative: InMemoryMetricReader,
    deltas: Deltas,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with KINDS[kind](tmp_path_factory.mktemp(kind)).open(sync="none") as store:
        bridge.add(store)
        key = store.kind, store.name
        going = True
        intervals: list[dict[str, int]] = []
        seen: list[int] = []

        def append() -> None:
            for n in range(10_000):
                store.append(event(n))

        def reset() -> None:
            while going:
                intervals.append(store.metrics.reset())

        def read() -> None:
            while going:
                seen.append(exported(cumulative)[key]["records_written"])
                deltas.collect()

        beside = [threading.Thread(target=reset), threading.Thread(target=read)]
        writers = [threading.Thread(target=append) for _ in range(4)]
        for thread in (*beside, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        going = False
        for thread in beside:
            thread.join()

        intervals.append(store.metrics.snapshot())
        whole = counts(records_written=40_000)
        moved = {name: whole[name] for name in store.metrics.supported}
        assert store.metrics.totals() == whole
        assert exported(cumulative) == deltas.collect() == {key: moved}
        assert {name: sum(i[name] for i in intervals) for name in whole} == whole
        assert seen == sorted(seen)
        assert store.scan().records == 40_000
