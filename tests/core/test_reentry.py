"""
Calls from within a store's own calls, in the same thread: finalizers, weak references, signal handlers.

Since Python 3.12 the garbage collector runs wherever a signal's handler can: between most byte codes. What
it would do there by chance is done here on purpose, at every line of papyra's, one run each.
"""

import asyncio
import gc
from collections.abc import Callable
from functools import partial

import pytest
from reentry import Nested, interrupted
from stores import FileKind, Kind, counts, event, led_by_another_thread, numbers

from papyra import (
    MemoryBackend,
    PersistenceBackend,
    PersistenceMetrics,
    StoreBusyError,
    StoreClosedError,
)
from papyra.aio.backend import AsyncBackend
from papyra.backends.files import store as store_module
from papyra.metrics.storage import LocalCounterStorage

pytestmark = pytest.mark.usefixtures("nothing_hangs")


def test_an_append_from_within_an_append_is_stored_or_refused_at_once(
    backend: PersistenceBackend,
) -> None:
    nested = Nested(lambda: backend.append(event(0)))
    backend.append(event(0))
    stored = 1 + nested.at_each_line_of(lambda: backend.append(event(1))) + nested.done

    refused = len(nested.refusals)
    assert refused > 10
    assert nested.done > 2
    assert "this very thread is in the middle of a call" in str(nested.refusals[0])
    assert len(backend.read()) == stored
    assert backend.metrics.snapshot() == counts(
        records_written=stored, write_errors=refused, records_read=stored
    )


@pytest.mark.faults
def test_the_first_append_can_be_interrupted_by_another(kind: Kind) -> None:
    """It publishes the counters; what is counted meanwhile is not lost on the way."""
    at = refused = 0
    is_over = False
    while not is_over:
        at += 1
        with kind.open() as store:
            before = len(store.read())
            store.metrics.reset()
            nested = Nested(partial(store.append, event(0)))
            is_over = not interrupted(partial(store.append, event(1)), at, nested)
            refused += len(nested.refusals)
            stored = 1 + nested.done
            assert len(store.read()) == before * kind.outlives_object + stored
            assert store.metrics.snapshot() == counts(
                records_written=stored,
                write_errors=len(nested.refusals),
                records_read=before * kind.outlives_object + stored,
            )
            assert store.scan().clean
    assert refused > 10


#: Operations, and what each counts where it is done and where it is refused.
OPERATIONS: dict[
    str, tuple[Callable[[PersistenceBackend], object], dict[str, int], dict[str, int]]
] = {
    "read": (lambda store: store.read(limit=1), {"records_read": 1}, {"read_errors": 1}),
    "records": (
        lambda store: list(store.records(limit=1)),
        {"records_read": 1},
        {"read_errors": 1},
    ),
    "scan": (lambda store: store.scan(), {"scan_operations": 1}, {"scan_operations": 1}),
    "recover": (
        lambda store: store.recover(),
        {"recovery_attempts": 1, "scan_operations": 1},
        {"recovery_attempts": 1, "recovery_failures": 1},
    ),
    "compact": (
        lambda store: store.compact(),
        {"compactions_triggered": 1},
        {"compactions_triggered": 1, "compaction_errors": 1},
    ),
    "append_many": (
        lambda store: store.append_many([event(7)] * 3),
        {"records_written": 3},
        {"write_errors": 1},
    ),
    "snapshot": (lambda store: store.metrics.snapshot(), {}, {}),
    "totals": (lambda store: store.metrics.totals(), {}, {}),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_interrupts_an_append_is_done_or_refused_and_counted(
    backend: PersistenceBackend, name: str
) -> None:
    operation, done, refused = OPERATIONS[name]
    backend.append(event(0))
    nested = Nested(lambda: operation(backend))
    appended = 2 + nested.at_each_line_of(lambda: backend.append(event(1)))
    backend.append(event(2))

    expected = counts(records_written=appended)
    for counter, n in done.items():
        expected[counter] += n * nested.done
    for counter, n in refused.items():
        # A recovery may have got to its scan before it was refused.
        expected[counter] += n * len(nested.refusals)
    found = backend.metrics.snapshot()
    if name == "recover":
        assert found["scan_operations"] <= nested.done + len(nested.refusals)
        expected["scan_operations"] = found["scan_operations"]
    assert found == {
        counter: n if counter in backend.metrics.supported else 0 for counter, n in expected.items()
    }
    assert backend.scan().records == found["records_written"]


@pytest.mark.faults
def test_a_store_that_is_closed_from_within_an_append_stays_whole(kind: Kind) -> None:
    at = closed = 0
    is_over = False
    while not is_over:
        at += 1
        store = kind.open()
        before = store.scan().records
        nested = Nested(store.close)
        try:
            is_over = not interrupted(partial(store.append, event(1)), at, nested)
            stored = 1
        except StoreClosedError:
            stored = 0
        assert store.closed == bool(nested.done)
        assert store.metrics.totals() == counts(
            records_written=stored, write_errors=1 - stored, scan_operations=1
        )
        store.close()
        closed += nested.done
        if kind.outlives_object:
            with kind.open() as again:
                assert again.scan().records == before + stored
    assert closed > 2
    assert at - closed > 10


def test_what_interrupts_a_look_at_the_counters_is_counted_exactly_once() -> None:
    def looking(metrics: PersistenceMetrics) -> dict[str, Callable[[], object]]:
        return {
            "snapshot": metrics.snapshot,
            "totals": metrics.totals,
            "since": lambda: metrics.since,
            "increment": lambda: metrics.increment("records_read"),
            "fail": lambda: metrics._settle_failed([]),
            "move": lambda: metrics._count_in(LocalCounterStorage()),
            "reset": lambda: ended.append(metrics.reset()["scan_operations"]),
        }

    for name in looking(PersistenceMetrics()):
        metrics = PersistenceMetrics()
        ended: list[int] = []

        def count(metrics: PersistenceMetrics = metrics) -> None:
            before = metrics.totals()["scan_operations"]
            metrics.increment("scan_operations")
            assert metrics.snapshot()["scan_operations"] <= before + 1
            assert metrics.totals()["scan_operations"] == before + 1

        nested = Nested(count)
        nested.at_each_line_of(looking(metrics)[name])
        assert nested.done > 2
        assert sum(ended) + metrics.snapshot()["scan_operations"] == nested.done, name
        assert metrics.totals()["scan_operations"] == nested.done


def test_a_reset_from_within_a_look_at_the_counters_is_done_or_refused() -> None:
    metrics = PersistenceMetrics()
    ended: list[dict[str, int]] = []
    nested = Nested(lambda: ended.append(metrics.reset()))

    def look() -> None:
        metrics.increment("read_errors")
        assert metrics.snapshot()["read_errors"] in {0, 1}
        ended.append(metrics.reset())

    looks = nested.at_each_line_of(look)

    assert nested.done > 2
    assert len(nested.refusals) > 2
    assert all(min(interval.values()) >= 0 for interval in ended)
    assert sum(interval["read_errors"] for interval in ended) == looks
    assert metrics.totals() == counts(read_errors=looks)


def test_a_thread_at_a_leaf_lock_does_not_wait_for_a_leader_who_may_want_it(
    backend: PersistenceBackend,
) -> None:
    """It would: for as long as *lock_timeout*, or for ever."""
    backend.append(event(0))
    nested = Nested(lambda: backend.append(event(1)))
    with led_by_another_thread(backend):
        backend.metrics._alone(nested)
        backend._queue._guarded(nested)
    assert len(nested.refusals) == 2
    assert backend.metrics.snapshot() == counts(records_written=1, write_errors=2)


def test_who_holds_the_lock_of_the_files_does_not_wait_for_it_through_another_object(
    file_kind: FileKind,
) -> None:
    with file_kind.open() as outer, file_kind.open() as other:
        outer.append(event(0))
        other.append(event(0))
        nested = Nested(lambda: other.append(event(1)))
        stored = 2 + nested.at_each_line_of(lambda: outer.append(event(1))) + nested.done

        assert nested.refusals
        assert nested.done > 2
        assert outer.scan().records == stored
        assert other.metrics.snapshot() == counts(
            records_written=1 + nested.done, write_errors=len(nested.refusals)
        )


@pytest.mark.parametrize("operation", ["read", "scan", "recover", "compact"])
def test_an_append_from_within_another_operation_is_stored_or_refused_at_once(
    backend: PersistenceBackend, operation: str
) -> None:
    backend.append(event(0))
    nested = Nested(lambda: backend.append(event(1)))
    nested.at_each_line_of(getattr(backend, operation), thinner=30)

    assert nested.done > 2
    found = backend.metrics.snapshot()
    assert found["records_written"] == 1 + nested.done == backend.scan().records
    assert found["write_errors"] == len(nested.refusals)
    assert found["recovery_failures"] == found["compaction_errors"] == found["read_errors"] == 0


def test_finalizers_append_wherever_the_collector_runs(backend: PersistenceBackend) -> None:
    nested = Nested(lambda: backend.append(event(0)))

    class Actor:
        def __init__(self) -> None:
            self.me = self  # a cycle: the collector alone ends it

        def __del__(self) -> None:
            nested()

    rounds = 300
    threshold = gc.get_threshold()
    gc.set_threshold(7)
    try:
        for _ in range(rounds):
            Actor()
            backend.append_many([event(1)] * 5)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()

    assert nested.done + len(nested.refusals) == rounds
    stored = 5 * rounds + nested.done
    assert backend.scan().records == stored
    assert backend.metrics.snapshot() == counts(
        records_written=stored, write_errors=len(nested.refusals), scan_operations=1
    )


def test_an_append_of_a_loop_from_within_an_append_of_it_is_refused() -> None:
    """A coroutine that is driven by hand, or a task that starts eagerly, runs where it is made."""
    backend = MemoryBackend()

    async def main() -> None:
        store = AsyncBackend(backend)
        await store.append(event(0))

        def append() -> None:
            call = store.append(event(1))
            try:
                call.send(None)
            except StopIteration:
                return
            finally:
                call.close()
            raise AssertionError("it waits")

        nested = Nested(append)
        commit = partial(backend._queue.alone, backend, nested)
        commit()
        assert len(nested.refusals) == 1
        assert backend.metrics.snapshot() == counts(records_written=1, write_errors=1)

    asyncio.run(main())


@pytest.mark.parametrize("work", ["compact", "undo"])
def test_without_flock_an_append_from_within_a_rewrite_is_refused_at_once(
    file_kind: FileKind, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    monkeypatch.setattr(store_module, "HAS_FLOCK", False)
    name = "rewrite" if work == "compact" else "undo"
    real = getattr(store_module, name)
    refused: list[str] = []
    with file_kind.open() as store:
        store.append_many([event(1), event(2)])
        file_kind.put(store, b"torn\n")
        saved = store.recover().quarantine if work == "undo" else None

        def interrupted_by_an_append(*args: object, **options: object) -> object:
            with pytest.raises(StoreBusyError) as error:
                store.append(event(3))  # it would go into the file that is being replaced
            refused.append(str(error.value))
            return real(*args, **options)

        monkeypatch.setattr(store_module, name, interrupted_by_an_append)
        if work == "compact":
            assert store.compact().quarantine
        else:
            assert store.recover(undo=saved).restored == len(b"torn\n")

        assert len(refused) == 1
        assert store.metrics.snapshot()["write_errors"] == 1
        store.append(event(4))
        assert numbers(store.read()) == [1, 2, 4]
