"""Two threads that each hold what the other wants: whoever counts, appends or exports waits for none."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from zlib import crc32

import pytest
from reentry import Nested
from stores import FileKind, Kind, counts, event, in_another_thread, led_by_another_thread

from papyra import (
    CorruptRecordError,
    PersistenceBackend,
    PersistenceMetrics,
    StoreClosedError,
    StoreLockedError,
    WriteOutcomeUnknownError,
    open_store,
)
from papyra.format.codec import encode, seal
from papyra.writing.call import Call
from papyra.writing.group_commit import CommitQueue

pytestmark = pytest.mark.usefixtures("nothing_hangs")


def looked_at_by_another_thread(metrics: PersistenceMetrics) -> AbstractContextManager[None]:
    """Have another thread in the middle of a look at the counters."""
    return in_another_thread(metrics._alone)


def about_to_lead(store: PersistenceBackend) -> AbstractContextManager[None]:
    """Have another thread that has got the queue's lock, and has not noted itself as leader yet."""

    def hold(until_the_end: Callable[[], None]) -> None:
        with store._queue._lock:
            until_the_end()

    return in_another_thread(hold)


def test_counting_waits_for_nobody_and_nothing_is_left_out_of_what_others_see(
    file_kind: FileKind,
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        metrics = store.metrics
        with looked_at_by_another_thread(metrics):
            metrics.increment("scan_operations", 3)
            metrics.increment("read_errors")
            assert metrics.totals() == counts(records_written=1, scan_operations=3, read_errors=1)
        # The thread that looked has put them where other processes read them.
        assert list(metrics._cells) == [1, 0, 0, 1, 3, 0, 0, 0, 0, 0]
        assert metrics.snapshot() == metrics.totals()


def test_an_append_from_within_a_look_at_the_counters_does_not_wait_for_whoever_is_about_to_lead(
    backend: PersistenceBackend,
) -> None:
    """The other thread has the lock and has not noted itself yet; leading, it wants the counters."""
    backend.append(event(0))
    nested = Nested(lambda: backend.append(event(1)))
    with about_to_lead(backend):
        backend.metrics._alone(nested)
        with backend.metrics._lock:  # as between getting it and noting who holds it
            nested()
        backend._queue._guarded(nested)
    assert len(nested.refusals) == 3
    assert backend.metrics.snapshot() == counts(records_written=1, write_errors=3)


def test_a_call_that_meets_the_end_of_the_store_gets_its_error_and_no_id(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its leader settles the call, another thread turns away a record that came too late."""
    store = kind.open()
    before = store.scan().records
    store.close()
    settle = CommitQueue._settle

    def late() -> None:
        call = Call((encode(event(2)),), float("inf"))
        call.is_soon = True
        store._queue.append_soon(store, call)

    def settled_later(queue: CommitQueue, its: PersistenceBackend) -> None:
        thread = threading.Thread(target=late)
        thread.start()
        thread.join()
        settle(queue, its)

    monkeypatch.setattr(CommitQueue, "_settle", settled_later)
    monkeypatch.setattr(store, "_prepared", True)
    with pytest.raises(StoreClosedError):
        store.append(event(1))
    assert store.metrics.snapshot() == counts(write_errors=2, scan_operations=1)
    if kind.outlives_object:
        with kind.open() as again:
            assert again.scan().records == before


@pytest.mark.parametrize("name", ["close", "compact", "append", "resend"])
def test_a_call_waits_for_a_leader_that_never_ends_no_longer_than_it_may(
    kind: Kind, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a daemon thread that the end of the program stopped while it led."""
    monkeypatch.setattr("papyra.writing.group_commit._LEAST_PATIENCE", 0.01)
    error = WriteOutcomeUnknownError("", "cut", "a" * 16, 1, (), 0.0)
    calls: dict[str, Callable[[PersistenceBackend], object]] = {
        "close": lambda store: store.close(),
        "compact": lambda store: store.compact(),
        "append": lambda store: store.append(event(2)),
        "resend": lambda store: store.resend(error),
    }
    store = kind.open(lock_timeout=0.05)
    if name != "compact":  # the first one publishes the counters
        store.append(event(1))
    if name == "compact" and kind.name == "own":
        pytest.skip("it needs no leader for a compaction")
    with (
        led_by_another_thread(store),
        pytest.raises(StoreLockedError, match=r"held by another thread for more than 0\.05 s"),
    ):
        calls[name](store)
    assert not store.closed
    store.close()
    assert store.closed


class _Appender(logging.Handler):
    """Gives a record to a store for each message that it is handed."""

    def __init__(self, store: PersistenceBackend) -> None:
        super().__init__()
        self._store = store

    def emit(self, message: logging.LogRecord) -> None:
        self._store.append_soon(event(9))


def test_records_that_come_after_the_end_without_end_keep_nobody_and_take_no_memory() -> None:
    store = open_store("memory:")
    store.close()
    handler = _Appender(store)
    logging.getLogger("papyra").addHandler(handler)
    try:
        for number in range(1000):
            store.append_soon(event(number))
        assert len(store._pending_warnings) == 100
        assert store._pending_warnings[-1].endswith("; more of them are in write_errors alone")
        store.close()
    finally:
        logging.getLogger("papyra").removeHandler(handler)
    assert store.metrics.snapshot() == counts(write_errors=1100)


def test_a_reset_of_counters_that_were_published_late_waits_for_others_as_long_as_any(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = f"{file_kind.path}.metrics"
    with open(directory, "w", encoding="utf-8"):
        pass  # a file in its place
    with file_kind.open() as store:
        store.append(event(1))
        os.unlink(directory)
        store._publication.again_at = store._active._look_at = 0.0
        store.append(event(2))
        store.append(event(3))
        other = open_store(file_kind.url)
        other.append(event(4))
        lock = other.metrics._storage.resetting()
        lock.__enter__()
        waits: list[float] = []

        def done(seconds: float) -> None:
            if not waits:
                lock.__exit__(None, None, None)
            waits.append(seconds)

        monkeypatch.setattr("papyra.system.locks.time.sleep", done)
        # Of another thread, as it would be of another process: its own it does not wait for.
        intervals: list[dict[str, int]] = []
        thread = threading.Thread(target=lambda: intervals.append(store.metrics.reset()))
        thread.start()
        thread.join()
        assert intervals == [counts(records_written=3)]
        assert waits
        other.close()


def test_strict_reads_and_streams_name_the_same_damage_where_a_record_is_repeated(
    kind: Kind,
) -> None:
    first, second = (seal(encode(event(n)), "a" * 16, n) for n in (1, 2))
    with kind.open() as store:
        store._commit([first, b"{torn\n", second, first], is_sealed=True)
        with pytest.raises(CorruptRecordError) as read:
            store.read(strict=True)
        with pytest.raises(CorruptRecordError) as streamed:
            list(store.records(strict=True))
        assert (read.value.offset, str(read.value)) == (streamed.value.offset, str(streamed.value))


@pytest.mark.parametrize("digits", ["\N{ARABIC-INDIC DIGIT THREE}", "03"])
def test_an_id_that_only_looks_like_a_number_of_papyras_is_another_one(
    kind: Kind, digits: str
) -> None:
    odd = seal(encode(event(4)), "a" * 16, 3).decode()
    body = odd[: odd.index(',"_id"')]
    line = seal_by_hand(f'{body},"_id":"{"a" * 16}-{digits}"')
    with kind.open() as store:
        store._commit([seal(encode(event(3)), "a" * 16, 3), line], is_sealed=True)
        assert [record.data["n"] for record in store.read()] == [3, 4]
        assert [record.data["n"] for record in store.records()] == [3, 4]
        assert store.scan().records == 2
        assert store.scan().clean


def seal_by_hand(text: str) -> bytes:
    body = text.encode()
    return b'%b,"_crc":"%08x"}\n' % (body, crc32(body))


def test_totals_are_read_under_the_lock_where_a_thread_was_stopped_on_its_way() -> None:
    metrics = PersistenceMetrics()
    metrics.increment("scan_operations", 2)
    metrics._moves += 1  # as between a count's coming into the cells and its leaving the others
    assert metrics.totals() == counts(scan_operations=2)
    metrics.increment("scan_operations")
    assert metrics.totals() == counts(scan_operations=3)
    assert metrics._moves % 2 == 0
