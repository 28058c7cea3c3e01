"""The mixin in classes of every make: each object has counters of its own, and a copy counts from zero."""

import copy
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, get_args

import pytest
from stores import counts

import papyra
from papyra import COUNTERS, PersistenceMetrics, PersistenceMetricsMixin
from papyra.exposition import exposition


class Plain(PersistenceMetricsMixin):
    def __init__(self, place: str) -> None:
        self.place = place


@dataclass
class Compared(PersistenceMetricsMixin):
    place: str


@dataclass(frozen=True)
class Frozen(PersistenceMetricsMixin):
    place: str


@dataclass(slots=True)
class Slotted(PersistenceMetricsMixin):
    place: str


@dataclass(frozen=True, slots=True)
class FrozenSlotted(PersistenceMetricsMixin):
    unsupported = frozenset({"compaction_errors"})

    place: str


class OwnSlots(PersistenceMetricsMixin):
    __slots__ = ("metrics", "place")

    def __init__(self, place: str) -> None:
        self.place = place


class NeverAssigned(PersistenceMetricsMixin):
    def __init__(self, place: str) -> None:
        self.__dict__["place"] = place

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class OwnState(PersistenceMetricsMixin):
    """It gives and takes its whole __dict__, as many classes do."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state


class Rebuilt(PersistenceMetricsMixin):
    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Rebuilt, (self.place,)


class Arguments(PersistenceMetricsMixin):
    def __new__(cls, place: str) -> Self:
        self = super().__new__(cls)
        self.place = place
        return self

    def __getnewargs__(self) -> tuple[str]:
        return (self.place,)

    place: str


class Bypassing:
    """A base that makes its objects itself."""

    def __new__(cls, *_: Any) -> Any:
        return object.__new__(cls)


class Bypassed(Bypassing, PersistenceMetricsMixin):
    unsupported = frozenset({"compaction_errors"})

    def __init__(self, place: str) -> None:
        self.place = place


class FailedError(PersistenceMetricsMixin, Exception):
    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class Pair(NamedTuple):
    place: str


class Tuple(PersistenceMetricsMixin, Pair):
    pass


CLASSES: list[Any] = [
    Plain, Compared, Frozen, Slotted, FrozenSlotted, OwnSlots, NeverAssigned, OwnState, Rebuilt,
    Arguments, Bypassed, FailedError, Tuple,
]  # fmt: skip


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda thing: pickle.loads(pickle.dumps(thing, protocol))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": pickled(n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("cls", CLASSES)
def test_each_object_counts_for_itself(cls: Any) -> None:
    one, other = cls("here"), cls("there")
    one.metrics.increment("records_written")
    assert (one.place, other.place) == ("here", "there")
    assert one.metrics is one.metrics
    assert one.metrics.snapshot() == counts(records_written=1)
    assert other.metrics.snapshot() == counts()
    assert ("compaction_errors" in one.metrics.supported) != ("compaction" in str(cls.unsupported))


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_counts_from_zero_and_leaves_the_original_alone(cls: Any, way: str) -> None:
    one = cls("here")
    one.metrics.increment("records_written", 3)
    mine = one.metrics
    other = COPIES[way](one)
    assert (type(other), other.place) == (cls, "here")
    assert other.metrics.snapshot() == counts()
    assert other.metrics.supported == mine.supported
    other.metrics.increment("read_errors")
    assert one.metrics is mine
    assert mine.totals() == counts(records_written=3)
    assert other.metrics.totals() == counts(read_errors=1)
    again = COPIES[way](other)
    assert again.metrics.snapshot() == counts()


def test_one_that_is_replaced_counts_from_zero() -> None:
    one = Frozen("here")
    one.metrics.increment("records_written")
    assert replace(one, place="there").metrics.snapshot() == counts()


@pytest.mark.parametrize("way", COPIES)
def test_counters_alone_are_copied_as_new_ones(way: str) -> None:
    metrics = PersistenceMetrics(unsupported={"compaction_errors"})
    metrics.increment("records_read")
    other = COPIES[way](metrics)
    assert other.supported == metrics.supported
    assert other.snapshot() == counts()
    other.increment("records_read", 5)
    assert metrics.snapshot() == counts(records_read=1)


def test_threads_that_are_first_to_ask_for_counters_get_the_same() -> None:
    for _ in range(50):
        one = Bypassed("here")
        start = threading.Barrier(4)

        def count(one: Bypassed = one, start: threading.Barrier = start) -> None:
            start.wait()
            one.metrics.increment("records_written")

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.metrics.snapshot() == counts(records_written=4)


def test_other_bases_are_told_of_a_subclass() -> None:
    reported: list[tuple[str, str]] = []

    class Base:
        def __init_subclass__(cls, *, colour: str = "", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            reported.append((cls.__name__, colour))

    class First(PersistenceMetricsMixin, Base, colour="red"): ...

    class Last(Base, PersistenceMetricsMixin, colour="blue"): ...

    assert reported == [("First", "red"), ("Last", "blue")]
    for cls in (First, Last):
        cls().metrics.increment("write_errors")


@pytest.mark.parametrize(
    ("unsupported", "error", "sentence"),
    [
        ({"records_writen"}, ValueError, r"'records_writen' is not a counter; did you mean 'records_written'\? the"),
        (frozenset({"elephants"}), ValueError, "'elephants' is not a counter; the ten are records_written, "),
        ([["read_errors"]], ValueError, r"\['read_errors'\] is not a counter; the ten are"),
        (["read_errors", 5], ValueError, "5 is not a counter; the ten are"),
        ("records_written", TypeError, "must be a set of names of counters, got 'records_written'"),
        (None, TypeError, "must be a set of names of counters, got None"),
    ],
)  # fmt: skip
def test_what_is_not_a_set_of_counters_is_refused_when_the_class_is_made(
    unsupported: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=rf"^Wrong\.unsupported:? {sentence}"):
        type("Wrong", (PersistenceMetricsMixin,), {"unsupported": unsupported})
    with pytest.raises(error, match=rf"^Store\.unsupported:? {sentence}"):
        type("Store", (papyra.MemoryBackend,), {"unsupported": unsupported})
    with pytest.raises(error, match=rf"^unsupported:? {sentence}"):
        PersistenceMetrics(unsupported=unsupported)


def test_a_typo_in_an_increment_is_told_the_nearest_name() -> None:
    with pytest.raises(
        ValueError, match=r"'read_error' is not a counter; did you mean 'read_errors'\?"
    ):
        PersistenceMetrics().increment("read_error")  # type: ignore[arg-type]  # on purpose


def test_the_names_for_type_checkers_are_the_counters() -> None:
    assert get_args(papyra.CounterName) == tuple(counter.name for counter in COUNTERS)


def test_a_class_without_an_object_has_no_counters_to_export() -> None:
    stranger: Any = Plain
    with pytest.raises(TypeError, match="has no counters to export"):
        exposition(stranger)


class Counting:
    """A helper of an object, which counts for it."""

    def __init__(self, metrics: PersistenceMetrics) -> None:
        self.metrics = metrics


class Helped(PersistenceMetricsMixin):
    def __init__(self) -> None:
        self.alias = self.metrics
        self.helpers = [Counting(self.metrics)]


class HelpedByState(Helped):
    """Its state becomes its __dict__ as it is."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state


@pytest.mark.parametrize("make", [Helped, HelpedByState])
@pytest.mark.parametrize("how", [name for name in COPIES if name != "copy"])
def test_what_the_helper_of_a_copy_counts_is_in_the_counters_of_the_copy(
    make: type[Helped], how: str
) -> None:
    original = make()
    original.metrics.increment("records_written", 5)
    shallow = copy.copy(original)
    shallow.helpers = [Counting(shallow.metrics)]
    for thing in (original, shallow):
        copied = COPIES[how](thing)
        copied.helpers[0].metrics.increment("records_read")
        assert copied.alias is copied.metrics is copied.helpers[0].metrics
        assert copied.metrics.snapshot() == counts(records_read=1)
    assert shallow.metrics.snapshot() == counts()
    assert original.metrics.snapshot() == counts(records_written=5)
