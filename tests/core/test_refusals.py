"""What the operating system refuses, and clocks that are wrong: errors of papyra's own, with advice."""

import errno
import os
import sys
import time
from collections.abc import Callable

import pytest
from stores import FileKind, counts, event, numbers

from papyra import Record, StoreIOError, open_counters
from papyra.backends.files.store import FileBackend
from papyra.system.locks import LOCK_NONE, flock

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no flock there")

NO_LOCKS = {
    errno.ENOLCK: "has no locks",
    errno.ENOSYS: "flock",
    errno.EOPNOTSUPP: "flock",
    errno.EBUSY: "mount its directory",
}
LOCKING: dict[str, Callable[[FileBackend], object]] = {
    "append": lambda store: store.append(event(2)),
    "read": lambda store: store.read(),
    "records": lambda store: list(store.records()),
    "scan": lambda store: store.scan(),
    "recover": lambda store: store.recover(),
    "compact": lambda store: store.compact(),
    "counters": lambda store: open_counters(f"json:{store.source}").read(),
    "their reset": lambda store: open_counters(f"json:{store.source}").reset(),
    "reset": lambda store: store.metrics.reset(),
}


def refuse_flock(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have every flock fail, as on a file system that has none."""

    def refuse(_: int, __: int) -> None:
        raise OSError(number, os.strerror(number))

    for name, module in list(sys.modules.items()):
        if name.startswith("papyra") and vars(module).get("flock") is flock:
            monkeypatch.setattr(module, "flock", refuse)


@pytest.mark.parametrize("number", NO_LOCKS, ids=errno.errorcode.get)
@pytest.mark.parametrize("operation", list(LOCKING))
def test_a_lock_that_the_file_system_refuses_is_an_error_with_advice(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, number: int, operation: str
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        with monkeypatch.context() as patch:
            refuse_flock(patch, number)
            with pytest.raises(StoreIOError, match=NO_LOCKS[number]) as refused:
                LOCKING[operation](store)
        assert (refused.value.errno, "store.ndjson" in str(refused.value)) == (number, True)
        store.append(event(3))
        assert numbers(store.read()) == [1, 3]


def test_a_lock_that_cannot_be_let_go_of_keeps_nobody_out(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_unlocking(descriptor: int, operation: int) -> None:
        if operation == LOCK_NONE:
            raise OSError(errno.EIO, "input/output error")
        flock(descriptor, operation)

    with file_kind.open() as store, file_kind.open(lock_timeout=0.0) as other:
        with monkeypatch.context() as patch:
            patch.setattr("papyra.backends.files.store.flock", refuse_unlocking)
            store.append(event(1))
        other.append(event(2))
        store.append(event(3))
        assert numbers(store.read()) == [1, 2, 3]
        assert store.metrics.snapshot() == counts(records_written=2, records_read=3)


@pytest.fixture
def clock_of_1969(monkeypatch: pytest.MonkeyPatch) -> float:
    """A clock that was never set, a day before 1970."""
    now = -86_400.25
    real = time.gmtime
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "gmtime", lambda seconds=now: real(seconds))
    return now


def test_a_clock_before_1970_is_as_good_as_any(file_kind: FileKind, clock_of_1969: float) -> None:
    with file_kind.open() as store:
        store.append(Record("event"))
        file_kind.put(store, b"no record\n")
        saved = store.recover().quarantine
        assert saved is not None
        assert saved.startswith("19691230T235959-")
        assert [entry.saved for entry in store.quarantined()] == [-86_401.0]
        assert store.recover(undo=saved).restored == 10
        assert store.compact().found == 1
        assert store.metrics.since == clock_of_1969
        assert store.metrics.reset()["records_written"] == 1
        assert store.metrics.since == clock_of_1969
        counter_totals = open_counters(file_kind.url).read()
        assert (counter_totals.since, counter_totals.snapshot()) == (clock_of_1969, counts())
    assert open_counters(file_kind.url).read().since == clock_of_1969


def test_the_shell_shows_a_time_before_1970(file_kind: FileKind, clock_of_1969: float) -> None:
    from papyra.cli import render

    with file_kind.open() as store:
        store.append(event(1))
        source = open_counters(file_kind.url)
        assert "since   1969-12-30T" in render.counters(source.source, source.read())
