"""The counters as text for Prometheus, from the standard library alone."""

from textwrap import dedent

from stores import FileKind, event

from papyra import COUNTERS, JsonBackend, MemoryBackend, PersistenceMetricsMixin
from papyra.exposition import exposition


class Strange(PersistenceMetricsMixin):
    """A stranger's store that moves one counter, and has a name that no label can hold."""

    unsupported = frozenset(counter.name for counter in COUNTERS) - {"write_errors"}
    name = 'a"b\\c\nd\udce9'


def test_the_text_has_help_type_and_totals(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append_many([event(1), event(2)])
        store.metrics.reset()
        store.append(event(3))
        text = exposition(store)
    assert text.startswith(
        dedent(f"""\
        # HELP papyra_persistence_records_written_total Records whose write was acknowledged.
        # TYPE papyra_persistence_records_written_total counter
        papyra_persistence_records_written_total{{papyra_backend_kind="{store.kind}",papyra_store_name="store"}} 3
        # HELP papyra_persistence_write_errors_total Write calls that failed.
        # TYPE papyra_persistence_write_errors_total counter
        papyra_persistence_write_errors_total{{papyra_backend_kind="{store.kind}",papyra_store_name="store"}} 0
        """)
    )
    assert len(text.splitlines()) == 30


def test_what_is_not_supported_is_left_out() -> None:
    text = exposition(MemoryBackend())
    assert len(text.splitlines()) == 8 * 3
    assert "compaction" not in text


def test_stores_of_one_kind_and_name_are_added_up() -> None:
    one, other = MemoryBackend(), MemoryBackend()
    one.append(event(1))
    other.append(event(2))
    lines = exposition(one, other).splitlines()
    assert (
        'papyra_persistence_records_written_total{papyra_backend_kind="memory",'
        'papyra_store_name="memory"} 2'
    ) in lines
    assert len(lines) == 8 * 3


def test_of_stores_that_support_different_counters_each_shows_its_own() -> None:
    class Namesake(Strange):
        kind = "memory"
        name = "memory"

    one, other = Namesake(), MemoryBackend()
    one.metrics.increment("write_errors", 2)
    lines = exposition(one, other).splitlines()
    assert len(lines) == 8 * 3
    assert [line for line in lines if line.endswith(" 2")] == [
        'papyra_persistence_write_errors_total{papyra_backend_kind="memory",papyra_store_name="memory"} 2'
    ]


def test_labels_are_escaped() -> None:
    store = Strange()
    store.metrics.increment("write_errors")
    text = exposition(store)
    assert text.encode().decode().splitlines()[-1] == (
        'papyra_persistence_write_errors_total{papyra_backend_kind="custom",'
        'papyra_store_name="a\\"b\\\\c\\nd\\\\udce9"} 1'
    )


def test_nothing_makes_no_text() -> None:
    assert exposition() == ""
    assert JsonBackend.kind == "json"
