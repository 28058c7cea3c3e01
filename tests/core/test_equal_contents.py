"""
Records of 0.3.0's that stand in a rotated set more than once, known by their contents alone.

Copies are equal in kind, timestamp and data. Which of them is the record shows in the order alone.
"""

import json
from pathlib import Path

import pytest
from stores import counts

from papyra import (
    JsonBackend,
    MemoryBackend,
    PersistenceBackend,
    Record,
    Retention,
    RotatingBackend,
    import_store,
    open_store,
)
from papyra.format.codec import encode, seal

#: The files, oldest first; 3 and 0 are repeated.
FILES = ((0, 1), (2, 3), (3, 4, 0, 5))
FIRST_COPIES = [0, 1, 2, 3, 4, 5]
LAST_COPIES = [1, 2, 3, 4, 0, 5]


def line(n: int) -> bytes:
    content = {
        "kind": "event",
        "system_id": "s",
        "actor_address": "a",
        "event_type": "e",
        "payload": n,
        "timestamp": 1_700_000_000.0 + n,
    }
    return json.dumps(content).encode() + b"\n"


def fill(path: Path) -> list[Path]:
    files = [path.with_name(f"{path.name}.2"), path.with_name(f"{path.name}.1"), path]
    for file, numbers in zip(files, FILES, strict=True):
        file.write_bytes(b"".join(map(line, numbers)))
    return files


def payloads(records: list[Record]) -> list[int]:
    return [record.data["payload"] for record in records]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "old.ndjson"
    fill(path)
    return path


def opened(path: Path, retention: Retention | None = None) -> PersistenceBackend:
    return RotatingBackend(path, max_bytes=10**6, retention=retention)


def test_what_looks_through_all_from_the_oldest_on_takes_the_first_copies(path: Path) -> None:
    with opened(path) as store:
        assert payloads(store.read()) == FIRST_COPIES
        assert payloads(list(store.records())) == FIRST_COPIES
        assert payloads(store.read(kind="event", since=0)) == FIRST_COPIES
        found = [(anomaly.source, anomaly.offset) for anomaly in store.scan().anomalies]
        assert found == [(str(path), 0), (str(path), 2 * len(line(3)))]
        assert store.metrics.snapshot() == counts(
            records_read=18, anomaly_detected=8, scan_operations=1
        )
    with opened(path) as store, MemoryBackend() as copy:
        assert import_store(store, copy).copied == 6
        assert payloads(copy.read()) == FIRST_COPIES


def test_what_looks_from_the_newest_on_takes_the_last_copies(path: Path) -> None:
    with opened(path) as store:
        assert payloads(store.read(limit=6)) == LAST_COPIES
        assert payloads(store.read(limit=3)) == LAST_COPIES[-3:]
        assert payloads(list(store.records(limit=4))) == LAST_COPIES[-4:]
    for retention in (Retention(max_records=4), Retention(max_total_bytes=4 * len(line(0)))):
        with opened(path, retention) as store:
            assert payloads(store.read()) == LAST_COPIES[-4:]
            assert payloads(list(store.records())) == LAST_COPIES[-4:]


@pytest.mark.parametrize("operation", ["recover", "compact"])
def test_behind_a_recovery_or_compaction_all_reads_have_the_first_copies(
    path: Path, operation: str
) -> None:
    with opened(path) as store:
        report = store.recover() if operation == "recover" else store.compact()
        assert (report.found, report.remaining) == (2, ())
        assert store.scan().clean
        for limit in (None, 6):
            assert payloads(store.read(limit=limit)) == FIRST_COPIES
        assert payloads(list(store.records())) == FIRST_COPIES
        assert report.quarantine is not None
        store.recover(undo=report.quarantine)
        assert payloads(store.read(limit=6)) == LAST_COPIES


def test_a_compaction_by_number_keeps_the_newest_records_whichever_copies_those_are(
    path: Path,
) -> None:
    with opened(path, Retention(max_records=4)) as store:
        kept = sorted(payloads(store.read()))
        store.compact()
        assert sorted(payloads(store.read())) == kept
        assert payloads(store.read()) == payloads(store.read(limit=10))


def test_so_it_is_beside_a_record_whose_id_is_repeated(path: Path) -> None:
    with opened(path) as store:
        store.append(Record("event", timestamp=1.0, data={"payload": 6}))
        store.append(Record("event", timestamp=1.0, data={"payload": 7}))
    *_, six, _ = path.read_bytes().splitlines(keepends=True)
    with path.open("ab") as file:
        file.write(six)
    with opened(path) as store:
        assert payloads(store.read()) == [*FIRST_COPIES, 7, 6]
        assert payloads(list(store.records())) == [*FIRST_COPIES, 7, 6]
        assert payloads(store.read(limit=8)) == [*LAST_COPIES, 7, 6]
        assert store.scan().found == 3
        store.recover()
        assert payloads(store.read()) == [*FIRST_COPIES, 7, 6]


def test_in_a_single_file_equal_records_are_no_copies(path: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.ndjson"
    one.write_bytes(b"".join(line(n) for numbers in FILES for n in numbers))
    with JsonBackend(one) as store, open_store("memory:") as copy:
        assert payloads(store.read()) == [n for numbers in FILES for n in numbers]
        assert payloads(store.read(limit=8)) == [n for numbers in FILES for n in numbers]
        assert store.scan().clean
        assert import_store(store, copy).copied == 8


def test_a_repeated_id_changes_nothing_for_records_that_are_known_by_their_contents(
    tmp_path: Path,
) -> None:
    """An id that comes twice made `read()` look from the newest on, where a burst is taken for copies."""
    path = tmp_path / "store.ndjson"
    repeated = seal(encode(Record("event", timestamp=7.0, data={"payload": 7})), "a" * 16, 1)
    Path(f"{path}.1").write_bytes(line(4) * 3 + line(1))
    path.write_bytes(line(4) + repeated + repeated)
    with RotatingBackend(path) as store:
        assert payloads(store.read()) == payloads(list(store.records())) == [4, 4, 4, 1, 7]
        assert store.scan().records == 5
        assert payloads(store.read(limit=9)) == [1, 4, 7]
