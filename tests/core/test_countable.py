"""One object has one name and one set of numbers, whoever exports it; what has none is refused."""

import enum
from typing import Any

import pytest
from stores import FileKind, counts, event

import papyra
import papyra.aio
from papyra import MemoryBackend, PersistenceMetricsMixin, StoreIOError, open_counters
from papyra.exposition import Named, exposition
from papyra.metrics.exportable import CounterSource, counters_of, labels_of


class Mine(PersistenceMetricsMixin):
    kind = "kafka"
    name = "orders"


class Kind(str, enum.Enum):  # noqa: UP042  of which str() and format() say KIND.KAFKA
    KAFKA = "kafka"


class Odd(PersistenceMetricsMixin):
    kind = Kind.KAFKA
    name = 5


class Stranger:
    """It has no totals, and one counter of the ten."""

    name = "theirs"

    def snapshot(self) -> dict[str, int]:
        return {"records_read": 7, "elephants": 1}


class Metered:
    metrics = Stranger()


@pytest.mark.parametrize(
    ("store", "labels"),
    [
        (MemoryBackend(), ("memory", "memory")),
        (papyra.aio.AsyncBackend(MemoryBackend()), ("memory", "memory")),
        (Mine(), ("kafka", "orders")),
        (Odd(), ("kafka", "kafka")),
        (Stranger(), ("custom", "theirs")),
        (Metered(), ("custom", "custom")),
        (MemoryBackend().metrics, ("custom", "custom")),
    ],
)
def test_everything_has_its_own_name_or_else_its_kind(store: Any, labels: tuple[str, str]) -> None:
    assert labels_of(store) == labels
    assert [type(label) for label in labels_of(store)] == [str, str]
    assert labels_of(store, "given") == (labels[0], "given")
    kind, name = labels
    assert f'{{papyra_backend_kind="{kind}",papyra_store_name="{name}"}} ' in exposition(store)


def test_a_strangers_snapshot_is_shown_as_far_as_it_goes() -> None:
    assert exposition(Stranger(), Stranger()) == (
        "# HELP papyra_persistence_records_read_total Records handed out by reads that succeeded.\n"
        "# TYPE papyra_persistence_records_read_total counter\n"
        'papyra_persistence_records_read_total{papyra_backend_kind="custom",papyra_store_name="theirs"} 14\n'
    )


@pytest.mark.parametrize("stranger", [object(), 1, None, "json:a", MemoryBackend])
def test_what_has_no_counters_is_told_what_it_needs(stranger: Any) -> None:
    with pytest.raises(TypeError, match=r"has no counters to export: totals\(\) or snapshot\(\)"):
        exposition(stranger)


def test_the_sum_over_all_programs_is_shown_apart_from_a_programs_own(file_kind: FileKind) -> None:
    with file_kind.open() as one, file_kind.open() as other:
        one.append(event(1))
        other.append_many([event(2), event(3)])
        one.metrics.reset()
        source = open_counters(file_kind.url)
        assert isinstance(source, CounterSource)
        assert labels_of(source) == labels_of(one) == (file_kind.name, "store")
        labels = f'papyra_backend_kind="{file_kind.name}",papyra_store_name="store"'
        lines = exposition(source, one).splitlines()
        assert lines[2:4] == [
            f'papyra_persistence_records_written_total{{{labels},papyra_scope="store"}} 3',
            f"papyra_persistence_records_written_total{{{labels}}} 1",
        ]
        assert len(lines) == 40
        assert source.read().totals() == counts(records_written=3)


def test_a_sum_that_cannot_be_read_is_an_error_and_never_zeros(file_kind: FileKind) -> None:
    file_kind.path.touch()
    with pytest.raises(papyra.NotPublishedError):
        exposition(open_counters(file_kind.url))


def test_the_sum_of_one_moment_is_refused(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event())
        counter_totals = open_counters(file_kind.url).read()
    with pytest.raises(TypeError, match=r"export papyra.open_counters\(url\), from which read"):
        counters_of(counter_totals)


def test_a_store_that_says_its_name_is_named() -> None:
    for store in (MemoryBackend(), papyra.aio.AsyncBackend(MemoryBackend()), Mine()):
        assert isinstance(store, Named)
    assert not isinstance(Stranger(), Named)


def test_an_error_of_a_strangers_own_is_not_hidden() -> None:
    class Failing:
        def totals(self) -> dict[str, int]:
            raise StoreIOError(5, "gone", "theirs")

    with pytest.raises(StoreIOError):
        exposition(Failing())
