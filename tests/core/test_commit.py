"""The queue of write calls: batches, deadlines, interrupts."""

import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from children import run_program
from stores import Kind, counts, event, numbers, raiser

import papyra.writing.call
import papyra.writing.group_commit
from papyra import Anomaly, MemoryBackend, StoreLockedError
from papyra.format.codec import encode
from papyra.writing.call import Call, WouldBlock
from papyra.writing.group_commit import CommitQueue


class Gated(MemoryBackend):
    """A store whose appends stop until they are let through, and that notes their batches."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.arrived = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.fault: BaseException | None = None
        self.batches: list[int] = []

    def _append(self, lines: Sequence[bytes], *, deadline: float, may_wait: bool) -> list[Anomaly]:
        self.arrived.release()
        self.go.acquire()
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        self.batches.append(len(lines))
        return super()._append(lines, deadline=deadline, may_wait=may_wait)

    def waiting(self, calls: int) -> None:
        """Return once so many calls wait or are being written."""
        while len({*self._queue._pending, *self._queue._taken}) < calls:
            threading.Event().wait(0.001)


class Callers:
    """Threads that append one record each, and what became of it."""

    def __init__(self, store: Gated) -> None:
        self.store = store
        self.threads: list[threading.Thread] = []
        self.errors: dict[int, BaseException] = {}

    def start(self, number: int) -> None:
        def work() -> None:
            try:
                self.store.append(event(number))
            except BaseException as error:  # noqa: BLE001  noted, whatever it is
                self.errors[number] = error

        thread = threading.Thread(target=work)
        thread.start()
        self.threads.append(thread)
        self.store.waiting(len(self.threads) if not self.store.batches else 1)

    def join(self) -> None:
        for thread in self.threads:
            thread.join()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gated]:
    # Who is not woken would wait for as long, and the test with it.
    monkeypatch.setattr("papyra.writing.group_commit._LOOK_AGAIN", 300.0)
    store = Gated()
    yield store
    assert store.scan().clean


def test_calls_that_wait_are_written_in_one_batch_and_in_order(store: Gated) -> None:
    callers = Callers(store)
    for number in range(6):
        callers.start(number)
    for _ in range(2):
        store.go.release()
    callers.join()

    assert store.batches == [1, 5]
    assert numbers(store.read()) == list(range(6))
    assert store.metrics.snapshot() == counts(records_written=6, records_read=6)


def test_every_call_of_a_failed_batch_is_a_write_error(store: Gated) -> None:
    callers = Callers(store)
    for number in range(6):
        callers.start(number)
    store.go.release()  # the first, alone
    store.arrived.acquire()
    store.arrived.acquire()
    store.fault = OSError(5, "input/output error")
    store.go.release()
    callers.join()

    assert sorted(callers.errors) == [1, 2, 3, 4, 5]
    assert {type(error) for error in callers.errors.values()} == {OSError}
    assert numbers(store.read()) == [0]
    assert store.metrics.snapshot() == counts(records_written=1, write_errors=5, records_read=1)


def test_an_interrupt_fails_its_leader_alone_and_the_others_are_written(store: Gated) -> None:
    callers = Callers(store)
    for number in range(4):
        callers.start(number)
    store.arrived.acquire()
    store.fault = KeyboardInterrupt()
    store.go.release()  # the first fails; another leads a batch of three
    store.arrived.acquire()
    store.fault = SystemExit()
    store.go.release()  # and fails, too
    store.go.release()
    callers.join()

    (first, error), (second, another) = callers.errors.items()
    assert (first, type(error), type(another)) == (0, KeyboardInterrupt, SystemExit)
    assert store.batches == [2]
    assert numbers(store.read()) == [n for n in (1, 2, 3) if n != second]
    assert store.metrics.snapshot() == counts(records_written=2, write_errors=2, records_read=2)


def test_a_call_whose_time_runs_out_while_it_waits_is_withdrawn(store: Gated) -> None:
    callers = Callers(store)
    callers.start(1)
    store.arrived.acquire()
    store._lock_timeout = 0.01

    with pytest.raises(
        StoreLockedError, match=r"memory: held by another thread for more than 0.01"
    ):
        store.append(event(2))

    assert store.metrics.snapshot() == counts(write_errors=1)
    store.go.release()
    callers.join()
    assert numbers(store.read()) == [1]
    assert store.metrics.snapshot() == counts(records_written=1, write_errors=1, records_read=1)


def test_who_has_time_left_waits_on_when_the_lock_is_not_to_be_had(store: Gated) -> None:
    store._lock_timeout = 0.0
    callers = Callers(store)
    callers.start(1)
    store._lock_timeout = 60.0
    callers.start(2)
    store.arrived.acquire()
    store.fault = StoreLockedError("memory", 0.0)
    for _ in range(2):
        store.go.release()
    callers.join()

    assert list(callers.errors) == [1]
    assert numbers(store.read()) == [2]
    assert store.metrics.snapshot() == counts(records_written=1, write_errors=1, records_read=1)


def test_a_store_closed_meanwhile_fails_who_waits(store: Gated) -> None:
    callers = Callers(store)
    for number in range(3):
        callers.start(number)
    store.arrived.acquire()
    store._closed = True  # as close() does, which would wait for the one that is being written
    store.go.release()
    callers.join()
    store._closed = False

    assert {number: type(error).__name__ for number, error in callers.errors.items()} == {
        1: "StoreClosedError",
        2: "StoreClosedError",
    }
    assert store.metrics.snapshot() == counts(records_written=1, write_errors=2)


def test_many_calls_make_several_batches_and_a_large_one_goes_alone(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.writing.call._BATCH_CALLS", 3)
    callers = Callers(store)
    for number in range(8):
        callers.start(number)
    for _ in range(4):
        store.go.release()
    callers.join()
    assert store.batches == [1, 3, 3, 1]
    assert numbers(store.read()) == list(range(8))


def test_a_batch_that_an_interrupt_kept_from_being_settled_is_settled_by_the_next(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        store.go.release()
    with monkeypatch.context() as patch:
        patch.setattr(
            "papyra.writing.group_commit.CommitQueue._settle", lambda *_: interrupted(None)
        )
        with pytest.raises(KeyboardInterrupt):
            store.append(event(1))
    assert store.metrics.snapshot() == counts()

    store.append(event(2))

    assert numbers(store.read()) == [1, 2]
    assert store.metrics.snapshot() == counts(records_written=2, records_read=2)
    assert not store._queue._pending


def test_an_append_that_is_interrupted_while_it_settles_is_counted_before_it_raises(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = CommitQueue._settle
    interrupts = [KeyboardInterrupt()]

    def settle(queue: CommitQueue, its: MemoryBackend) -> None:
        if interrupts:
            raise interrupts.pop()
        real(queue, its)

    with kind.open() as store:
        with monkeypatch.context() as patch:
            patch.setattr(CommitQueue, "_settle", settle)
            with pytest.raises(KeyboardInterrupt):
                store.append(event(1))
        assert store.metrics.snapshot() == counts(records_written=1)
        assert numbers(store.read()) == [1]


def test_a_call_that_may_not_wait_wakes_the_one_that_came_while_it_tried(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    store._lock_timeout = 30.0  # for as long would the other sleep
    callers = Callers(store)
    real = store._append

    def append(lines: Sequence[bytes], *, deadline: float, may_wait: bool) -> list[Anomaly]:
        if may_wait:
            return real(lines, deadline=deadline, may_wait=may_wait)
        callers.start(2)  # it waits behind this call
        while not any(call.settled for call in store._queue._pending.copy()):
            threading.Event().wait(0.001)
        raise WouldBlock

    monkeypatch.setattr(store, "_append", append)
    store.go.release()
    begin = monotonic()
    with pytest.raises(WouldBlock):
        store._queue.commit(store, Call((encode(event(1)),), float("inf")), may_wait=False)
    callers.join()
    assert monotonic() - begin < 20
    assert numbers(store.read()) == [2]
    assert store.metrics.snapshot() == counts(records_written=1, records_read=1)


def test_close_counts_what_two_interrupts_left_stored_and_uncounted(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = kind.open()
    store.append(event(1))
    with monkeypatch.context() as patch:
        patch.setattr(
            "papyra.writing.group_commit.CommitQueue._settle", raiser(KeyboardInterrupt())
        )
        with pytest.raises(KeyboardInterrupt):
            store.append(event(2))
    assert store.scan().records == 2

    store.close()

    assert store.metrics.totals() == counts(records_written=2, scan_operations=1)


def test_a_lone_call_that_an_interrupt_kept_from_being_settled_is_a_write_error_in_the_end(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    store.fault = KeyboardInterrupt()
    for _ in range(2):
        store.go.release()
    with monkeypatch.context() as patch:
        patch.setattr("papyra.writing.group_commit.CommitQueue._settle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.append(event(1))

    store.append(event(2))

    assert numbers(store.read()) == [2]
    assert store.metrics.snapshot() == counts(records_written=1, write_errors=1, records_read=1)


def test_a_call_whose_batch_was_left_unsettled_is_not_written_again(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its leader was interrupted twice; the next leader is in that batch, and settles it first."""
    monkeypatch.setattr("papyra.writing.group_commit._LOOK_AGAIN", 0.01)
    callers = Callers(store)
    callers.start(0)
    store.arrived.acquire()
    for number in (1, 2):
        callers.start(number)
    real = papyra.writing.group_commit.CommitQueue._settle
    leaders: list[threading.Thread] = []

    def settle(queue: papyra.writing.group_commit.CommitQueue, of: Gated) -> None:
        # Of the first batch two calls are settled; the leader of the second is interrupted.
        if len(store.batches) == 2 and (leaders or store.batches[1] == 2):
            leaders.append(threading.current_thread())
            if leaders[0] is threading.current_thread():
                raise KeyboardInterrupt
        real(queue, of)

    monkeypatch.setattr("papyra.writing.group_commit.CommitQueue._settle", settle)
    for _ in range(4):
        store.go.release()
    callers.join()
    monkeypatch.undo()

    assert [type(error).__name__ for error in callers.errors.values()] == ["KeyboardInterrupt"]
    assert numbers(store.read()) == [0, 1, 2]
    assert store.metrics.snapshot() == counts(records_written=3, records_read=3)


def test_a_store_that_appends_without_saying_so_is_told() -> None:
    class Silent(MemoryBackend):
        def _append(
            self, lines: Sequence[bytes], *, deadline: float, may_wait: bool
        ) -> list[Anomaly]:
            return []

    with Silent() as store:
        with pytest.raises(NotImplementedError, match=r"Silent\._append stored nothing"):
            store.append(event(1))
        assert store.metrics.snapshot() == counts(write_errors=1)


def test_an_error_that_many_calls_share_does_not_grow(store: Gated) -> None:
    callers = Callers(store)
    callers.start(0)
    store.arrived.acquire()
    for number in range(1, 6):
        callers.start(number)
    store.go.release()
    store.arrived.acquire()
    store.fault = OSError(28, "no space")
    store.go.release()
    callers.join()

    (error,) = set(callers.errors.values())
    assert len(callers.errors) == 5
    assert len(traceback.extract_tb(error.__traceback__)) < 10


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("url", ["memory:", "json:{}", "json:{}?sync=none"])
def test_a_storm_of_interrupts_leaves_the_number_stored_in_records_written(
    tmp_path: Path, url: str
) -> None:
    import json

    done = run_program("append_storm", url.format(tmp_path / "store.ndjson"), 300_000)
    result = json.loads(done.stdout)
    totals = result["totals"]

    assert result["interrupts"] > 100
    assert result["found"] == 0
    assert totals["records_written"] == result["stored"]
    assert result["returned"] <= result["stored"]
    assert totals["records_written"] + totals["write_errors"] <= result["calls"]
    assert totals == counts(records_written=result["stored"], write_errors=totals["write_errors"])


def test_a_call_is_withdrawn_or_taken_and_never_both(
    store: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call withdraws in the very moment in which a leader takes it."""
    callers = Callers(store)
    callers.start(0)
    callers.start(1)
    callers.start(2)
    store.arrived.acquire()
    taking, go_on = threading.Semaphore(0), threading.Semaphore(0)
    real = papyra.writing.call.first_of

    def paused(*arguments: Any) -> Any:
        taking.release()
        go_on.acquire()
        return real(*arguments)

    monkeypatch.setattr("papyra.writing.waiting_calls.first_of", paused)
    call = store._queue._pending[1]
    store.go.release()
    taking.acquire()
    error = OSError("it gave up")
    withdrawal = threading.Thread(target=lambda: store._queue._give_up(store, call, error))
    withdrawal.start()
    withdrawal.join(0.05)  # it waits for the leader; without the lock it is done by now
    go_on.release()
    withdrawal.join()
    store.go.release()
    callers.join()

    assert call.error is None
    assert numbers(store.read()) == [0, 1, 2]
    assert store.metrics.snapshot() == counts(records_written=3, records_read=3)


def test_a_record_that_waits_without_a_caller_does_not_keep_the_next_leader_asleep() -> None:
    queue = MemoryBackend()._queue
    left, waiting = Call((b"{",), float("inf")), Call((b"{",), float("inf"))
    waiting.settled = threading.Lock()
    waiting.settled.acquire()
    queue._pending.extend((left, waiting))
    queue._wake_next()
    assert not waiting.settled.locked()


@pytest.mark.parametrize("is_lined_up", [False, True])
def test_a_call_that_another_thread_was_faster_than_gives_up_at_its_deadline(
    *, is_lined_up: bool
) -> None:
    held, done = threading.Event(), threading.Event()
    store = MemoryBackend(lock_timeout=0.05)

    def hold() -> None:
        # As one that got the lock behind the other's look at the leader, before it says that it leads.
        with store._queue._lock:
            held.set()
            done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        if is_lined_up:
            store.append_soon(event(1))
        with pytest.raises(StoreLockedError, match="another thread"):
            store.append(event(2))
        with pytest.raises(StoreLockedError, match="another thread"):
            store.append_many([event(3), event(4)])
    finally:
        done.set()
        holder.join()

    store.append(event(5))
    assert numbers(store.read()) == ([1, 5] if is_lined_up else [5])
    written = 2 if is_lined_up else 1
    assert store.metrics.snapshot() == counts(
        records_written=written, write_errors=2, records_read=written
    )
