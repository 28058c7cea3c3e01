"""What a power cut may leave of a store's files, found by tests/faults/power.py."""

from pathlib import Path

import pytest
from stores import FileKind, Rotating, event, numbers

from papyra.errors import NotAStoreError


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
