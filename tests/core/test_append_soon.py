"""Records that are taken at once and stored later: `append_soon`."""

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from reentry import Nested
from stores import (
    FileKind,
    Kind,
    counts,
    event,
    led_by_another_thread,
    locked_by_another_thread,
    numbers,
    raiser,
)

from papyra import Anomaly, MemoryBackend, PersistenceBackend, StoreLockedError
from papyra.aio.backend import AsyncBackend
from papyra.writing.group_commit import CommitQueue


class Interrupted(BaseException):
    """What a signal's handler raises."""


def test_the_next_append_stores_what_was_taken_and_before_its_own(
    backend: PersistenceBackend,
) -> None:
    for n in range(3):
        assert backend.append_soon(event(n)) is None
    assert backend.metrics.snapshot() == counts()
    assert backend.append(event(3)).endswith("-4")
    assert backend.metrics.snapshot() == counts(records_written=4)
    assert numbers(backend.read()) == [0, 1, 2, 3]


def test_close_stores_what_was_taken_where_no_append_came(kind: Kind) -> None:
    store = kind.open()
    store.append_soon(event(1))
    store.append_soon(event(2))
    store.close()

    assert store.metrics.totals() == counts(records_written=2)
    if kind.outlives_object:
        with kind.open() as again:
            assert numbers(again.read()) == [1, 2]


def test_after_close_it_is_one_write_error(kind: Kind) -> None:
    store = kind.open()
    store.close()
    store.append_soon(event(1))
    store.close()
    assert store.metrics.totals() == counts(write_errors=1)


def test_what_comes_after_close_has_written_and_before_the_store_is_closed_is_a_write_error(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = kind.open()
    real = CommitQueue.alone

    def alone(queue: CommitQueue, its: PersistenceBackend, do: Callable[[], object]) -> object:
        if do == store._release:
            store.append_soon(event(2))
        return real(queue, its, do)

    store.append_soon(event(1))
    with monkeypatch.context() as patch:
        patch.setattr(CommitQueue, "alone", alone)
        store.close()
    assert store.metrics.totals() == counts(records_written=1, write_errors=1)
    assert not store._queue.soon


def test_a_record_that_cannot_be_stored_fails_no_other(
    backend: PersistenceBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.append_soon(event(1))
    backend.append_soon(event(2, bad=float("nan")))
    backend.append_soon(event(3))
    assert not caplog.records
    backend.append(event(4))

    assert numbers(backend.read()) == [1, 3, 4]
    assert backend.metrics.snapshot() == counts(records_written=3, write_errors=1, records_read=3)
    (reported,) = caplog.messages
    assert "a record given to append_soon() could not be stored: data['bad']" in reported


def test_each_record_that_cannot_be_written_is_a_write_error_and_logged_once(
    backend: PersistenceBackend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend.append_soon(event(1))
    backend.append_soon(event(2))
    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "_append", raiser(OSError(28, "no space left")))
        with pytest.raises(OSError, match="no space"):
            backend.append(event(3))
    assert backend.metrics.snapshot() == counts(write_errors=3)
    (reported,) = caplog.messages
    assert "2 records given to append_soon() could not be stored: [Errno 28]" in reported
    backend.append(event(4))
    assert numbers(backend.read()) == [4]


def test_what_is_taken_waits_for_a_store_that_is_locked_and_its_caller_does_not(
    backend: PersistenceBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend._lock_timeout = 0.0
    for n in range(2):
        backend.append_soon(event(n))
    deadlines = []

    def locked(
        _: object, lines: Sequence[bytes], *, deadline: float, may_wait: bool
    ) -> list[Anomaly]:
        deadlines.append(deadline)
        raise StoreLockedError("it", 0.0)

    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "_append", locked)
        patch.setattr(
            "papyra.writing.call._BATCH_CALLS", 2
        )  # the caller's own is in the next batch
        with pytest.raises(StoreLockedError):
            backend.append(event(2))
        patch.setattr("papyra.writing.call._BATCH_CALLS", 3)
        with pytest.raises(StoreLockedError):
            backend.append(event(3))
    assert max(deadlines) < float("inf")
    assert backend.metrics.snapshot() == counts(write_errors=2)

    backend.append(event(4))
    assert numbers(backend.read()) == [0, 1, 4]
    assert backend.metrics.snapshot() == counts(records_written=3, write_errors=2, records_read=3)


def test_close_gives_up_on_a_store_that_is_locked_and_counts_what_it_lost(
    file_kind: FileKind, caplog: pytest.LogCaptureFixture
) -> None:
    store = file_kind.open(lock_timeout=0.0)
    store.append(event(0))
    for n in range(1, 4):
        store.append_soon(event(n))
    with locked_by_another_thread(f"{file_kind.path}.lock"):
        store.close()

    assert store.metrics.totals() == counts(records_written=1, write_errors=3)
    assert any("3 records given to append_soon()" in reported for reported in caplog.messages)


def test_an_interrupted_batch_keeps_what_was_taken(
    backend: PersistenceBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        backend.append_soon(event(n))
    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "_append", raiser(Interrupted()))
        with pytest.raises(Interrupted):
            backend.append(event(3))
    assert backend.metrics.snapshot() == counts(write_errors=1)
    backend.append(event(4))
    assert numbers(backend.read()) == [0, 1, 2, 4]
    assert backend.metrics.snapshot() == counts(records_written=4, write_errors=1, records_read=4)


def test_an_interrupted_close_keeps_what_was_taken(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = kind.open()
    for n in range(3):
        store.append_soon(event(n))
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "_append", raiser(Interrupted()))
        with pytest.raises(Interrupted):
            store.close()
    store.close()
    assert store.metrics.totals() == counts(records_written=3)


def test_it_is_taken_from_within_any_call_and_stored_once(backend: PersistenceBackend) -> None:
    taken = 0

    def append_soon() -> None:
        nonlocal taken
        taken += 1
        backend.append_soon(event(0))

    def work() -> None:
        backend.append(event(1))
        backend.append_many([event(2)] * 2)
        backend.read(limit=1)
        backend.metrics.snapshot()

    nested = Nested(append_soon)
    runs = nested.at_each_line_of(work, thinner=30)
    backend.append(event(3))

    assert not nested.refusals
    assert backend.scan().records == 3 * runs + taken + 1
    totals = backend.metrics.totals()
    assert (totals["records_written"], totals["write_errors"]) == (3 * runs + taken + 1, 0)


@pytest.mark.faults
def test_it_is_taken_at_any_line_of_close_and_stored_or_a_write_error(kind: Kind) -> None:
    at = stored = refused = 0
    is_over = False
    while not is_over:
        at += 1
        store = kind.open()
        before = store.scan().records
        store.append(event(1))
        nested = Nested(partial(store.append_soon, event(2)))
        is_over = not nested.runs_at(at, store.close)
        totals = store.metrics.totals()
        assert totals["records_written"] + totals["write_errors"] == 1 + nested.done
        stored += totals["records_written"] - 1
        refused += totals["write_errors"]
        if kind.outlives_object:
            with kind.open() as again:
                assert again.scan().records == before + totals["records_written"]
    assert stored > 2
    assert refused > 2


def test_it_waits_for_no_other_thread(backend: PersistenceBackend) -> None:
    with led_by_another_thread(backend):
        backend.append_soon(event(1))
    backend.append(event(2))
    assert numbers(backend.read()) == [1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_drops_what_its_parent_took(backend: PersistenceBackend) -> None:
    backend.append(event(0))
    backend.append_soon(event(1))
    child = os.fork()
    if child == 0:
        code = 9
        try:
            backend.append_soon(event(2))
            soon = len(backend._queue.soon)
            failed = backend.metrics.totals()["write_errors"]
            code = 0 if (soon, failed) == ((0, 1) if backend._forked else (1, 0)) else 8
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    backend.append(event(3))
    assert numbers(backend.read()) == [0, 1, 3]


def test_a_loop_takes_it_too_and_aclose_stores_it(kind: Kind) -> None:
    async def main() -> dict[str, Any]:
        async with AsyncBackend(kind.open()) as store:
            store.append_soon(event(1))
            await store.append(event(2))
            store.append_soon(event(3))
            assert numbers(await store.read()) == [1, 2]
        return store.metrics.totals()

    assert asyncio.run(main()) == counts(records_written=3, records_read=2)


def test_a_store_of_ones_own_cannot_replace_it() -> None:
    with pytest.raises(TypeError, match=r"append_soon: the operations are final"):
        type("Own", (MemoryBackend,), {"append_soon": lambda *_: None})
