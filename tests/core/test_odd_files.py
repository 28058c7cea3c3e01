"""What stands in the place of a store's files and is none: refused in words, never waited for."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import FileKind, counts, event, numbers

from papyra import RotatingBackend, StoreIOError, open_counters, open_store
from papyra.backends.files.store import FileBackend

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, 0o020666, os.makedev(1, 3))


ODD: dict[str, Callable[[Path], None]] = {
    "a FIFO": _fifo,
    "a socket": _socket,
    "a device": _device,
    "a directory": _directory,
}
#: Where it stands beside the store, and which operations need that place.
POSITIONS = {
    "lock": {"append", "read", "scan", "recover", "compact"},
    "maint.lock": {"recover", "compact"},
    "1": {"read", "scan", "recover", "compact"},
    "000000000001": {"read", "scan", "recover", "compact"},
    "quarantine.5": {"read", "scan", "recover", "compact"},
    "metrics/lock": {"metrics", "reset"},
    "metrics/retired": {"metrics", "reset"},
    "metrics/4000000000-0123abcd": {"metrics", "reset"},
    "quarantine": {"quarantined", "recover", "compact"},
}
OPERATIONS: dict[str, Callable[[FileBackend], object]] = {
    "append": lambda store: store.append(event(2)),
    "read": lambda store: store.read(),
    "scan": lambda store: store.scan(),
    "recover": lambda store: store.recover(),
    "compact": lambda store: store.compact(),
    "quarantined": lambda store: store.quarantined(),
    "metrics": lambda store: open_counters(f"rotating:{store.source}").read(),
    "reset": lambda store: open_counters(f"rotating:{store.source}").reset(),
}


@pytest.mark.parametrize(
    ("place", "odd"),
    [(p, o) for p in POSITIONS for o in ODD if (p, o) != ("quarantine", "a directory")],
)
def test_what_is_not_a_file_is_refused_and_named(tmp_path: Path, place: str, odd: str) -> None:
    path = tmp_path / "store"
    with RotatingBackend(path) as store:
        store.append(event(1))
    there = Path(f"{path}.{place}")
    there.unlink(missing_ok=True)
    ODD[odd](there)
    damage = path.read_bytes() + b"no record\n"
    for name, operation in OPERATIONS.items():
        path.write_bytes(damage)
        with RotatingBackend(path, lock_timeout=0.1) as store:
            if name in POSITIONS[place]:
                with pytest.raises(StoreIOError, match="store") as refused:
                    operation(store)
                assert str(there) in str(refused.value)
                assert any(word in str(refused.value) for word in ("move", "not a regular file"))
            else:
                operation(store)
    assert not there.is_file()


@pytest.mark.parametrize("odd", list(ODD))
@pytest.mark.parametrize("place", ["lock", "retired"])
def test_counters_that_an_odd_file_keeps_from_being_published_cost_no_record(
    file_kind: FileKind, odd: str, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = Path(f"{file_kind.path}.metrics")
    directory.mkdir()
    ODD[odd](directory / place)
    with file_kind.open() as store:
        store.append(event(1))
        assert numbers(store.read()) == [1]
        assert store.metrics.snapshot() == counts(records_written=1, records_read=1)
    (warning,) = caplog.messages
    assert str(directory / place) in warning


@pytest.mark.parametrize("odd", list(ODD))
@pytest.mark.parametrize("name", ["manifest.ndjson", "removed"])
def test_an_odd_file_in_the_quarantine_is_told_and_not_waited_for(
    file_kind: FileKind, odd: str, name: str
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        file_kind.put(store, b"no record\n")
        saved = store.recover().quarantine
        assert saved is not None
        there = Path(f"{file_kind.path}.quarantine", saved, name)
        there.unlink()
        ODD[odd](there)
        for look in (store.quarantined, lambda: store.recover(undo=saved)):
            with pytest.raises(StoreIOError, match=f"{name}: it is"):
                look()


@pytest.mark.parametrize("odd", list(ODD))
def test_an_odd_file_in_place_of_the_store_is_refused_where_it_is_opened(
    file_kind: FileKind, odd: str
) -> None:
    ODD[odd](file_kind.path)
    for must_exist in (False, True):
        with pytest.raises(StoreIOError, match="name"):
            open_store(file_kind.url, must_exist=must_exist)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="pipes have no paths here")
@pytest.mark.parametrize("scheme", ["json", "rotating"])
def test_a_pipe_of_the_shell_is_named_as_it_was_given_with_what_to_do(scheme: str) -> None:
    """As of `papyra import <(zcat copy.gz) json:new`."""
    reading, writing = os.pipe()
    try:
        for look in (open_store, open_counters):
            with pytest.raises(StoreIOError, match="save its contents to a file") as reported:
                look(f"{scheme}:/dev/fd/{reading}")
            assert f"/dev/fd/{reading}: " in str(reported.value)
    finally:
        os.close(reading)
        os.close(writing)
