"""`compact(dry_run=True)` says what `compact()` would do, and does none of it."""

import asyncio
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli.shell import STRANGE, TORN, everything, intact
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stores import KINDS, Kind, Rotating, counts, event, numbers

import papyra
from papyra import (
    CompactionReport,
    MemoryBackend,
    NotAStoreError,
    PersistenceBackend,
    Record,
    Retention,
    RotatingBackend,
    StoreClosedError,
    StoreLockedError,
)
from papyra.aio.backend import AsyncBackend
from papyra.reading.dropped import MOST_KINDS, Dropped
from papyra.reading.scanner import Line
from papyra.record import restore

LEGACY = Path(__file__).parent.parent / "data" / "papyra-0.3.0"
SETS = sorted([*(LEGACY / "generated").iterdir(), *(LEGACY / "rotating").iterdir()])
#: `event` gives timestamps of this time.
AGE = time.time() - 1_700_000_000

RETENTIONS = st.builds(
    Retention,
    max_records=st.none() | st.integers(0, 12),
    max_age=st.none() | st.integers(0, 12).map(lambda n: AGE - n + 500),
    max_total_bytes=st.none() | st.integers(0, 2000),
)
LINE = intact(1)
PIECES = st.lists(
    st.sampled_from([LINE, LINE[:-1], LINE[:40], TORN, STRANGE, b"\0" * 9, b"\n", b"\r\n", b"{}"])
    | st.binary(max_size=20),
    max_size=5,
).map(b"".join)


@contextmanager
def scratch() -> Iterator[Path]:
    # In memory where there is such a place, because hundreds of examples would wait for a disk.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as directory:
        yield Path(directory)


def stored(directory: Path) -> dict[str, bytes | None]:
    """Return all files but the page of counters, which shows the anomalies, and SQLite's index."""
    return {
        name: content
        for name, content in everything(directory).items()
        if ".metrics/" not in name and not name.endswith("-shm")
    }


def outcome(report: CompactionReport) -> dict[str, Any]:
    """Return what a dry run and the compaction right after it have in common."""
    fields = report._asdict()
    for name in ("dry_run", "quarantine", "remaining"):
        del fields[name]
    return fields


def check_preview(store: PersistenceBackend, directory: Path) -> CompactionReport:
    """Expect that a dry run of *store* changes nothing, and that a compaction does as it said."""
    before, counted = stored(directory), store.metrics.snapshot()

    preview = store.compact(dry_run=True)

    assert stored(directory) == before
    assert store.metrics.snapshot() == counted | {
        "anomaly_detected": counted["anomaly_detected"] + preview.found
    }
    assert (preview.dry_run, preview.quarantine) == (True, None)
    assert preview.remaining == preview.anomalies
    done = store.compact()
    assert outcome(preview) == outcome(done)
    assert done.dry_run is False
    return preview


@pytest.mark.parametrize("name", KINDS)
@given(retention=RETENTIONS, before=PIECES, batches=st.lists(PIECES, max_size=4))
@example(Retention(max_records=3), TORN, [STRANGE, LINE[:-1]])
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_compaction_does_what_its_dry_run_said(
    name: str, retention: Retention, before: bytes, batches: list[bytes]
) -> None:
    with scratch() as directory:
        kind = KINDS[name](directory)
        options = {"max_bytes": 500} if name == "rotating" else {}
        with kind.open(retention=retention, **options) as store:
            for number, damage in enumerate([before, *batches]):
                store.append_many(event(10 * number + n) for n in range(3))
                kind.put(store, damage)
            check_preview(store, directory)


@given(
    path=st.sampled_from(SETS),
    retention=RETENTIONS,
    max_files=st.none() | st.integers(1, 4),
    damage=PIECES,
    which=st.integers(0, 20),
)
@settings(deadline=None, max_examples=150)
def test_a_dry_run_is_right_for_what_0_3_0_left(
    path: Path, retention: Retention, max_files: int | None, damage: bytes, which: int
) -> None:
    with scratch() as scratched:
        directory = shutil.copytree(path, scratched / "store")
        files = sorted(directory.iterdir())
        with files[which % len(files)].open("ab") as file:
            file.write(damage)
        active = min((entry.name for entry in files), key=len)
        active = active if active.endswith((".log", ".ndjson")) else active.rpartition(".")[0]
        with RotatingBackend(directory / active, retention=retention, max_files=max_files) as store:
            check_preview(store, directory)


@given(max_files=st.integers(1, 12), keep=st.none() | st.integers(0, 30))
@settings(deadline=None, max_examples=40)
def test_records_in_files_beyond_the_bound_are_counted_as_dropped(
    max_files: int, keep: int | None
) -> None:
    with scratch() as directory:
        path = directory / "a.log"
        with RotatingBackend(path, max_bytes=400) as store:
            store.append(event(0))
            for n in range(1, 30):
                store.append(Record("audit", timestamp=1_700_000_000.0 + n, data={"n": n}))
        with RotatingBackend(
            path, max_bytes=400, max_files=max_files, retention=Retention(max_records=keep)
        ) as store:
            there = RotatingBackend(path).read()
            size = sum(file.stat().st_size for file in [path, *directory.glob("a.log.[0-9]*")])

            report = check_preview(store, directory)

            left = store.read()
            gone = there[: len(there) - len(left)]
            assert left == there[len(gone) :]
            assert (report.kept, report.dropped) == (len(left), len(gone))
            assert report.dropped_bytes == report.bytes_before - report.bytes_after
            assert report.bytes_before == size
            assert report.dropped_by_kind == dict(Counter(record.kind for record in gone))
            assert report.dropped_oldest == (gone[0].timestamp if gone else None)
            assert report.dropped_newest == (gone[-1].timestamp if gone else None)


def test_a_dry_run_makes_no_file_where_none_is(kind: Kind, tmp_path: Path) -> None:
    with kind.open(retention=Retention(max_records=1)) as store:
        before = everything(tmp_path)
        report = store.compact(dry_run=True)

        assert everything(tmp_path) == before
        assert (report.kept, report.dropped, report.bytes_before) == (0, 0, 0)
        assert report.clean
        assert store.metrics.snapshot() == counts()


def test_a_dry_run_tells_what_would_go(kind: Kind) -> None:
    with kind.open(retention=Retention(max_records=2)) as store:
        store.append_many([event(1), Record("audit", timestamp=5.0, data={"n": 2})])
        store.append_many([event(3), event(9), event(8)])

        report = store.compact(dry_run=True)

        assert (report.kept, report.dropped) == (2, 3)
        assert report.dropped_by_kind == {"event": 2, "audit": 1}
        assert (report.dropped_oldest, report.dropped_newest) == (5.0, event(3).timestamp)
        assert report.dropped_bytes == report.bytes_before - report.bytes_after > 0
        assert len(store.read()) == 2
        assert store.metrics.snapshot() == counts(records_written=5, records_read=2)


def test_a_compaction_that_is_asked_about_is_one_operation(kind: Kind) -> None:
    asked: list[CompactionReport] = []
    with kind.open(retention=Retention(max_records=1)) as store:
        store.append_many([event(n) for n in range(3)])
        damages = 0 if isinstance(store, MemoryBackend) else 1
        if damages:
            kind.put(store, STRANGE)
        report = store._compact_if_agreed(asked.append)
        assert store.metrics.snapshot() == counts(
            records_written=3, compactions_triggered=damages, anomaly_detected=damages
        )
        assert [(look.dry_run, look.dropped, look.found) for look in asked] == [(True, 2, damages)]
        assert (report.dry_run, report.dropped, report.found) == (False, 2, damages)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_compaction_that_is_not_agreed_to_counts_as_a_dry_run(
    kind: Kind, error: type[BaseException]
) -> None:
    def refuse(_: CompactionReport) -> None:
        raise error

    with kind.open(retention=Retention(max_records=1)) as store:
        store.append_many([event(n) for n in range(3)])
        damages = 0 if isinstance(store, MemoryBackend) else 1
        if damages:
            kind.put(store, STRANGE)
        with pytest.raises(error):
            store._compact_if_agreed(refuse)
        assert store.metrics.snapshot() == counts(records_written=3, anomaly_detected=damages)
        assert len(store.read()) == 1


def test_a_dry_run_counts_the_damage_that_it_met_and_is_not_clean(kind: Kind) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.put(store, STRANGE)

        report = store.compact(dry_run=True)

        assert (report.found, len(report.remaining), report.clean) == (1, 1, False)
        assert store.metrics.snapshot() == counts(records_written=1, anomaly_detected=1)


def test_a_dry_run_that_fails_is_no_compaction_error(kind: Kind) -> None:
    store = kind.open()
    store.close()
    with pytest.raises(StoreClosedError):
        store.compact(dry_run=True)
    assert store.metrics.snapshot() == counts()


def test_a_dry_run_refuses_what_a_compaction_refuses(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" * 9)
    with papyra.open_store(f"json:{tmp_path}/picture") as store, pytest.raises(NotAStoreError):
        store.compact(dry_run=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "picture"]


def test_a_dry_run_of_a_store_in_memory_keeps_what_it_holds() -> None:
    with MemoryBackend(retention=Retention(max_records=1)) as store:
        store.append_many([event(1), event(2)])
        held = store._held
        assert store.compact(dry_run=True).dropped == 1
        assert store._held is held
        assert store.compact().dropped == 1


def test_an_append_beside_a_dry_run_in_memory_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it might drop, meanwhile, the record that the dry run took for the oldest to stay."""
    store = MemoryBackend(retention=Retention(max_records=1), lock_timeout=0)
    store.append_many([event(1), event(2)])
    lines, refused = store._lines, []

    def append() -> None:
        try:
            store.append_many(event(n) for n in range(3000))
        except StoreLockedError as error:
            refused.append(error)

    def appended_to(*, newest_first: bool) -> Iterator[Line]:
        if not newest_first:
            thread = threading.Thread(target=append)
            thread.start()
            thread.join()
        return lines(newest_first=newest_first)

    monkeypatch.setattr(store, "_lines", appended_to)
    assert store.compact(dry_run=True).kept == 1
    assert len(refused) == 1


def test_files_that_another_process_dropped_meanwhile_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Rotating(tmp_path)
    with kind.open(max_bytes=100) as store:
        for n in range(4):
            store.append(event(n))
    with kind.open(max_bytes=100, max_files=2) as store:
        assert isinstance(store, RotatingBackend)
        first, second = store._excess()
        trim = store._trim

        def dropped_first(excess: Any) -> Any:
            Path(first).unlink()
            return trim(excess)

        monkeypatch.setattr(store, "_trim", dropped_first)
        report = store.compact()

        assert report.files_dropped == (second,)
        assert (report.kept, report.dropped) == (2, 1)


def test_a_file_that_a_rotation_put_beyond_the_bound_meanwhile_is_left_to_the_next_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise records would be dropped that the report does not have."""
    kind = Rotating(tmp_path)
    with kind.open(max_bytes=100) as store:
        for n in range(4):
            store.append(event(n))
    with kind.open(max_bytes=100, max_files=2) as store, kind.open(max_bytes=100) as other:
        assert isinstance(store, RotatingBackend)
        counted, trim = [*store._excess()], store._trim

        def rotated_first(excess: Any) -> Any:
            other.append(event(4))
            return trim(excess)

        monkeypatch.setattr(store, "_trim", rotated_first)
        report = store.compact()

        assert report.files_dropped == tuple(counted)
        assert (report.kept, report.dropped) == (3, 2)
        store.append(event(5))
        assert numbers(store.read()) == [4, 5]


def test_many_kinds_are_counted_in_bounded_memory() -> None:
    dropped, more = Dropped(), Dropped()
    for n in range(MOST_KINDS + 5):
        dropped.add(Record(f"k{n}", timestamp=float(n)), 10)
    more.add(Record("late", timestamp=-1.0), 7)
    dropped.merge(more)

    assert len(dropped.by_kind) == MOST_KINDS + 1
    assert dropped.by_kind["_other"] == 6
    assert (dropped.records, dropped.bytes) == (MOST_KINDS + 6, 10 * (MOST_KINDS + 5) + 7)
    assert (dropped.oldest, dropped.newest) == (-1.0, MOST_KINDS + 4.0)


@pytest.mark.parametrize("beyond", [10**400, float("inf")])
def test_times_that_no_float_holds_are_told_as_the_largest_float(beyond: float) -> None:
    dropped = Dropped()
    for timestamp in (3, beyond, -beyond):
        dropped.add(restore("event", timestamp, {}, None), 1)

    assert (dropped.oldest, dropped.newest) == (-sys.float_info.max, sys.float_info.max)


def test_asyncio_has_the_dry_run_too() -> None:
    async def main() -> None:
        async with AsyncBackend(MemoryBackend(retention=Retention(max_records=1))) as store:
            await store.append_many([event(1), event(2)])
            assert (await store.compact(dry_run=True)).dropped == 1
            assert (await store.compact()).dropped == 1

    asyncio.run(main())
