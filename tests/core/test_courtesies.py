"""What a file system does not have, and no record depends on: warned of once, and done without."""

import errno
import os
import stat
from typing import Any

import pytest
from stores import FileKind, event, numbers

from papyra import StoreIOError
from papyra.backends.files.store import FileBackend

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no modes and directories there")

NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY)


def refuse_directories(patch: pytest.MonkeyPatch, number: int) -> None:
    """Have the file system refuse to sync a directory."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    patch.setattr(os, "fsync", fsync)


def use(store: FileBackend, kind: FileKind) -> None:
    """Do all that syncs a name or sets a mode."""
    for number in range(30):
        store.append(event(number, filler="x" * 100))
    kind.put(store, b"no record\n")
    saved = store.recover().quarantine
    store.recover(undo=saved)
    store.compact()
    assert numbers(store.read(strict=True)) == list(range(30))


@pytest.mark.parametrize("number", NO_DIRECTORY_SYNC, ids=errno.errorcode.get)
@pytest.mark.parametrize("sync", ["interval", "always"])
def test_a_directory_that_cannot_be_synced_is_told_once_and_costs_no_record(
    file_kind: FileKind,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    sync: str,
) -> None:
    refuse_directories(monkeypatch, number)
    with file_kind.open(sync=sync) as store:
        use(store, file_kind)
        assert store.metrics.snapshot()["write_errors"] == 0
    (warning,) = caplog.messages
    assert 'may be missing, with sync="always", too' in warning
    assert os.strerror(number) in warning


@pytest.mark.parametrize("number", [errno.EACCES, errno.EBADF], ids=errno.errorcode.get)
def test_a_directory_that_cannot_be_opened_to_be_synced_is_told_once(
    file_kind: FileKind,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    real = os.open

    def open_(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", open_)
    with file_kind.open() as store:
        use(store, file_kind)
    assert len(caplog.messages) == 1


def test_a_directory_whose_disk_fails_is_an_error(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_kind.open() as store:
        with monkeypatch.context() as patch:
            refuse_directories(patch, errno.EIO)
            with pytest.raises(StoreIOError, match="the disk fails"):
                store.append(event(1))
        store.append(event(2))
        assert numbers(store.read()) == [2]


@pytest.mark.parametrize("name", ["fchmod", "chown"])
@pytest.mark.parametrize(
    "number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS], ids=errno.errorcode.get
)
def test_a_mode_or_owner_that_cannot_be_set_is_told_once_and_costs_no_record(
    file_kind: FileKind,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    number: int,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    with file_kind.open() as store:
        store.append(event(0, filler="x" * 100))
    if os.geteuid() == 0:
        os.chown(file_kind.path, 65534, 65534)
    file_kind.path.chmod(0o640)
    caplog.clear()
    monkeypatch.setattr(os, name, refuse)
    with file_kind.open() as store:
        for number_ in range(1, 30):
            store.append(event(number_, filler="x" * 100))
        file_kind.put(store, b"no record\n")
        store.recover(undo=store.recover().quarantine)
        store.compact()
        assert numbers(store.read(strict=True)) == list(range(30))
    reported = [message for message in caplog.messages if "mode and owner" in message]
    assert len(reported) == (1 if name == "fchmod" or os.geteuid() == 0 else 0)


def test_a_mode_is_kept_though_the_owner_cannot_be(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a file away")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    with file_kind.open() as store:
        store.append(event(1))
        os.chown(file_kind.path, 65534, 65534)
        file_kind.path.chmod(0o664)
        file_kind.put(store, b"no record\n")
        monkeypatch.setattr(os, "chown", refuse)
        store.recover()
    assert stat.S_IMODE(file_kind.path.stat().st_mode) == 0o664
