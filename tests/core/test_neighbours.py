"""Stores whose names are that of another store, a dot and more: neither touches the other's files."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from stores import FileKind, counts, event, numbers, original

import papyra
from papyra import JsonBackend, Record, Retention, RotatingBackend, StoreURLError, open_store
from papyra.backends.files.paths import Layout
from papyra.cli.bare_path import url_at

#: Endings as those of rotated files, segments, leftovers and temporary files, and one of a neighbour's own.
ENDINGS = (
    "1", "2", "000000000001", "000000000009", "compact.tmp", "quarantine.5", "3.quarantine.5",
    "recovered.tmp", "tmp.0123abcd", "log", "1.000000000001", "maintenance",
)  # fmt: skip


@pytest.fixture
def path(file_kind: FileKind) -> Path:
    """The store's file; beside it each neighbour holds one record."""
    for number, ending in enumerate(ENDINGS):
        with JsonBackend(f"{file_kind.path}.{ending}") as neighbour:
            neighbour.append(event(100 + number))
            neighbour.recover()
    return file_kind.path


def neighbours(path: Path) -> dict[str, bytes | None]:
    """Return what is in the neighbours' files, and in those beside them; of directories the names."""
    return {
        name.name: name.read_bytes() if name.is_file() else None
        for name in path.parent.rglob("*")
        if name.name.startswith(tuple(f"{path.name}.{ending}" for ending in ENDINGS))
    }


def test_a_store_neither_reads_nor_changes_what_its_neighbours_have(
    file_kind: FileKind, path: Path
) -> None:
    before = neighbours(path)
    with file_kind.open(retention=Retention(max_records=4)) as store:
        for number in range(6):
            store.append(event(number))
        assert numbers(store.read()) == numbers(list(store.records())) == [2, 3, 4, 5]
        assert store.scan().clean
        assert store.compact(dry_run=True).dropped == 2
        assert store.compact().dropped == 2
        with path.open("ab") as file:
            file.write(b"strange\n")
        report = store.recover()
        assert report.clean
        assert report.quarantine
        store.recover(undo=report.quarantine)
        assert not store.scan().clean
    assert neighbours(path) == before
    for number, ending in enumerate(ENDINGS):
        with JsonBackend(f"{path}.{ending}") as neighbour:
            neighbour.append(event(1))
            assert numbers(neighbour.read(strict=True)) == [100 + number, 1]
            assert neighbour.scan().clean


def test_a_bound_for_the_number_of_files_drops_none_of_a_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "svc"
    for ending in ENDINGS:
        with JsonBackend(f"{path}.{ending}") as neighbour:
            neighbour.append(event(100))
    before = neighbours(path)
    with RotatingBackend(path, max_bytes=300, max_files=3) as store:
        for number in range(20):
            store.append(event(number))
        assert numbers(store.read()) == list(range(12, 20))
        assert store.compact().dropped == 0
        assert store.scan().clean
    assert neighbours(path) == before


def test_a_rotation_takes_no_number_whose_lock_is_there(tmp_path: Path) -> None:
    """A store that is made there this moment has its lock before its file."""
    path = tmp_path / "svc"
    Path(f"{path}.000000000001.lock").touch()
    with RotatingBackend(path, max_bytes=200) as store:
        for number in range(3):
            store.append(event(number))
        assert numbers(store.read()) == [0, 1, 2]
    assert not Path(f"{path}.000000000001").exists()


def test_a_neighbour_that_comes_while_a_store_is_open_is_left_alone(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event(0))
        assert numbers(store.read()) == [0]
        with JsonBackend(f"{file_kind.path}.1") as neighbour:
            neighbour.append(event(1))
            assert numbers(store.read()) == [0]
            assert numbers(neighbour.read()) == [1]
            assert store.scan().clean


def test_a_neighbour_keeps_no_store_from_being_opened(tmp_path: Path) -> None:
    for ending in ENDINGS:
        with JsonBackend(tmp_path / f"worker.{ending}") as neighbour:
            neighbour.append(event(1))
    with JsonBackend(tmp_path / "worker") as store:
        store.append(event(0))
        assert numbers(store.read()) == [0]


def test_a_neighbour_that_rotates_is_left_alone_with_its_segments(tmp_path: Path) -> None:
    with RotatingBackend(tmp_path / "worker.1", max_bytes=200) as neighbour:
        for number in range(5):
            neighbour.append(event(number))
    with JsonBackend(tmp_path / "worker") as store:
        store.append(event(9))
        assert numbers(store.read()) == [9]
        assert store.scan().clean
    with RotatingBackend(tmp_path / "worker.1") as neighbour:
        assert numbers(neighbour.read()) == list(range(5))


@pytest.mark.parametrize("ending", ["1", "compact.tmp", "quarantine.5", "2.quarantine.7"])
def test_a_file_of_checksummed_lines_was_not_rotated_by_0_3_0(
    file_kind: FileKind, ending: str
) -> None:
    """As where only the files were copied, not the locks beside them."""
    copy = Path(f"{file_kind.path}.{ending}")
    with JsonBackend(copy) as neighbour:
        neighbour.append(Record('k"\\' * 60, data={"text": "x" * 9000}))
    Path(f"{copy}.lock").unlink()
    shutil.rmtree(f"{copy}.metrics")
    content = copy.read_bytes()

    with file_kind.open(retention=Retention(max_records=1)) as store:
        store.append(event(1))
        store.append(event(2))
        assert numbers(store.read()) == [2]
        assert store.compact().dropped == 1
        assert [(a.type, a.source) for a in store.scan().anomalies] == [
            ("unexpected_file", str(copy))
        ]
    assert copy.read_bytes() == content


@pytest.mark.parametrize("content", [original(1, 2), b"", b'{"kind": "event"', b"\0" * 9])
def test_a_file_that_0_3_0_may_have_rotated_is_one_as_before(
    tmp_path: Path, content: bytes
) -> None:
    Path(tmp_path / "a.log.1").write_bytes(content)
    (tmp_path / "a.log").write_bytes(original(3))
    with pytest.raises(StoreURLError, match="rotated segments"):
        JsonBackend(tmp_path / "a.log")
    with RotatingBackend(tmp_path / "a.log") as store:
        found = [record.data["payload"]["n"] for record in store.read()]
        assert found == ([1, 2, 3] if b"1700" in content else [3])
        assert "unexpected_file" not in {a.type for a in store.scan().anomalies}


def test_a_rotated_file_of_a_store_in_use_is_not_opened_as_a_store_of_its_own(
    tmp_path: Path,
) -> None:
    """Its lock would tell the other store that it is a neighbour, whose records are not its own."""
    path = tmp_path / "a.log"
    Path(f"{path}.1").write_bytes(original(1))
    with RotatingBackend(path, max_bytes=200) as store:
        for number in range(3):
            store.append(event(number))
        before = store.read()
        for ending in ("1", "000000000001"):
            with JsonBackend(f"{path}.{ending}") as part:
                for change in (part.compact, part.recover, lambda: part.append(event(9))):
                    with pytest.raises(StoreURLError, match="it is a part of the store"):
                        change()
                found = len(part.read())
                with papyra.MemoryBackend() as copy:
                    assert papyra.import_store(part, copy).copied == found > 0
                assert part.metrics.snapshot() == counts(
                    records_read=found * 2,
                    compactions_triggered=1,
                    compaction_errors=1,
                    recovery_attempts=1,
                    recovery_failures=1,
                    write_errors=1,
                )
        assert store.read() == before
        assert store.scan().clean


def test_a_store_that_is_named_like_a_part_of_another_is_found_by_its_bare_path(
    tmp_path: Path,
) -> None:
    with (
        JsonBackend(tmp_path / "worker") as store,
        JsonBackend(tmp_path / "worker.000000000001") as neighbour,
    ):
        store.append(event(1))
        neighbour.append(event(2))
    for name, expected in (("worker", [1]), ("worker.000000000001", [2])):
        assert url_at(f"{tmp_path}/{name}") == f"json:{tmp_path}/{name}"
        with open_store(url_at(f"{tmp_path}/{name}")) as found:
            assert numbers(found.read()) == expected


def test_neighbours_cost_no_listing_more_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.log.1").write_bytes(original(1))
    layout = Layout(tmp_path / "a.log")
    monkeypatch.setattr("papyra.backends.files.paths._STEP", -1.0)
    monkeypatch.setattr("papyra.backends.files.paths._state_of", lambda _: (1,))
    first = layout.slots()

    def fail(*_: Any) -> None:
        raise AssertionError("it was looked at again")

    monkeypatch.setattr(os, "listdir", fail)
    monkeypatch.setattr("papyra.backends.files.paths.is_newer", fail)
    assert layout.slots() == first


def test_a_name_with_a_dot_is_not_a_part_of_a_shorter_one(tmp_path: Path) -> None:
    with papyra.open_store(f"json:{tmp_path}/a") as store:
        store.append(event(0))
    (tmp_path / "a.backup").write_bytes((tmp_path / "a").read_bytes())
    with papyra.open_store(f"json:{tmp_path}/a.backup") as copy:
        copy.append(event(1))
        assert numbers(copy.read()) == [0, 1]
