"""Every operation under every fault counts what became of it, and nothing else moves."""

import errno
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from stores import FileKind, Kind, counts, event, numbers, raiser

from papyra import (
    CorruptRecordError,
    PersistenceBackend,
    RecordError,
    StoreClosedError,
    StoreIOError,
    StoreLockedError,
)
from papyra.primitives import RewriteFilter
from papyra.reading.scanner import Moment
from papyra.reports import Rewritten

FAULTS: list[BaseException] = [
    OSError(errno.ENOSPC, "no space left on device"),
    OSError(errno.EIO, "input/output error"),
    StoreLockedError("store", 5.0, "process 1"),
    KeyboardInterrupt(),
]

Write = Callable[[PersistenceBackend], Any]
WRITES: dict[str, Write] = {
    "append": lambda store: store.append(event(2)),
    "append_many": lambda store: store.append_many([event(2), event(3)]),
}
Read = Callable[..., Any]
READS: dict[str, Read] = {
    "read": lambda store, **query: store.read(**query),
    "records": lambda store, **query: list(store.records(**query)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_failed_write_is_one_write_error_and_no_record(
    backend: PersistenceBackend,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
    write: Write,
) -> None:
    backend.append(event(1))

    with monkeypatch.context() as patch:
        patch.setattr(backend, "_append", raiser(fault))
        with pytest.raises(type(fault)):
            write(backend)

    assert numbers(backend.read()) == [1]
    assert backend.metrics.snapshot() == counts(records_written=1, write_errors=1, records_read=1)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_after_a_failed_one_takes_the_same_numbers(
    backend: PersistenceBackend, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    first = backend.append(event(1))
    with monkeypatch.context() as patch:
        patch.setattr(backend, "_append", raiser(OSError(errno.EIO, "input/output error")))
        with pytest.raises(OSError, match="input/output"):
            write(backend)

    second = backend.append(event(4))

    writer, _, number = first.rpartition("-")
    assert (number, second) == ("1", f"{writer}-2")


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("written", [0, 1, 40], ids="{} bytes written".format)
def test_a_write_that_the_system_refuses_leaves_no_byte(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, write: Write, code: int, written: int
) -> None:
    kind = file_kind
    real_write = os.write

    def short_write(descriptor: int, data: bytes) -> int:
        if written and len(data) > written and bytes(data[:1]) == b"{":
            return real_write(descriptor, data[:written])
        raise OSError(code, os.strerror(code))

    with kind.open() as store:
        store.append(event(1))
        before = kind.path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", short_write)
            with pytest.raises(StoreIOError) as raised:
                write(store)

        assert (raised.value.errno, raised.value.filename) == (code, str(kind.path))
        assert kind.path.read_bytes() == before
        assert store.metrics.snapshot() == counts(records_written=1, write_errors=1)
        store.append(event(5))
        assert numbers(store.read()) == [1, 5]
        assert store.scan().clean


@pytest.mark.parametrize(
    "bad", ["no record", None, event(2, bad=float("nan")), event(2, bad={1: 2}), event(2, bad={1})]
)
def test_a_record_that_cannot_be_stored_is_one_write_error(
    backend: PersistenceBackend, bad: Any
) -> None:
    for write in (backend.append, lambda record: backend.append_many([event(1), record])):
        with pytest.raises(RecordError):
            write(bad)

    assert backend.read() == []
    assert backend.metrics.snapshot() == counts(write_errors=2)


def test_an_append_many_whose_records_raise_is_one_write_error(backend: PersistenceBackend) -> None:
    def records() -> Any:
        yield event(1)
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        backend.append_many(records())

    assert backend.read() == []
    assert backend.metrics.snapshot() == counts(write_errors=1)


def test_an_empty_append_many_counts_nothing(backend: PersistenceBackend) -> None:
    assert backend.append_many([]) == []
    assert backend.metrics.snapshot() == counts()


def test_records_are_counted_when_they_are_stored(backend: PersistenceBackend) -> None:
    backend.append(event(1))
    assert backend.metrics.snapshot() == counts(records_written=1)
    backend.append_many([event(2), event(3), event(4)])
    assert backend.metrics.snapshot() == counts(records_written=4)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize(
    ("query", "yielded"),
    [({}, 5), ({"limit": 2}, 2), ({"limit": 0}, 0), ({"kind": "audit"}, 0), ({"kind": "event"}, 5)],
    ids=str,
)
def test_a_read_counts_the_records_that_it_hands_over(
    backend: PersistenceBackend, read: Read, query: dict[str, Any], yielded: int
) -> None:
    backend.append_many([event(n) for n in range(5)])

    assert len(read(backend, **query)) == yielded

    assert backend.metrics.snapshot() == counts(records_written=5, records_read=yielded)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("lines", [0, 1], ids=["at once", "after a line"])
def test_a_failed_read_is_one_read_error_and_no_record(
    backend: PersistenceBackend,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
    read: Read,
    lines: int,
) -> None:
    backend.append_many([event(1), event(2)])
    real = backend._lines

    def breaking(*, newest_first: bool) -> Any:
        for _, line in zip(range(lines), real(newest_first=newest_first), strict=False):
            yield line
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(backend, "_lines", breaking)
        patch.setattr(backend, "_view", lambda: nullcontext(Moment(breaking)))
        with pytest.raises(type(fault)):
            read(backend)

    assert backend.metrics.snapshot() == counts(records_written=2, read_errors=1)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("query", [{"limit": -1}, {"limit": True}, {"since": "now"}], ids=str)
def test_a_read_that_makes_no_sense_is_one_read_error(
    backend: PersistenceBackend, read: Read, query: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=next(iter(query))):
        read(backend, **query)

    assert backend.metrics.snapshot() == counts(read_errors=1)


def test_a_stream_counts_once_when_it_is_used_up(backend: PersistenceBackend) -> None:
    backend.append_many([event(1), event(2)])
    stream = backend.records()

    next(stream)
    assert backend.metrics.snapshot() == counts(records_written=2)
    assert numbers(list(stream)) == [2]
    assert backend.metrics.snapshot() == counts(records_written=2, records_read=2)


def test_a_stream_that_is_closed_or_dropped_counts_what_it_handed_over(
    backend: PersistenceBackend,
) -> None:
    backend.append_many([event(1), event(2), event(3)])

    closed = backend.records()
    next(closed)
    closed.close()  # type: ignore[attr-defined]  # a generator, though the signature says less
    dropped = backend.records()
    next(dropped)
    next(dropped)
    del dropped
    untouched = backend.records()
    del untouched

    assert backend.metrics.snapshot() == counts(records_written=3, records_read=3)


def test_a_stream_ended_by_the_garbage_collector_takes_no_lock(
    backend: PersistenceBackend,
) -> None:
    backend.append(event(1))
    stream = backend.records()
    next(stream)

    with backend.metrics._lock:  # held by this very thread, as when a count starts the collector
        stream.close()  # type: ignore[attr-defined]  # a generator, though the signature says less

    assert backend.metrics.totals() == counts(records_written=1, records_read=1)


def test_damage_is_counted_by_every_operation_that_meets_it(kind: Kind) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.put(store, b"no record\n")
        store.append(event(2))
        expected = counts(records_written=2)

        def meets(**moved: int) -> None:
            for name, n in moved.items():
                expected[name] += n
            assert store.metrics.snapshot() == expected

        assert numbers(store.read()) == [1, 2]
        meets(records_read=2, anomaly_detected=1)
        assert numbers(list(store.records())) == [1, 2]
        meets(records_read=2, anomaly_detected=1)
        assert numbers(store.read(limit=1)) == [2]  # what lies before is not looked at
        meets(records_read=1)
        with pytest.raises(CorruptRecordError, match="recover"):
            store.read(strict=True)
        meets(read_errors=1, anomaly_detected=1)
        assert store.scan().found == 1
        meets(scan_operations=1, anomaly_detected=1)
        assert store.recover(dry_run=True).found == 1
        meets(scan_operations=1, anomaly_detected=1)
        assert store.recover().found == 1
        meets(scan_operations=1, anomaly_detected=1, recovery_attempts=1)
        assert store.scan().found == 0
        meets(scan_operations=1)
        assert numbers(store.read(strict=True)) == [1, 2]
        meets(records_read=2)


def test_an_append_counts_the_torn_line_that_it_seals(file_kind: FileKind) -> None:
    kind = file_kind
    with kind.open() as store:
        store.append(event(1))
        kind.put(store, b'{"kind":"event","timest')
        store.append(event(2))
        assert store.metrics.snapshot() == counts(records_written=2, anomaly_detected=1)
        assert numbers(store.read()) == [1, 2]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_scan_is_counted_when_it_starts(
    backend: PersistenceBackend, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(backend, "_check", raiser(fault))
        with pytest.raises(type(fault)):
            backend.scan()
    assert backend.metrics.snapshot() == counts(scan_operations=1)


@pytest.mark.parametrize("primitive", ["_check", "_lines", "_rewrite"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_recovery_that_raises_is_one_attempt_and_one_failure(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, fault: BaseException, primitive: str
) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.put(store, b"no record\n")
        with monkeypatch.context() as patch:
            patch.setattr(store, primitive, raiser(fault))
            with pytest.raises(type(fault)):
                store.recover()
        found = 1 if primitive == "_rewrite" else 0
        assert store.metrics.snapshot() == counts(
            records_written=1,
            scan_operations=1,
            anomaly_detected=found,
            recovery_attempts=1,
            recovery_failures=1,
        )


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt()], ids=str)
def test_damage_that_comes_between_the_scan_and_the_rewrite_is_found_too(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, fault: BaseException | None
) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.put(store, b"no record\n")
        real = store._rewrite

        def rewrite(rewrite_filter: RewriteFilter) -> Rewritten:
            kind.put(store, b"nor is this\n")
            done = real(rewrite_filter)
            if fault is not None:
                raise fault
            return done

        with monkeypatch.context() as patch:
            patch.setattr(store, "_rewrite", rewrite)
            with nullcontext() if fault is None else pytest.raises(type(fault)):
                report = store.recover()
                assert (report.found, len(report.anomalies), report.clean) == (2, 2, True)
        assert store.metrics.snapshot() == counts(
            records_written=1,
            scan_operations=1,
            anomaly_detected=2,
            recovery_attempts=1,
            recovery_failures=0 if fault is None else 1,
        )


def test_a_recovery_that_leaves_damage_is_a_failure(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind.open() as store:
        kind.put(store, b'{"kind":0}\n')
        with monkeypatch.context() as patch:
            patch.setattr(store, "_rewrite", lambda _: Rewritten(11, 11))
            report = store.recover()
        assert (report.clean, len(report.remaining)) == (False, 1)
        assert store.metrics.snapshot() == counts(
            scan_operations=1, anomaly_detected=1, recovery_attempts=1, recovery_failures=1
        )


def test_a_dry_run_is_a_scan_and_no_attempt(backend: PersistenceBackend) -> None:
    backend.append(event(1))
    assert backend.recover(dry_run=True).clean
    assert backend.metrics.snapshot() == counts(records_written=1, scan_operations=1)


@pytest.mark.parametrize("primitive", ["_new_seen_ids", "_rewrite"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_compaction_that_raises_is_triggered_and_an_error(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, fault: BaseException, primitive: str
) -> None:
    with kind.open() as store:
        with monkeypatch.context() as patch:
            patch.setattr(store, primitive, raiser(fault))
            with pytest.raises(type(fault)):
                store.compact()
        n = int(kind.counts_compactions)
        assert store.metrics.snapshot() == counts(compactions_triggered=n, compaction_errors=n)


def test_a_compaction_is_counted_where_it_is_supported(kind: Kind) -> None:
    with kind.open() as store:
        store.append(event(1))
        store.compact()
        n = int(kind.counts_compactions)
        assert store.metrics.snapshot() == counts(records_written=1, compactions_triggered=n)
        assert ("compactions_triggered" in store.metrics.supported) == kind.counts_compactions


def test_a_closed_store_refuses_everything_and_counts_it(kind: Kind) -> None:
    store = kind.open()
    store.append(event(1))
    store.close()
    store.close()
    n = int(kind.counts_compactions)
    expected = counts(records_written=1)

    for operation, moved in (
        (lambda: store.append(event(2)), {"write_errors": 1}),
        (lambda: store.append_many([event(2), event(3)]), {"write_errors": 1}),
        (store.read, {"read_errors": 1}),
        (store.records, {"read_errors": 1}),
        (store.scan, {"scan_operations": 1}),
        (lambda: store.recover(dry_run=True), {"scan_operations": 1}),
        (store.recover, {"recovery_attempts": 1, "recovery_failures": 1}),
        (store.compact, {"compactions_triggered": n, "compaction_errors": n}),
    ):
        with pytest.raises(StoreClosedError, match="open it again"):
            operation()
        for name, count in moved.items():
            expected[name] += count
        assert store.metrics.snapshot() == expected


def test_no_counter_moves_while_nothing_runs(backend: PersistenceBackend) -> None:
    backend.append(event(1))
    before = backend.metrics.totals()
    for _ in range(3):
        backend.metrics.snapshot()
        backend.metrics.reset()
        repr(backend)
        _ = backend.closed, backend.retention, backend.metrics.since
    assert backend.metrics.totals() == before == counts(records_written=1)
