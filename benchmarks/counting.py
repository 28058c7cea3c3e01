"""The cost of one count, and of a scrape of many stores."""

import tempfile
from collections.abc import Callable, Iterable
from time import perf_counter
from timeit import Timer
from typing import Final

from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from benchmarks.load import record
from benchmarks.side_by_side import Ratio, Timings
from benchmarks.table import Row
from papyra import MemoryBackend, open_store
from papyra.exposition import exposition
from papyra.metrics.names import NAMES
from papyra_otel import MetricsBridge
from papyra_otel.prometheus import GuardedReader

_SETS: Final = 200
#: How often a statement is written into the loop, so that the loop itself costs nothing.
_UNROLLED: Final = 20


def rows(*, long: bool) -> list[Row]:
    """Return what was measured."""
    return [*_count(long=long), *_scrapes(long=long)]


def _count(*, long: bool) -> list[Row]:
    class Plain:
        n = 0

    with (
        tempfile.TemporaryDirectory(dir=".") as place,
        open_store(f"json:{place}/store.ndjson") as store,
    ):
        store.append(record(0))

        def turn(statement: str) -> Callable[[], float]:
            names = {"o": Plain(), "metrics": store.metrics, "append": store.append, "r": record(1)}
            timer = Timer("\n".join([statement] * _UNROLLED), globals=names)
            times = 500 if long else 1
            return lambda: timer.timeit(times) / times / _UNROLLED

        timings = Timings(
            {
                "plain": turn("o.n += 1"),
                # As the commit queue does it for an append that is alone.
                "count": turn("metrics._settle_written(1)"),
                "by name": turn("metrics.increment('records_read')"),
                "append": turn("append(r)"),
            },
            rounds=15 if long else 2,
        )
    plain = "a plain attribute += 1: its time"
    share = timings.faster("append", "count")
    return [
        Row("one count of an append", plain, 9.5, timings.faster("plain", "count"), at_least=False),
        Row("one count by name", plain, None, timings.faster("plain", "by name"), at_least=False),
        Row(
            "one count of an append",
            "a json append",
            3.5,
            Ratio(*(100 * figure for figure in share)),
            at_least=False,
            unit="%",
        ),
    ]


def _scrapes(*, long: bool) -> list[Row]:
    stores = [MemoryBackend() for _ in range(10_000 if long else 20)]
    for number, store in enumerate(stores):
        store.name = f"s{number}"
    collectors = CollectorRegistry()
    collectors.register(_Collector(stores))
    registry = CollectorRegistry()
    provider = MeterProvider(metric_readers=[GuardedReader(registry=registry)])
    bridge = MetricsBridge(provider)
    for number, store in enumerate(stores):
        bridge.add(store, f"set{number % _SETS}")

    def turn(scrape: Callable[[], object]) -> Callable[[], float]:
        def scraped() -> float:
            for store in stores:  # all have moved since the last one
                store.metrics.increment("records_written")
            begin = perf_counter()
            scrape()
            return perf_counter() - begin

        return scraped

    timings = Timings(
        {
            "collector": turn(lambda: generate_latest(collectors)),
            "text": turn(lambda: exposition(*stores)),
            "otel": turn(lambda: generate_latest(registry)),
        },
        rounds=9 if long else 2,
    )
    provider.shutdown()
    collector = "prometheus_client's collector: its time"
    text, otel = (f"{timings.seconds(name) * 1000:.0f} ms" for name in ("text", "otel"))
    # The targets are 25 and 60 ms, where that collector takes 525.
    return [
        Row(
            f"scrape of {len(stores):,} stores as text ({text})",
            collector,
            0.048,
            timings.faster("collector", "text"),
            at_least=False,
        ),
        Row(
            f"through OpenTelemetry, in {_SETS} attribute sets ({otel})",
            collector,
            0.114,
            timings.faster("collector", "otel"),
            at_least=False,
        ),
    ]


class _Collector(Collector):
    """The collector that a user of prometheus_client would write for these counters."""

    def __init__(self, stores: Iterable[MemoryBackend]) -> None:
        self._stores = [(store.name, store) for store in stores]

    def collect(self) -> Iterable[Metric]:
        totals = [(name, store.metrics.totals()) for name, store in self._stores]
        for counter in NAMES:
            family = CounterMetricFamily(counter, counter, labels=["kind", "name"])
            for name, found in totals:
                family.add_metric(["memory", name], found[counter])
            yield family
