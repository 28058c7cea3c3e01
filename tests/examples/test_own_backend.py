"""examples/own_backend.py: what papyra promises of its own stores holds for this one."""

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stores import counts, event, numbers, raiser

from papyra import (
    CorruptRecordError,
    PersistenceBackend,
    Record,
    RecordError,
    Retention,
    StoreClosedError,
    StoreIOError,
    StoreLockedError,
)
from papyra.format.codec import MAX_LINE

Open = Callable[..., Any]
Program = Callable[..., tuple[int, str, str]]


@pytest.fixture
def open_store(load: Callable[[str], Any], tmp_path: Path) -> Iterator[Open]:
    """Open the store; at the end no row is damaged, or the test has closed it."""
    opened = []
    backend = load("own_backend").SqliteBackend

    def open_at_path(**options: Any) -> Any:
        opened.append(backend(tmp_path / "actors.sqlite", **options))
        return opened[-1]

    yield open_at_path
    for store in opened:
        with store:
            assert store.closed or store.scan().clean


@pytest.fixture
def store(open_store: Open) -> Any:
    """An open store without a retention."""
    return open_store()


def sql(store: PersistenceBackend, statement: str, *values: object) -> list[Any]:
    """Do what a stranger would do to the database, and return what it says."""
    with closing(sqlite3.connect(store.source, isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def rows(store: PersistenceBackend) -> list[bytes]:
    """Return the lines as they stand in the database."""
    return [line for (line,) in sql(store, "SELECT line FROM lines ORDER BY number")]


def test_it_prints_what_it_did(run: Program) -> None:
    expected = """\
scan:    truncated_line
recover: 30 bytes removed
left:    [{'n': 1}, {'n': 3}]
counted: {'records_written': 3, 'records_read': 2, 'scan_operations': 2, 'anomaly_detected': 2,\
 'recovery_attempts': 1}
"""
    assert run("own_backend") == (0, expected, "")


def test_what_was_appended_is_read_by_kind_time_and_number(store: Any) -> None:
    for n in range(1, 6):
        store.append(event(n))
    audit = Record("audit", timestamp=event(3).timestamp, data={"text": "line\nfeed é \x00"})
    store.append(audit)

    assert store.read(kind="audit") == [audit]
    assert numbers(store.read(kind="event", since=event(3).timestamp)) == [3, 4, 5]
    assert numbers(store.read(kind="event", limit=2)) == [4, 5]
    assert store.read(limit=0) == []
    assert list(store.records()) == [*map(event, range(1, 6)), audit]
    assert store.metrics.snapshot() == counts(records_written=6, records_read=12)


def test_another_object_reads_what_this_one_wrote_and_ids_stay_unique(open_store: Open) -> None:
    with open_store() as store:
        first = [store.append(event(1)), *store.append_many([event(2), event(3)])]
    again = open_store()

    more = again.append(event(4))

    assert [record.id for record in again.read()] == [*first, more]
    assert [id_.rpartition("-")[2] for id_ in first] == ["1", "2", "3"]
    assert again.metrics.snapshot() == counts(records_written=1, records_read=4)
    assert (again.kind, again.name) == ("sqlite", "actors")


def test_a_batch_with_one_bad_record_stores_none(store: Any) -> None:
    with pytest.raises(RecordError):
        store.append_many([event(1), event(2, bad=float("nan")), event(3)])
    assert rows(store) == []
    assert store.metrics.snapshot() == counts(write_errors=1)


def test_a_batch_that_fails_half_way_stores_none_and_is_one_write_error(store: Any) -> None:
    store.append(event(1))
    sql(
        store,
        "CREATE TRIGGER full BEFORE INSERT ON lines WHEN (SELECT count(*) FROM lines) = 3"
        " BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    with pytest.raises(StoreIOError, match="full"):
        store.append_many(map(event, range(2, 6)))
    sql(store, "DROP TRIGGER full")

    assert store.append(event(6)).endswith("-2")
    assert numbers(store.read()) == [1, 6]
    assert store.metrics.snapshot() == counts(records_written=2, write_errors=1, records_read=2)


def test_a_commit_that_fails_stores_none_and_is_one_write_error(store: Any) -> None:
    store._writer.execute("PRAGMA foreign_keys = ON")
    sql(store, "CREATE TABLE parents (n INTEGER PRIMARY KEY)")
    sql(
        store,
        "CREATE TABLE orphans (n REFERENCES parents (n) DEFERRABLE INITIALLY DEFERRED)",
    )
    sql(
        store,
        "CREATE TRIGGER late AFTER INSERT ON lines BEGIN INSERT INTO orphans VALUES (1); END",
    )
    with pytest.raises(StoreIOError, match="FOREIGN KEY"):
        store.append_many([event(1), event(2)])
    sql(store, "DROP TRIGGER late")

    store.append(event(3))
    assert numbers(store.read()) == [3]
    assert store.metrics.snapshot() == counts(records_written=1, write_errors=1, records_read=1)


def test_a_full_disk_fails_an_append_and_nothing_else(store: Any) -> None:
    store.append(event(1))
    store._writer.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreIOError, match="full"):
        store.append(event(2, text="x" * 10_000))
    store._writer.execute("PRAGMA max_page_count = 1000000")

    store.append(event(3))
    assert numbers(store.read()) == [1, 3]
    assert store.metrics.snapshot() == counts(records_written=2, write_errors=1, records_read=2)


def test_a_store_that_another_holds_is_told_as_locked(open_store: Open) -> None:
    store = open_store(lock_timeout=0.02)
    with closing(sqlite3.connect(store.source, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLockedError):
            store.append(event(1))
        with pytest.raises(StoreLockedError):
            store.compact()
        assert store.read() == []
        other.execute("COMMIT")
    store.append(event(2))
    assert store.metrics.snapshot() == counts(
        records_written=1, write_errors=1, compactions_triggered=1, compaction_errors=1
    )


def test_a_damaged_line_is_found_by_a_scan_and_removed_by_a_recovery(store: Any) -> None:
    store.append_many(map(event, range(1, 5)))
    before = rows(store)
    sql(store, "UPDATE lines SET line = CAST(replace(line, '\"n\":2', '\"n\":7') AS BLOB)")
    damaged = rows(store)[1]
    assert damaged != before[1]

    scan = store.scan()
    assert [(a.type, a.source, a.offset, a.length) for a in scan.anomalies] == [
        ("checksum_mismatch", store.source, "2", len(damaged))
    ]
    assert (scan.records, scan.bytes) == (3, sum(map(len, before)))
    assert numbers(store.read()) == [1, 3, 4]
    with pytest.raises(CorruptRecordError, match="entry 2"):
        store.read(strict=True)
    assert store.recover(dry_run=True).removed == len(damaged)
    assert rows(store)[1] == damaged

    report = store.recover()
    assert (report.removed, report.clean) == (len(damaged), True)
    assert rows(store) == [before[0], *before[2:]]
    assert sql(store, "SELECT * FROM quarantine") == [
        (report.quarantine, "checksum_mismatch", 2, damaged)
    ]
    assert store.metrics.snapshot() == counts(
        records_written=4,
        records_read=3,
        read_errors=1,
        scan_operations=3,
        anomaly_detected=5,
        recovery_attempts=1,
    )


def test_records_that_share_a_row_come_apart(store: Any) -> None:
    store.append_many(map(event, range(1, 4)))
    first, second, third = rows(store)
    sql(store, "DELETE FROM lines WHERE number = 2")
    sql(store, "UPDATE lines SET line = ? WHERE number = 1", first[:20] + first[:-1] + second)

    assert store.recover().removed == 20

    assert rows(store) == [first, second, third]


def test_a_row_that_is_too_long_for_any_record_is_moved_without_being_held(store: Any) -> None:
    store.append(event(1))
    sql(store, "INSERT INTO lines (line) VALUES (zeroblob(?))", MAX_LINE + 1)

    assert next(line for _, line in store._lines(newest_first=True)) == MAX_LINE + 1
    assert store.recover().removed == MAX_LINE + 1

    assert sql(store, "SELECT type, length(bytes) FROM quarantine") == [
        ("oversized_line", MAX_LINE + 1)
    ]
    assert numbers(store.read()) == [1]


def test_damage_that_is_no_row_is_found_by_a_scan_and_fails_a_recovery(
    open_store: Open, tmp_path: Path
) -> None:
    with open_store() as store:
        store.append(event(1))
    with (tmp_path / "actors.sqlite").open("r+b") as file:
        file.seek(36)  # the number of free pages
        file.write((7).to_bytes(4, "big"))
    store = open_store()

    (anomaly,) = store.scan().anomalies
    assert (anomaly.offset, anomaly.length) == ("quick_check 0", 0)
    with pytest.raises(StoreIOError, match="malformed"):
        store.recover()

    assert numbers(store.read()) == [1]
    assert store.metrics.snapshot() == counts(
        records_read=1,
        scan_operations=2,
        anomaly_detected=2,
        recovery_attempts=1,
        recovery_failures=1,
    )
    store.close()


def test_a_compaction_drops_what_the_retention_does_not_keep(open_store: Open) -> None:
    store = open_store(retention=Retention(max_records=3))
    ids = store.append_many(map(event, range(1, 11)))
    before = rows(store)
    assert numbers(store.read()) == [8, 9, 10]
    assert len(rows(store)) == 10

    report = store.compact()

    assert (report.kept, report.dropped, report.quarantine) == (3, 7, None)
    assert (report.bytes_before, report.bytes_after) == (
        sum(map(len, before)),
        sum(map(len, before[7:])),
    )
    assert rows(store) == before[7:]
    assert store.append(event(11)) == ids[0].replace("-1", "-11")
    assert numbers(store.read()) == [9, 10, 11]
    assert store.metrics.snapshot() == counts(
        records_written=11, records_read=6, compactions_triggered=1
    )


def test_a_rewrite_whose_judge_objects_at_the_end_changes_nothing(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append_many(map(event, range(1, 4)))
    before = rows(store)
    monkeypatch.setattr("papyra.reading.keep.KeepFilter.finish", raiser(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        store.compact()

    assert rows(store) == before
    assert store.metrics.snapshot() == counts(
        records_written=3, compactions_triggered=1, compaction_errors=1
    )


def test_a_reader_sees_the_moment_at_which_it_began(open_store: Open) -> None:
    store = open_store(retention=Retention(max_age=1e9))
    store.append_many(map(event, range(1, 4)))
    reading = store.records()
    first = next(reading)

    store.append(event(4))
    store.compact()

    assert [first.data["n"], *numbers(list(reading))] == [1, 2, 3]
    assert numbers(store.read()) == [1, 2, 3, 4]
    assert store.metrics.snapshot() == counts(
        records_written=4, records_read=7, compactions_triggered=1
    )


def test_a_closed_store_refuses_everything_and_counts_it(store: Any) -> None:
    store.close()
    store.close()
    for operation in (
        lambda: store.append(event(1)),
        lambda: store.append_many([event(1)]),
        store.read,
        store.records,
        store.scan,
        store.recover,
        store.compact,
    ):
        with pytest.raises(StoreClosedError):
            operation()
    assert store.metrics.snapshot() == counts(
        write_errors=2,
        read_errors=2,
        scan_operations=1,
        recovery_attempts=1,
        recovery_failures=1,
        compactions_triggered=1,
        compaction_errors=1,
    )


def test_a_file_that_is_no_database_is_left_alone(open_store: Open, tmp_path: Path) -> None:
    path = tmp_path / "actors.sqlite"
    path.write_bytes(b"somebody's notes " * 100)
    with pytest.raises(StoreIOError, match="not a database"):
        open_store()
    assert path.read_bytes() == b"somebody's notes " * 100


def test_threads_keep_their_order_and_lose_nothing(store: Any) -> None:
    def work(thread: int) -> None:
        for n in range(1000):
            store.append(event(n, thread=thread))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    records = store.read()
    for number in range(4):
        mine = [record for record in records if record.data["thread"] == number]
        assert numbers(mine) == list(range(1000))
    assert [record.id.rpartition("-")[2] for record in records] == list(map(str, range(1, 4001)))
    assert store.metrics.snapshot() == counts(records_written=4000, records_read=4000)


def test_compactions_and_reads_beside_appends_lose_nothing(store: Any) -> None:
    def append() -> None:
        for n in range(500):
            store.append(event(n))

    thread = threading.Thread(target=append)
    thread.start()
    read = compacted = 0
    while thread.is_alive():
        compacted += 1
        assert store.compact().dropped == 0
        seen = numbers(store.read())
        assert seen == list(range(len(seen)))
        read += len(seen)
    thread.join()

    assert numbers(store.read()) == list(range(500))
    assert store.metrics.snapshot() == counts(
        records_written=500, records_read=read + 500, compactions_triggered=compacted
    )


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on Windows")
def test_what_is_counted_is_stored_whatever_an_interrupt_strikes(
    run_beside: Program, open_store: Open
) -> None:
    store = open_store()

    code, output, errors = run_beside("own_backend_storm", store.source)

    assert (code, errors) == (0, "")
    struck, acknowledged, written, failed = map(int, output.split())
    assert struck > 20
    report = store.scan()
    assert (report.records, report.found, len(rows(store))) == (written, 0, written)
    stored = numbers(store.read())
    assert stored == sorted(set(stored))
    assert acknowledged <= written <= 20_000 - failed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on Windows")
def test_a_child_process_must_open_its_own(run_beside: Program, store: Any) -> None:
    assert run_beside("own_backend_forked", store.source) == (0, "1\n", "")
    assert numbers(store.read()) == [1, 3]
