"""What a power cut may leave of a store's files, found by tests/faults/power.py."""

from pathlib import Path

import pytest
from stores import FileKind, Rotating, event, numbers

from papyra import MemoryBackend, import_store
from papyra.errors import CorruptRecordError, NotAStoreError


@pytest.mark.parametrize("left", [bytes(13), b"00000\0\0\0\0\0\0\0\0", b"000", b""], ids=repr)
def test_a_lock_file_that_was_never_synced_keeps_nobody_from_rotating(
    tmp_path: Path, left: bytes
) -> None:
    kind = Rotating(tmp_path)
    with kind.open(max_bytes=300) as store:
        store.append(event(1))
    Path(f"{kind.path}.lock").write_bytes(left)

    with kind.open(max_bytes=300) as store:
        for number in range(2, 9):
            store.append(event(number))

        assert numbers(store.read()) == list(range(1, 9))
    highest = max(tmp_path.glob("store.ndjson." + "[0-9]" * 12)).name[-12:]
    assert Path(f"{kind.path}.lock").read_bytes().startswith(highest.encode())


def test_a_store_whose_first_blocks_never_came_is_still_one(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event(1, text="x" * 5000))
    content = file_kind.path.read_bytes()
    file_kind.path.write_bytes(bytes(4096) + content[4096:])

    with file_kind.open() as store:
        store.append(event(2))
        assert store.recover().clean

        assert numbers(store.read()) == [2]


def test_a_file_of_somebody_elses_that_begins_with_nuls_is_refused(file_kind: FileKind) -> None:
    file_kind.path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))

    with file_kind.open() as store, pytest.raises(NotAStoreError):
        store.append(event(1))
    assert not Path(f"{file_kind.path}.lock").exists()


def test_nuls_beside_a_record_are_damage_and_the_record_is_read(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        for number in range(5):
            store.append(event(number))
        lines = file_kind.path.read_bytes().splitlines(keepends=True)
        whole = b"".join(lines)
        lines[1] = bytes(5000) + lines[1]
        lines[3] = bytes(7) + lines[3][:-1] + bytes(9) + b"\n"
        damaged = b"".join(lines)
        file_kind.path.write_bytes(damaged)

        scan = store.scan()
        place = [len(lines[0]), len(b"".join(lines[:3])), len(b"".join(lines[:4])) - 10]
        assert [(a.type, a.offset, a.length) for a in scan.anomalies] == [
            ("nul_bytes", place[0], 5000),
            ("nul_bytes", place[1], 7),
            ("nul_bytes", place[2], 10),
        ]
        assert scan.records == 5
        assert numbers(store.read()) == numbers(list(store.records())) == [0, 1, 2, 3, 4]
        assert numbers(store.read(limit=2)) == [3, 4]
        with pytest.raises(CorruptRecordError):
            store.read(strict=True)
        with pytest.raises(CorruptRecordError):
            list(store.records(strict=True))
        with MemoryBackend() as copy:
            assert import_store(store, copy).copied == 5
            assert copy.scan().clean
        for change in (store.recover, store.compact):
            report = change()
            assert file_kind.path.read_bytes() == whole
            assert report.quarantine
            store.recover(undo=report.quarantine)
            assert file_kind.path.read_bytes() == damaged
