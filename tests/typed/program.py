"""
papyra as a user's program calls it: never run, but checked by mypy --strict and pyright.

`assert_type` says what a type checker is to find; a `type: ignore` with a code says what it is to
refuse, since both checkers report an ignore that nothing needs. A test of the public names checks
that each of them, and each public attribute of a class, is used here.
"""

import os
from dataclasses import dataclass
from typing import Any, Literal, assert_never, assert_type

from prometheus_client import CollectorRegistry

import papyra
import papyra.aio
import papyra.exposition
import papyra_otel
import papyra_otel.prometheus
from papyra.backends.redis import RedisBackend
from papyra.exposition import Named, exposition
from papyra_otel import MetricsBridge
from papyra_otel.prometheus import PrometheusServer, serve


def settings() -> None:
    """A program reads from its settings, as strings, what papyra checks when it runs."""
    url, sync = os.environ["STORE"], os.environ["SYNC"]
    store = papyra.open_store(url, sync=sync, lock_timeout=2.5, must_exist=True)
    assert_type(store, papyra.PersistenceBackend)
    papyra.open_store(url, sync="always")
    papyra.open_store(url, lock_timeout="500ms", retention=papyra.Retention(max_age=60))
    papyra.JsonBackend("orders.ndjson", sync=sync)
    papyra.RotatingBackend("orders.log", max_bytes=1_000_000, max_files=10, sync=sync)
    papyra.MemoryBackend(retention=papyra.Retention(max_records=5), sync=sync)
    RedisBackend("redis://localhost/0", name="orders", timeout=2.5, must_exist=True)
    assert_type(papyra.aio.open_store(url, sync=sync), papyra.aio.AsyncBackend)


def described(store: papyra.PersistenceBackend) -> None:
    """What a store says of itself."""
    assert_type((store.kind, store.name, store.source), tuple[str, str, str])
    assert_type((store.closed, store.survives_fork), tuple[bool, bool])
    assert_type(store.unsupported, frozenset[str])
    store.name = "orders"
    limits = store.retention
    assert_type(limits, papyra.Retention)
    assert_type(limits.max_records, int | None)
    assert_type(limits.max_age, float | None)
    assert_type(limits.max_total_bytes, int | None)
    assert_type((limits.counts, limits.keeps_all), tuple[bool, bool])
    assert_type(limits.is_young(1.0, 2.0), bool)
    assert_type(limits.from_newest(2.0).full, bool)
    limits.max_records = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def records(store: papyra.PersistenceBackend) -> None:
    """Records go in, and come out."""
    assert_type(store.append(papyra.Record("event", data={"n": 1})), str)
    assert_type(store.append_many(papyra.Record("event") for _ in range(3)), list[str])
    store.append_soon(papyra.Record("audit", timestamp=1.5))
    for record in store.records(kind="event", since=1.0):
        assert_type(record, papyra.Record)
        assert_type((record.id, record.kind, record.timestamp), tuple[str | None, str, float])
        assert_type(record.data, dict[str, Any])
    assert_type(store.read(limit=10, strict=True), list[papyra.Record])
    store.close()


def maintenance(store: papyra.PersistenceBackend) -> None:
    """What looks at a store and repairs it reports in plain tuples."""
    scan = store.scan()
    assert_type(scan, papyra.ScanReport)
    assert_type((scan.records, scan.bytes, scan.found), tuple[int, int, int])
    assert_type((scan.leftovers, scan.clean), tuple[tuple[str, ...], bool])
    for anomaly in scan.anomalies:
        assert_type(anomaly, papyra.Anomaly)
        assert_type((anomaly.type, anomaly.source, anomaly.detail), tuple[str, str, str])
        assert_type((anomaly.offset, anomaly.length), tuple[int | str, int])
        assert_type((anomaly.stop, anomaly.identity), tuple[int | str, tuple[str, str, int | str]])

    repair = store.recover(dry_run=True)
    assert_type(repair, papyra.RecoveryReport)
    assert_type((repair.dry_run, repair.clean), tuple[bool, bool])
    assert_type((repair.found, repair.removed, repair.restored), tuple[int, int, int])
    assert_type(repair.anomalies + repair.remaining, tuple[papyra.Anomaly, ...])
    for step in repair.plan:
        assert_type(step, papyra.Step)
        assert_type((step.file, step.type, step.action), tuple[str, str, str])
        assert_type((step.start, step.stop), tuple[int | str, int | str])
    if repair.quarantine is not None:
        store.recover(undo=repair.quarantine)
    for saved in store.quarantined():
        assert_type(saved, papyra.Quarantined)
        assert_type((saved.id, saved.obstacle, saved.files), tuple[str, str, tuple[str, ...]])
        assert_type((saved.saved, saved.bytes), tuple[float, int])


def compaction(store: papyra.PersistenceBackend) -> None:
    """So does what makes it smaller."""
    report = store.compact(dry_run=True)
    assert_type(report, papyra.CompactionReport)
    assert_type((report.kept, report.dropped, report.dropped_bytes), tuple[int, int, int])
    assert_type((report.bytes_before, report.bytes_after, report.found), tuple[int, int, int])
    assert_type(report.anomalies + report.remaining, tuple[papyra.Anomaly, ...])
    assert_type((report.files_dropped, report.quarantine), tuple[tuple[str, ...], str | None])
    assert_type(report.dropped_by_kind, dict[str, int])
    assert_type((report.dropped_oldest, report.dropped_newest), tuple[float | None, float | None])
    assert_type((report.dry_run, report.clean), tuple[bool, bool])


def copied(source: papyra.PersistenceBackend, destination: papyra.PersistenceBackend) -> None:
    """One store is copied into another."""
    report = papyra.import_store(source, destination, dry_run=True, seal=True)
    assert_type(report, papyra.ImportReport)
    assert_type((report.read, report.copied, report.present), tuple[int, int, int])
    assert_type((report.anomalies, report.found), tuple[tuple[papyra.Anomaly, ...], int])
    assert_type((report.dry_run, report.clean), tuple[bool, bool])


def refused(store: papyra.PersistenceBackend) -> None:
    """Each error says as data what its message says in words."""
    problem: papyra.PapyraError
    try:
        store.append(papyra.Record("event"))
    except papyra.WriteOutcomeUnknownError as error:
        assert_type(store.resend(error), list[str])
        assert_type((error.ids, list(error.lines)), tuple[list[str], list[bytes]])
        assert_type((error.source, error.writer, error.first), tuple[str, str, int])
        assert_type((error.time, error.resent), tuple[float, bool])
    except papyra.RecordError as error:
        assert_type((error.path, error.reason), tuple[str, str])
    except papyra.StoreLockedError as error:
        assert_type((error.source, error.waited, error.holder), tuple[str, float, str])
    except papyra.StoreBusyError as error:
        assert_type(error.source, str)
    except papyra.StoreIOError as error:
        assert_type(error.errno, int | None)
        assert_type(error.filename, Any)
    except (papyra.StoreClosedError, papyra.ForkedStoreError, papyra.StoreFailedError) as error:
        problem = error
    try:
        store.read(strict=True)
    except (papyra.CorruptRecordError, papyra.UnreadableRecordError) as error:
        assert_type((error.source, error.offset), tuple[str, int | str])
    try:
        papyra.open_store("json:orders.ndjson", must_exist=True).recover(undo="5eb63bbbe01eeed0")
    except (papyra.StoreNotFoundError, papyra.NotAStoreError) as error:
        assert_type(error.source, str)
    except (papyra.StoreURLError, papyra.UndoError, papyra.UnsupportedError) as error:
        problem = error
        assert_type(problem.args, tuple[Any, ...])


async def on_a_loop(store: papyra.aio.AsyncBackend) -> None:
    """The same for asyncio."""
    assert_type(await store.append(papyra.Record("event")), str)
    assert_type(await store.append_many([papyra.Record("event")]), list[str])
    store.append_soon(papyra.Record("event"))
    async for record in store.records():
        assert_type(record, papyra.Record)
    assert_type(await store.read(kind="event"), list[papyra.Record])
    assert_type(await store.scan(), papyra.ScanReport)
    assert_type(await store.recover(dry_run=True), papyra.RecoveryReport)
    assert_type(await store.quarantined(), list[papyra.Quarantined])
    assert_type(await store.compact(dry_run=True), papyra.CompactionReport)
    assert_type((store.kind, store.name, store.closed), tuple[str, str, bool])
    assert_type(store.store, papyra.PersistenceBackend)
    await store.aclose()
    async with papyra.aio.AsyncBackend(papyra.MemoryBackend()) as entered:
        assert_type(entered, papyra.aio.AsyncBackend)
        try:
            await entered.append(papyra.Record("event"))
        except papyra.WriteOutcomeUnknownError as error:
            assert_type(await entered.resend(error), list[str])


@dataclass(frozen=True)
class Journal(papyra.PersistenceMetricsMixin):
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


def is_error(name: papyra.CounterName) -> bool:
    """A checker knows all ten names, and says which of them a program forgot."""
    match name:
        case "write_errors" | "read_errors" | "recovery_failures" | "compaction_errors":
            return True
        case "records_written" | "records_read" | "anomaly_detected":
            return False
        case "scan_operations" | "recovery_attempts" | "compactions_triggered":
            return False
        case _:
            assert_never(name)


def counted(metrics: papyra.PersistenceMetrics) -> None:
    """The counters are read, and set back, by name."""
    assert_type(metrics.snapshot(), dict[str, int])
    assert_type(metrics.totals(), dict[str, int])
    assert_type(metrics.reset(), dict[str, int])
    assert_type((metrics.since, metrics.supported), tuple[float, tuple[str, ...]])
    for name, unit, meaning in papyra.COUNTERS:
        assert_type((name, unit, meaning), tuple[papyra.CounterName, str, str])
        metrics.increment(name)


def published() -> None:
    """The counters of all programs are read without opening the store."""
    try:
        counters = papyra.open_counters("json:orders.ndjson")
        totals = counters.read()
    except papyra.NotPublishedError as error:
        raise SystemExit(str(error)) from None
    assert_type((counters.source, counters.kind, counters.name), tuple[str, str, str])
    assert_type((totals.live, totals.exited, totals.unpublished), tuple[int, int, int])
    assert_type((totals.totals(), totals.snapshot()), tuple[dict[str, int], dict[str, int]])
    assert_type(totals.since, float)


def shown(store: papyra.PersistenceBackend, loops: papyra.aio.AsyncBackend) -> str:
    """Whatever has counters can be exported, on every way."""
    counters = papyra.open_counters("json:orders.ndjson")
    assert_type(counters.read().totals(), dict[str, int])
    assert_type(counters.reset(), dict[str, int])
    assert_type(store.metrics.snapshot(), dict[str, int])
    named: list[Named] = [store, loops]
    assert_type([thing.name for thing in named], list[str])
    with MetricsBridge() as bridge:
        for thing in (store, loops, Own(), store.metrics, counters):
            bridge.add(thing, name="orders")
            bridge.remove(thing)
        bridge.add(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bridge.close()
    with serve(store, counters, port=0) as server:
        assert_type(server, PrometheusServer)
        assert_type((server.url, server.port), tuple[str, int])
        server.bridge.add(store, name="orders")
    server.close()
    text: Literal["text/plain; version=0.0.4; charset=utf-8"] = papyra.exposition.CONTENT_TYPE
    return text + exposition(store, loops, Own(), counters, *named)


def guarded(store: papyra.PersistenceBackend) -> str:
    """A program with an OpenTelemetry of its own has a reader of its own."""
    reader = papyra_otel.prometheus.GuardedReader(registry=CollectorRegistry())
    reader.shutdown()
    try:
        papyra_otel.prometheus.serve(store, host="192.0.2.1", port=80)
        papyra_otel.MetricsBridge().add(store)
    except papyra_otel.AddressError as error:
        assert_type(error.errno, int | None)
    except papyra_otel.BridgeError as error:
        return str(error)
    return ""
