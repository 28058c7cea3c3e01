"""Putting back what a recovery or compaction saved."""

import json
import os
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from stores import FileKind, counts, event, numbers, raiser

from papyra import (
    MemoryBackend,
    PersistenceBackend,
    Retention,
    RotatingBackend,
    StoreIOError,
    UndoError,
    UnsupportedError,
)
from papyra.backends.files.concurrent_swap import Replacement
from papyra.backends.files.paths import Layout
from papyra.backends.files.quarantine import undo
from papyra.backends.files.quarantine.manifest import Saved
from papyra.format.codec import encode, seal

TORN = b'{"kind":"event","timest'


def line(n: int) -> bytes:
    return seal(encode(event(n)), "0" * 16, n)


#: Damage at the beginning, in the middle and at the end, and two records that share a line.
DAMAGED = b"junk\n" + line(1) + b"\0\0\n" + line(2)[:-1] + line(3) + b"[1]\n" + line(4) + TORN


def data(directory: Path) -> dict[str, bytes]:
    """Return the files with records."""
    return {
        entry.name: entry.read_bytes()
        for entry in directory.iterdir()
        if entry.is_file() and "lock" not in entry.name
    }


def undone(store: PersistenceBackend) -> None:
    """Undo the one recovery there is."""
    (saved,) = store.quarantined()
    assert saved.obstacle == ""
    store.recover(undo=saved.id)
    assert store.quarantined() == []


def test_a_recovery_is_undone_byte_for_byte(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        report = store.recover()
        assert numbers(store.read(strict=True)) == [1, 2, 3, 4]
        (saved,) = store.quarantined()
        assert (saved.id, saved.bytes) == (report.quarantine, report.removed)
        assert saved.files == ("store.ndjson",)
        before = store.metrics.snapshot()

        shown = store.recover(undo=saved.id, dry_run=True)
        assert (shown.dry_run, shown.restored) == (True, saved.bytes)
        assert numbers(store.read(strict=True)) == [1, 2, 3, 4]
        done = store.recover(undo=saved.id)
        assert (done.quarantine, done.restored, done.clean) == (saved.id, saved.bytes, True)

        assert file_kind.path.read_bytes() == DAMAGED
        assert not any(Path(f"{file_kind.path}.quarantine").iterdir())
        assert store.metrics.snapshot() == before | {"records_read": before["records_read"] + 4}


def test_what_was_appended_since_stays_and_nothing_is_glued(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        store.recover()
        store.append(event(5))
        undone(store)
        assert file_kind.path.read_bytes().startswith(DAMAGED + b"\n")
        assert numbers(store.read()) == [1, 2, 3, 4, 5]
        store.append(event(6))
        assert store.recover().clean
        assert numbers(store.read(strict=True)) == [1, 2, 3, 4, 5, 6]


def test_recoveries_are_undone_in_reverse(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        first = store.recover().quarantine
        file_kind.put(store, b"more\n")
        between = file_kind.path.read_bytes()
        second = store.recover().quarantine
        assert first is not None
        assert second is not None
        assert [bool(saved.obstacle) for saved in store.quarantined()] == [False, False]
        file_kind.path.write_bytes(line(9))
        with pytest.raises(UndoError, match="it was rewritten since"):
            store.recover(undo=first)
        assert all("rewritten" in saved.obstacle for saved in store.quarantined())
        file_kind.path.write_bytes(between.removesuffix(b"more\n"))
        store.recover(undo=second)
        assert file_kind.path.read_bytes() == between
        store.recover(undo=first)
        assert file_kind.path.read_bytes() == DAMAGED + b"\nmore\n"


def test_damage_that_a_compaction_saved_is_put_back_too(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(line(1) + line(2) + b"junk\n" + line(3))
    with file_kind.open(retention=Retention(max_records=2)) as store:
        assert store.compact().dropped == 1
        assert file_kind.path.read_bytes() == line(2) + line(3)
        undone(store)
        assert file_kind.path.read_bytes() == line(2) + b"junk\n" + line(3)


def test_all_files_of_a_set_are_put_back_and_those_that_were_removed(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    with RotatingBackend(path, max_bytes=300) as store:
        for n in range(7):
            store.append(event(n))
        (tmp_path / "store.ndjson.000000000002").write_bytes(b"nothing but junk\n")
        for name in ("store.ndjson", "store.ndjson.000000000001"):
            with (tmp_path / name).open("ab") as file:
                file.write(b"junk\n")
        before = data(tmp_path)
        report = store.recover()
        assert report.clean
        assert "store.ndjson.000000000002" not in data(tmp_path)
        assert len(store.quarantined()) == 1
        undone(store)
        assert data(tmp_path) == before


def test_a_file_that_was_rotated_since_is_found(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    path.write_bytes(DAMAGED)
    with RotatingBackend(path, max_bytes=len(DAMAGED)) as store:
        store.recover()
        store.append_many([event(5), event(6)])
        undone(store)
        assert (tmp_path / "store.ndjson.000000000001").read_bytes() == DAMAGED
        assert numbers(store.read()) == [1, 2, 3, 4, 5, 6]


def test_an_interrupted_recovery_leaves_nothing_to_undo(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        for step in ("sync", "take_place"):
            with monkeypatch.context() as patch:
                patch.setattr(
                    f"papyra.backends.files.concurrent_swap.Replacement.{step}",
                    raiser(KeyboardInterrupt()),
                )
                with pytest.raises(KeyboardInterrupt):
                    store.recover()
            assert store.quarantined() == []
        with monkeypatch.context() as patch:  # after the rename
            patch.setattr(
                "papyra.backends.files.concurrent_swap.sync_directory",
                raiser(OSError(5, "i/o error")),
            )
            with pytest.raises(OSError, match="the rewrite stopped there: i/o error"):
                store.recover()
        undone(store)
        assert file_kind.path.read_bytes() == DAMAGED
        assert store.metrics.snapshot()["recovery_failures"] == 3


def test_an_interrupted_undo_is_done_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.ndjson"
    for name in ("store.ndjson.000000000001", "store.ndjson"):
        (tmp_path / name).write_bytes(DAMAGED.replace(b"junk", name.encode()))
    before = data(tmp_path)
    take_place = Replacement.take_place

    def interrupted_at_the_second(self: Replacement, *, timeout: float) -> None:
        if before.items() & data(tmp_path).items():
            raise KeyboardInterrupt
        take_place(self, timeout=timeout)

    with RotatingBackend(path) as store:
        identifier = store.recover().quarantine
        with monkeypatch.context() as patch:
            patch.setattr(Replacement, "take_place", interrupted_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                store.recover(undo=identifier)
        assert len(before.items() & data(tmp_path).items()) == 1
        undone(store)
        assert data(tmp_path) == before


def test_an_inode_that_was_used_again_does_not_put_a_file_back_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the sealed file nothing stays, so it is removed; what is put back may have its inode."""
    path, sealed = tmp_path / "store.ndjson", tmp_path / "store.ndjson.000000000001"
    for file in (sealed, path):
        file.write_bytes(b"junk\n" + (line(1) if file is path else b""))
    before = data(tmp_path)
    take_place = Replacement.take_place

    def interrupted_at_the_active_one(self: Replacement, *, timeout: float) -> None:
        if sealed.exists() and sealed.stat().st_size:
            raise KeyboardInterrupt
        take_place(self, timeout=timeout)

    class Reused(Saved):
        def __init__(self, layout: Layout, id_: str) -> None:
            super().__init__(layout, id_)
            for chapter in self.chapters:
                if chapter.file == sealed.name and sealed.exists():
                    chapter.end["inode"] = sealed.stat().st_ino

    monkeypatch.setattr(undo, "Saved", Reused)
    with RotatingBackend(path) as store:
        identifier = store.recover().quarantine
        assert not sealed.exists()
        with monkeypatch.context() as patch:
            patch.setattr(Replacement, "take_place", interrupted_at_the_active_one)
            with pytest.raises(KeyboardInterrupt):
                store.recover(undo=identifier)
        undone(store)
        assert data(tmp_path) == before


@pytest.mark.parametrize("damaged_end", [False, True])
def test_an_interrupted_undo_of_a_compaction_that_dropped_records_is_done_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, damaged_end: bool
) -> None:
    path = tmp_path / "store.ndjson"
    for n, name in enumerate(["store.ndjson.000000000001", "store.ndjson"]):
        kept = seal(encode(event(10**9)), "1" * 16, n)
        after = kept + b"junk\n" if damaged_end else b"junk\n" + kept
        (tmp_path / name).write_bytes(line(n) + after)
    real = undo._put_back
    put_back: list[str] = []

    def interrupted_at_the_second(*arguments: Any, timeout: float) -> None:
        if put_back:
            raise KeyboardInterrupt
        put_back.append("one")
        real(*arguments, timeout=timeout)

    with RotatingBackend(path, retention=Retention(max_age=3600.0)) as store:
        monkeypatch.setattr("papyra.backend.time.time", lambda: 1_700_000_000.0 + 10**9)
        assert store.compact().dropped == 2
        (saved,) = store.quarantined()
        with monkeypatch.context() as patch:
            patch.setattr(undo, "_put_back", interrupted_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                store.recover(undo=saved.id)
        assert store.recover(undo=saved.id, dry_run=True).restored == len(b"junk\n")
        undone(store)
        assert [content.count(b"junk\n") for content in data(tmp_path).values()] == [1, 1]


def test_what_a_killed_recovery_saved_is_not_put_back_into_a_file_that_was_sealed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.ndjson"
    path.write_bytes(line(1) + TORN)
    with RotatingBackend(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(Replacement, "take_place", raiser(KeyboardInterrupt()))
            patch.setattr("papyra.backends.files.quarantine.writer.remove", lambda *_: None)
            with pytest.raises(KeyboardInterrupt):
                store.recover()
        store._max_bytes = 1
        store.append(event(2))
        (saved,) = store.quarantined()
        assert "interrupted" in saved.obstacle
        assert store.recover(undo=saved.id).restored == 0
        assert (tmp_path / "store.ndjson.000000000001").read_bytes() == line(1) + TORN


@pytest.mark.parametrize("operation", ["recover", "compact"])
@pytest.mark.parametrize(
    "where",
    [
        "rewrite._Rewriting.close",
        "concurrent_swap.Replacement.discard",
        "quarantine.writer.sync_directory",
    ],
)
def test_an_interrupt_around_the_replacement_leaves_damage_in_the_store_or_the_quarantine(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, operation: str, where: str
) -> None:
    file_kind.path.write_bytes(line(1) + b"precious\n" + line(2))
    with file_kind.open() as store:
        with monkeypatch.context() as patch:
            patch.setattr(f"papyra.backends.files.{where}", raiser(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                getattr(store, operation)()
        if b"precious" not in file_kind.path.read_bytes():
            (saved,) = store.quarantined()
            assert saved.obstacle == ""
            assert store.recover(undo=saved.id).restored == len(b"precious\n")
        assert b"precious" in file_kind.path.read_bytes()


def test_a_quarantine_whose_removal_was_interrupted_is_not_shown_and_goes_with_the_next(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        with monkeypatch.context() as patch:
            patch.setattr(Replacement, "take_place", raiser(StoreIOError(5, "no", "here")))
            patch.setattr("os.rmdir", raiser(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                store.recover()
        assert store.quarantined() == []
        identifier = store.recover().quarantine
        store.recover(undo=identifier)
        assert os.listdir(f"{file_kind.path}.quarantine") == []


def test_a_quarantine_into_which_nothing_was_written_yet_has_nothing_to_put_back(
    file_kind: FileKind,
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        identifier = store.recover().quarantine
        empty = f"{file_kind.path}.quarantine/20260101T000000-00000000"
        os.mkdir(empty)
        saved, other = store.quarantined()
        assert other.id == identifier
        assert (saved.bytes, saved.files) == (0, ())
        assert "all that it says was removed is there" in saved.obstacle


def test_an_undo_that_cannot_begin_leaves_no_descriptor_open(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        identifier = store.recover().quarantine
        store.recover(undo=identifier, dry_run=True)
        before = set(os.listdir("/proc/self/fd"))
        monkeypatch.setattr(
            Layout, "new_temporary", lambda _: f"{file_kind.path}/not in a directory"
        )
        with pytest.raises(StoreIOError):
            store.recover(undo=identifier)
        assert set(os.listdir("/proc/self/fd")) == before


def test_an_undo_that_was_interrupted_at_its_very_end_is_done(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    quarantine = Path(f"{file_kind.path}.quarantine")
    with file_kind.open() as store:
        for _ in range(2):
            identifier = store.recover().quarantine
            with monkeypatch.context() as patch:
                patch.setattr(
                    "papyra.backends.files.quarantine.writer.os.rmdir", raiser(KeyboardInterrupt())
                )
                with pytest.raises(KeyboardInterrupt):
                    store.recover(undo=identifier)
            assert file_kind.path.read_bytes() == DAMAGED
            assert store.quarantined() == []
        store.recover()
        undone(store)
    assert list(quarantine.iterdir()) == []


def quarantine_of(file_kind: FileKind, identifier: str) -> Path:
    """Return the directory that the store calls so."""
    return Path(f"{file_kind.path}.quarantine", identifier)


@pytest.mark.parametrize("name", ["removed", "manifest.ndjson"])
def test_no_flipped_bit_in_what_was_saved_puts_anything_back_or_hides_the_rest(
    file_kind: FileKind, name: str
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        first = store.recover().quarantine
        file_kind.path.write_bytes(file_kind.path.read_bytes() + TORN)
        second = store.recover().quarantine
        assert first
        assert second
        clean = file_kind.path.read_bytes()
        file = quarantine_of(file_kind, second) / name
        whole = file.read_bytes()
        for bit in [*range(0, 8 * len(whole), 13), 8 * len(whole) - 1]:
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            file.write_bytes(changed)
            with pytest.raises(
                UndoError, match=r"what was saved has been changed since .*; put the directory back"
            ):
                store.recover(undo=second)
            saved = {entry.id: entry.obstacle for entry in store.quarantined()}
            assert list(saved) == sorted([first, second])
            assert "what was saved has been changed since" in saved[second]
        assert file_kind.path.read_bytes() == clean
        file.write_bytes(whole)
        store.recover(undo=second)
        undone(store)
    assert file_kind.path.read_bytes().startswith(DAMAGED)


def test_what_a_manifest_cut_short_says_nothing_of_stays_in_the_quarantine(
    file_kind: FileKind,
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        identifier = store.recover().quarantine
        assert identifier
        clean = file_kind.path.read_bytes()
        manifest = quarantine_of(file_kind, identifier) / "manifest.ndjson"
        removed = quarantine_of(file_kind, identifier) / "removed"
        whole, bytes_removed = manifest.read_bytes(), removed.read_bytes()
        for size in range(0, len(whole) - 1, 7):
            manifest.write_bytes(whole[:size])
            (saved,) = store.quarantined()
            assert "interrupted" in saved.obstacle
            assert store.recover(undo=identifier).restored == 0
            assert file_kind.path.read_bytes() == clean
            assert removed.read_bytes() == bytes_removed
        manifest.write_bytes(whole)
        undone(store)
    assert file_kind.path.read_bytes() == DAMAGED


def test_a_recovery_killed_before_it_said_anything_hides_nothing(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        identifier = store.recover().quarantine
        empty = quarantine_of(file_kind, "20991231T235959-00000000")
        empty.mkdir()
        for name in ("manifest.ndjson", "removed"):
            (empty / name).touch()
        good, interrupted = store.quarantined()
        assert (good.id, good.obstacle) == (identifier, "")
        assert "interrupted" in interrupted.obstacle
        assert (interrupted.bytes, interrupted.saved) == (0, 4102444799.0)
        assert store.recover(undo=interrupted.id).restored == 0
        undone(store)


@pytest.mark.parametrize("name", ["removed", "manifest.ndjson"])
def test_a_file_that_is_missing_from_the_quarantine_is_named(
    file_kind: FileKind, name: str
) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        identifier = store.recover().quarantine
        assert identifier
        (quarantine_of(file_kind, identifier) / name).unlink()
        with pytest.raises(UndoError, match=rf"{name}: it is missing"):
            store.recover(undo=identifier)
        (saved,) = store.quarantined()
        assert f"{name}: it is missing" in saved.obstacle


def test_a_store_that_was_renamed_says_what_it_was_called(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(DAMAGED)
    with file_kind.open() as store:
        identifier = str(store.recover().quarantine)
    moved = file_kind.path.with_name("moved.ndjson")
    file_kind.path.rename(moved)
    Path(f"{file_kind.path}.quarantine").rename(f"{moved}.quarantine")
    with RotatingBackend(moved) as store, pytest.raises(UndoError, match=r"out of 'store\.ndjson'"):
        store.recover(undo=identifier)


def test_the_manifest_says_what_was_where(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(b"junk\n" + line(1) + TORN)
    with file_kind.open() as store:
        identifier = store.recover().quarantine
    directory = Path(f"{file_kind.path}.quarantine", str(identifier))
    head, name, *pieces, end = map(
        json.loads, (directory / "manifest.ndjson").read_text().splitlines()
    )
    assert (head["papyra_quarantine"], head["id"]) == (3, identifier)
    assert name["file"] == "store.ndjson"
    assert [
        (p["type"], p["offset"], p["length"], p["saved_at"], p["new_offset"]) for p in pieces
    ] == [
        ("corrupted_line", 0, 5, 0, 0),
        ("truncated_line", 5 + len(line(1)), len(TORN), 5, len(line(1))),
    ]
    assert (end["end"], end["old_size"], end["new_size"]) == (
        "store.ndjson",
        5 + len(line(1)) + len(TORN),
        len(line(1)),
    )
    assert (end["undone_size"], end["undone_checksum"]) == (end["old_size"], end["old_checksum"])
    assert (end["saved_from"], end["saved_to"]) == (0, 5 + len(TORN))
    assert end["saved_checksum"] == crc32(b"junk\n" + TORN)
    assert end["inode"] == os.stat(file_kind.path).st_ino
    assert (directory / "removed").read_bytes() == b"junk\n" + TORN


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [
        ("", "''"),
        ("..", "that was given"),
        ("../x", "that was given"),
        ("NOPE", "'NOPE'"),
        ("me:word", "that was given"),
        ("20261123T000000-00000000", "'20261123T000000-00000000'"),
        ("20261123T000000-9b3eca6f", "'20261123T000000-9b3eca6f'"),
    ],
)
def test_an_id_that_is_none_is_an_error(file_kind: FileKind, identifier: str, shown: str) -> None:
    """It is repeated, unless it may be a password."""
    with file_kind.open() as store:
        store.append(event(1))
        with pytest.raises(UndoError, match="nothing is saved under the id") as raised:
            store.recover(undo=identifier)
        assert f" the id {shown}; take an id that quarantined() or papyra recover --list shows" in (
            str(raised.value)
        )
        assert store.metrics.snapshot() == counts(records_written=1)


def test_an_id_is_a_string(file_kind: FileKind) -> None:
    with (
        file_kind.open() as store,
        pytest.raises(TypeError, match=r"undo must be an id that quarantined\(\) lists, got 5"),
    ):
        store.recover(undo=5)  # type: ignore[arg-type]  # what is refused


def test_a_store_without_a_quarantine_says_so() -> None:
    with MemoryBackend() as store:
        for ask in (store.quarantined, lambda: store.recover(undo="x")):
            with pytest.raises(UnsupportedError, match="of kind memory cannot undo anything"):
                ask()


def test_what_is_saved_within_one_second_is_listed_oldest_first(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [1_700_000_000.0]

    def later() -> float:
        at[0] += 1 / 128
        return at[0]

    monkeypatch.setattr("papyra.backends.files.quarantine.writer.time.time", later)
    with file_kind.open() as store:
        store.append(event(0))
        made = []
        for number in range(9):
            file_kind.put(store, b"junk %d\n" % number)
            made.append(store.recover().quarantine)
        saved = store.quarantined()
        assert [entry.id for entry in saved] == made
        assert {entry.saved for entry in saved} == {1_700_000_000.0}


def test_what_left_a_file_empty_goes_back_after_it_was_rotated_and_what_came_later_was_undone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.ndjson"
    with RotatingBackend(path, max_bytes=200) as store:
        store.append(event(0))
        path.write_bytes(b"junk\n")
        first = store.recover().quarantine
        for number in range(1, 4):
            store.append(event(number))
        segment = tmp_path / "store.ndjson.000000000001"
        lines = segment.read_bytes()
        segment.write_bytes(b"more junk\n" + lines)
        second = store.recover().quarantine
        assert first
        assert second
        with pytest.raises(UndoError, match="undo later recoveries and compactions first"):
            store.recover(undo=first)
        store.recover(undo=second)
        assert segment.read_bytes() == b"more junk\n" + lines
        assert [saved.obstacle for saved in store.quarantined()] == [""]
        store.recover(undo=first)
        assert segment.read_bytes() == b"junk\nmore junk\n" + lines
        assert store.quarantined() == []
        assert numbers(store.read()) == [1, 2, 3]
