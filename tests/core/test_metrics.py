"""The ten counters by themselves."""

import gc
import os
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import pytest
from pacing import Paced
from stores import FileKind, Kind, counts, event, led_by_another_thread

from papyra import (
    COUNTERS,
    MemoryBackend,
    PersistenceMetrics,
    PersistenceMetricsMixin,
    RecordError,
)

SPECIFICATION = [
    "records_written",
    "write_errors",
    "records_read",
    "read_errors",
    "scan_operations",
    "anomaly_detected",
    "recovery_attempts",
    "recovery_failures",
    "compactions_triggered",
    "compaction_errors",
]


def test_counters_that_are_not_supported_stay_at_zero_whoever_counts() -> None:
    class Few(MemoryBackend):
        unsupported = frozenset({"records_read", "records_written", "write_errors"})

    with Few() as store:
        store.append(event(1))
        next(store.records())
        with pytest.raises(RecordError):
            store.append("no record")  # type: ignore[arg-type]  # on purpose
        assert store.metrics.snapshot() == counts()


def test_the_counters_are_those_of_the_specification_in_its_order() -> None:
    assert [counter.name for counter in COUNTERS] == SPECIFICATION
    assert list(PersistenceMetrics().snapshot()) == SPECIFICATION
    assert all(counter.unit.startswith("{") for counter in COUNTERS)
    assert all(counter.meaning.endswith(".") for counter in COUNTERS)


def test_a_snapshot_is_a_fresh_dict_of_plain_ints() -> None:
    metrics = PersistenceMetrics()
    snapshot = metrics.snapshot()
    assert {type(value) for value in snapshot.values()} == {int}
    snapshot["records_written"] = 99
    assert metrics.snapshot() == counts()


def test_a_reset_returns_the_interval_that_it_closes_and_totals_go_on() -> None:
    metrics = PersistenceMetrics()
    metrics.increment("records_written", 3)
    metrics.increment("write_errors")

    assert metrics.reset() == counts(records_written=3, write_errors=1)
    assert metrics.snapshot() == counts()
    metrics.increment("records_written")
    assert metrics.snapshot() == counts(records_written=1)
    assert metrics.totals() == counts(records_written=4, write_errors=1)
    assert metrics.reset() == counts(records_written=1)
    assert metrics.reset() == counts()


@pytest.mark.parametrize(("name", "n"), [("records", 1), ("", 1), ("write_errors", -1)])
def test_an_increment_that_makes_no_sense_is_refused(name: str, n: int) -> None:
    metrics = PersistenceMetrics()
    with pytest.raises(ValueError, match=r"is not a counter|never falls"):
        metrics.increment(name, n)  # type: ignore[arg-type]  # what a program without types may do
    assert metrics.snapshot() == counts()


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((["x"],), TypeError, r"name must be a string, the name of a counter, got \['x'\]"),
        (({},), TypeError, r"name must be a string, the name of a counter, got \{\}"),
        ((None,), TypeError, "name must be a string, the name of a counter, got None"),
        ((5, 1), TypeError, "name must be a string, the name of a counter, got 5"),
        ((b"write_errors",), TypeError, r"name must be a string, .* got b'write_errors'"),
        (("write_errors", True), TypeError, r"n must be an integer, .* got True"),
        (("write_errors", False), TypeError, r"n must be an integer, .* got False"),
        (("write_errors", 1.0), TypeError, r"n must be an integer, .* got 1\.0"),
        (("write_errors", "1"), TypeError, r"n must be an integer, .* got '1'"),
        (("write_errors", None), TypeError, r"n must be an integer, .* got None"),
        (
            ("write_errors", -1),
            ValueError,
            r"write_errors must rise by 0 or more, got -1: a total never falls; reset\(\) begins a new",
        ),
        (("write_error",), ValueError, r"'write_error' is not a counter; did you mean 'write_errors'\?"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("unsupported", [(), ("write_errors",)], ids=["all", "few"])
def test_an_increment_that_cannot_be_says_what_it_must_be_and_counts_nothing(
    arguments: tuple[Any, ...], error: type[Exception], sentence: str, unsupported: tuple[str, ...]
) -> None:
    metrics = PersistenceMetrics(unsupported=unsupported)

    with pytest.raises(error, match=rf"^{sentence}"):
        metrics.increment(*arguments)

    assert metrics.totals() == metrics.snapshot() == metrics.reset() == counts()


def test_integers_of_other_types_are_counted_as_such() -> None:
    class Number:
        def __index__(self) -> int:
            return 3

    metrics = PersistenceMetrics()
    metrics.increment("write_errors", Number())  # type: ignore[arg-type]  # as of numpy
    metrics.increment("write_errors", 0)

    assert metrics.snapshot() == counts(write_errors=3)
    assert {type(count) for count in metrics.snapshot().values()} == {int}


@pytest.mark.parametrize("method", ["snapshot", "totals", "reset"])
def test_a_look_at_the_counters_takes_nothing(method: str) -> None:
    metrics = PersistenceMetrics()
    metrics.increment("write_errors")

    with pytest.raises(
        TypeError, match=rf"{method}\(\) takes 1 positional argument but 2 were given"
    ):
        getattr(metrics, method)("write_errors")

    assert metrics.snapshot() == counts(write_errors=1)


def test_an_unsupported_counter_is_there_and_never_moves() -> None:
    metrics = PersistenceMetrics(unsupported={"compaction_errors"})
    metrics.increment("compaction_errors")
    metrics.increment("compactions_triggered")
    assert metrics.totals() == counts(compactions_triggered=1)
    assert metrics.supported == tuple(SPECIFICATION[:-1])


def test_since_is_the_last_reset_or_the_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 100.0)
    metrics = PersistenceMetrics()
    assert metrics.since == 100.0
    monkeypatch.setattr("time.time", lambda: 200.0)
    assert metrics.since == 100.0
    metrics.reset()
    assert metrics.since == 200.0


class Plain(PersistenceMetricsMixin):
    """A third party's class that calls no __init__ of ours."""

    def __init__(self, argument: int) -> None:
        self.argument = argument


@dataclass
class Compared(PersistenceMetricsMixin):
    """One that can be compared, and so has no hash."""

    argument: int


def test_the_mixin_needs_no_init_and_no_hash() -> None:
    for cls in (Plain, Compared):
        one, other = cls(1), cls(argument=2)
        one.metrics.increment("records_written")
        assert one.argument == 1
        assert one.metrics.snapshot() == counts(records_written=1)
        assert other.metrics.snapshot() == counts()


def test_the_mixin_hands_arguments_to_another_base() -> None:
    class Base:
        def __new__(cls, *args: Any) -> Any:
            self = super().__new__(cls)
            self.seen = args  # type: ignore[attr-defined]  # what the test looks at
            return self

    class Both(PersistenceMetricsMixin, Base):
        def __init__(self, *args: Any) -> None: ...

    assert Both(1, 2).seen == (1, 2)  # type: ignore[attr-defined]  # see above
    assert Both().metrics.snapshot() == counts()


def test_threads_count_exactly_beside_resets_and_reads(kind: Kind) -> None:
    """Four threads of 10,000 appends: what is stored, counted, and reset adds up."""
    with kind.open(sync="none", **kind.busy) as store:
        intervals: list[dict[str, int]] = []
        seen: list[int] = []

        def read() -> None:
            seen.append(store.metrics.totals()["records_written"])
            assert store.metrics.snapshot()["records_written"] >= 0

        beside = [Paced(lambda: intervals.append(store.metrics.reset())), Paced(read)]

        def append() -> None:
            for n in range(10_000):
                store.append(event(n))
                if n % 100 == 0:
                    for thread in beside:
                        thread.turns.release()

        writers = [threading.Thread(target=append) for _ in range(4)]
        for thread in (*beside, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        for paced in beside:
            paced.end()

        intervals.append(store.metrics.snapshot())
        assert store.metrics.totals() == counts(records_written=40_000)
        assert sum(interval["records_written"] for interval in intervals) == 40_000
        assert seen == sorted(seen)
        assert store.scan().records == 40_000


def test_what_the_garbage_collector_ends_inside_a_count_is_counted() -> None:
    """A dropped stream in a cycle, collected while this thread holds the counters' lock."""
    store = MemoryBackend()
    store.append(event(1))
    cycle: list[Any] = [store.records()]
    cycle.append(cycle)
    next(cycle[0])
    del cycle
    with store.metrics._lock:
        gc.collect()
    assert store.metrics.snapshot() == counts(records_written=1, records_read=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_counts_from_zero_and_its_parent_goes_on() -> None:
    store = MemoryBackend()
    store.append(event(1))
    store.metrics.reset()
    store.append(event(2))
    reader, writer = os.pipe()

    holding, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        holding.set()
        go_on.wait()

    holder = threading.Thread(target=store.metrics._alone, args=(hold,))
    holder.start()
    holding.wait()
    with led_by_another_thread(store):
        child = os.fork()
        if child == 0:
            seen = [store.metrics.snapshot() == counts() == store.metrics.totals()]
            id_ = store.append(event(3))
            seen.append(id_.endswith("-1"))
            seen.append(len(store.read()) == 3)
            seen.append(store.metrics.totals() == counts(records_written=1, records_read=3))
            os.write(writer, repr(seen).encode())
            os._exit(0)
    go_on.set()
    holder.join()
    os.waitpid(child, 0)

    assert os.read(reader, 99) == b"[True, True, True, True]"
    os.close(reader)
    os.close(writer)
    assert store.metrics.totals() == counts(records_written=2)
    assert [record.id for record in store.read()] == [
        f"{store._queue.writer}-1",
        f"{store._queue.writer}-2",
    ]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_dropped_store_is_freed_at_once(kind: Kind) -> None:
    store = kind.open(sync="none")
    store.append(event(1))
    store.read()
    gone = weakref.ref(store)
    gc.disable()
    try:
        del store
        assert gone() is None
    finally:
        gc.enable()
        gc.collect()  # what it held may warn here, and not in another test


def test_a_dropped_store_of_files_warns_and_leaks_no_descriptor(file_kind: FileKind) -> None:
    before = set(os.listdir("/proc/self/fd"))
    store = file_kind.open(sync="none")
    store.append(event(1))
    with pytest.warns(ResourceWarning, match=r"unclosed store .*store\.ndjson"):
        del store
    assert set(os.listdir("/proc/self/fd")) == before
