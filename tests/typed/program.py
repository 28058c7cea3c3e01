"""
papyra as a user's program calls it: never run, but checked by mypy --strict and pyright.

`assert_type` says what a type checker is to find; a `type: ignore` with a code says what it is to
refuse, since both checkers report an ignore that nothing needs.
"""

import os
from dataclasses import dataclass
from typing import assert_type

import papyra
import papyra.aio
from papyra.exposition import Named, exposition
from papyra_otel import MetricsBridge
from papyra_otel.prometheus import PrometheusServer, serve


def settings() -> None:
    """A program reads from its settings, as strings, what papyra checks when it runs."""
    url, sync = os.environ["STORE"], os.environ["SYNC"]
    store = papyra.open_store(url, sync=sync, lock_timeout=2.5, must_exist=True)
    assert_type(store, papyra.PersistenceBackend)
    papyra.open_store(url, sync="always")
    papyra.JsonBackend("orders.ndjson", sync=sync)
    papyra.MemoryBackend(retention=papyra.Retention(max_records=5), sync=sync)
    assert_type(papyra.aio.open_store(url, sync=sync), papyra.aio.AsyncBackend)


def records(store: papyra.PersistenceBackend) -> None:
    """Records go in, and come out."""
    assert_type(store.append(papyra.Record("event", data={"n": 1})), str)
    assert_type(store.append_many(papyra.Record("event") for _ in range(3)), list[str])
    for record in store.records(kind="event", since=1.0):
        assert_type(record, papyra.Record)
        assert_type((record.id, record.kind, record.timestamp), tuple[str | None, str, float])
    assert_type(store.read(limit=10), list[papyra.Record])
    assert_type(store.scan().clean, bool)
    try:
        store.append(papyra.Record("event"))
    except papyra.WriteOutcomeUnknownError as error:
        assert_type(store.resend(error), list[str])


async def on_a_loop(store: papyra.aio.AsyncBackend) -> None:
    """The same for asyncio."""
    assert_type(await store.append(papyra.Record("event")), str)
    async for record in store.records():
        assert_type(record, papyra.Record)


@dataclass(frozen=True)
class Ledger(papyra.PersistenceMetricsMixin):
    """A class of the program's own that counts by hand."""

    place: str

    def book(self, name: papyra.CounterName) -> None:
        """Count what is named by a constant, and what came as a name."""
        self.metrics.increment("records_written", 3)
        self.metrics.increment(name)
        self.metrics.increment("record_written")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.metrics.increment(os.environ["NAME"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Own:
    """A class with counters that are not papyra's."""

    def snapshot(self) -> dict[str, int]:
        """Return what it counted."""
        return {"records_written": 1}


def shown(store: papyra.PersistenceBackend, loops: papyra.aio.AsyncBackend) -> str:
    """Whatever has counters can be exported, on every way."""
    counters = papyra.open_counters("json:orders.ndjson")
    assert_type(counters.read().totals(), dict[str, int])
    assert_type(counters.reset(), dict[str, int])
    assert_type(store.metrics.snapshot(), dict[str, int])
    named: list[Named] = [store, loops]
    with MetricsBridge() as bridge:
        for thing in (store, loops, Own(), store.metrics, counters):
            bridge.add(thing, name="orders")
            bridge.remove(thing)
        bridge.add(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with serve(store, counters, port=0) as server:
        assert_type(server, PrometheusServer)
    return exposition(store, loops, Own(), counters, *named)
