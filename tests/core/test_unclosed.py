"""Stores that nobody closed: dropped while the program goes on, or left as it ends."""

import errno
import gc
import os
import sys
import weakref
from typing import Any

import pytest
from children import run_program
from stores import FileKind, event, numbers

from papyra.backends.files import active_file, background_sync

pytestmark = pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")


class SyncedFiles(list[int]):
    """The inodes that were synced, while their descriptor was open."""

    def sync(self, descriptor: int) -> None:
        self.append(os.fstat(descriptor).st_ino)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> SyncedFiles:
    """What is synced as a store is dropped; the thread that comes a second later does not come."""
    gc.collect()  # otherwise stores of earlier tests may end in between, and close their descriptors
    monkeypatch.setattr(background_sync, "INTERVAL", 3600.0)
    monkeypatch.setattr("papyra.backends.files.store.sync_soon", background_sync._Syncer().add)
    files = SyncedFiles()
    monkeypatch.setattr(active_file, "sync_data", files.sync)
    return files


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_one_that_is_dropped_is_freed_and_synced_at_once(
    file_kind: FileKind, synced: SyncedFiles
) -> None:
    before = open_descriptors()
    gc.disable()
    try:
        store = file_kind.open()
        store.append(event(1))
        gone = weakref.ref(store)
        assert synced == []
        del store
        assert gone() is None
        assert synced == [file_kind.path.stat().st_ino]
        assert open_descriptors() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("sync", ["none", "always"])
def test_one_that_is_dropped_is_not_synced_where_nothing_waits_for_it(
    file_kind: FileKind, synced: SyncedFiles, sync: Any
) -> None:
    store = file_kind.open(sync=sync)
    store.append(event(1))
    del synced[:], store
    assert synced == []


def test_one_that_only_looked_syncs_nothing(file_kind: FileKind, synced: SyncedFiles) -> None:
    with file_kind.open() as store:
        store.append(event(1))
    store = file_kind.open()
    assert numbers(store.read()) == [1]
    del store
    assert synced == []


def test_a_child_syncs_nothing_of_its_parents(file_kind: FileKind, synced: SyncedFiles) -> None:
    store = file_kind.open()
    store.append(event(1))
    child = os.fork()
    if not child:
        try:
            del store
            os._exit(len(synced))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.append(event(2))
    assert numbers(store.read()) == [1, 2]
    store.close()


def test_a_last_sync_that_fails_is_told_and_keeps_no_descriptor(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, synced: SyncedFiles
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    before = open_descriptors()
    store = file_kind.open()
    store.append(event(1))
    monkeypatch.setattr(active_file, "sync_data", fail)
    with pytest.warns(RuntimeWarning) as warnings:
        del store
    (message,) = [str(w.message) for w in warnings if w.category is RuntimeWarning]
    assert message == (
        f"{file_kind.path}: the last records could not be brought to the disk:"
        " [Errno 5] input/output error"
    )
    assert open_descriptors() == before
    assert synced == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_as_one_is_dropped_keeps_it_from_nothing(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, synced: SyncedFiles
) -> None:
    interrupts = [KeyboardInterrupt()]

    def sync(descriptor: int) -> None:
        if interrupts:
            raise interrupts.pop()
        synced.sync(descriptor)

    before = open_descriptors()
    store = file_kind.open()
    store.append(event(1))
    monkeypatch.setattr(active_file, "sync_data", sync)
    del store
    assert synced == [file_kind.path.stat().st_ino]
    assert open_descriptors() == before


@pytest.mark.faults
@pytest.mark.parametrize("place", ["store", "store{}"])
def test_five_hundred_that_are_dropped_need_no_more_descriptors_than_one(
    file_kind: FileKind, place: str
) -> None:
    url = file_kind.url.replace("store.ndjson", f"{place}.ndjson")
    done = run_program("many_dropped_stores", url, options=("-W", "ignore"), check=False)
    assert (done.returncode, done.stderr) == (0, "")


def synced_by(file_kind: FileKind, way: str) -> list[int]:
    """Return up to which byte the file was synced, each time, by a program that ends that way."""
    done = run_program("unclosed_store", file_kind.url, way, options=("-W", "ignore"), check=False)
    assert (done.returncode, done.stderr) == (0, "")
    synced = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert {inode for inode, _ in synced} <= {file_kind.path.stat().st_ino}
    return [size for _, size in synced]


@pytest.mark.parametrize(
    "way",
    [
        "plainly", "exit", "an exception", "closed", "a handler that was there first",
        "a handler that comes later", "a first append at the end", "a child", "a thread",
    ],
)  # fmt: skip
def test_a_program_that_ends_has_all_it_wrote_synced(file_kind: FileKind, way: str) -> None:
    assert synced_by(file_kind, way)[-1] == file_kind.path.stat().st_size


def test_a_program_that_leaves_at_once_syncs_nothing(file_kind: FileKind) -> None:
    assert synced_by(file_kind, "os._exit") == []
    with file_kind.open() as store:
        assert numbers(store.read()) == [1]


def test_a_child_of_multiprocessing_is_synced_where_it_has_an_end(file_kind: FileKind) -> None:
    synced = synced_by(file_kind, "multiprocessing")
    # From Python 3.13 on such a child runs what atexit was given; before, it leaves at once.
    whole = file_kind.path.stat().st_size
    assert (synced[-1] == whole, len(synced)) == (True, 2 if sys.version_info >= (3, 13) else 1)


def test_a_store_that_was_never_made_is_freed_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    # As an interrupt leaves it at the first instruction of `__init__`.
    never_made = active_file.ActiveFile.__new__(active_file.ActiveFile)
    del never_made
    gc.collect()
    assert not reported
