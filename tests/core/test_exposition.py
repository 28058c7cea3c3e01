"""The counters as text for Prometheus, from the standard library alone."""

from textwrap import dedent

from stores import FileKind, counts, event

from papyra import JsonBackend, MemoryBackend
from papyra.exposition import Row, exposition, render


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


def test_labels_are_escaped() -> None:
    text = render([Row("custom", 'a"b\\c\nd\udce9', counts(write_errors=1), ["write_errors"])])
    assert text.encode().decode().splitlines()[-1] == (
        'papyra_persistence_write_errors_total{papyra_backend_kind="custom",'
        'papyra_store_name="a\\"b\\\\c\\nd\\\\udce9"} 1'
    )


def test_nothing_makes_no_text() -> None:
    assert exposition() == ""
    assert JsonBackend.kind == "json"
