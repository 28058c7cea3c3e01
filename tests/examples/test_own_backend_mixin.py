"""examples/own_backend_mixin.py: counting by hand."""

import re
import resource
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stores import counts, raiser

import papyra_otel


@pytest.fixture(scope="module")
def journal_class(load: Callable[[str], Any]) -> Any:
    return load("own_backend_mixin").Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "expected_state.csv"


@pytest.fixture
def journal(journal_class: Any, path: Path) -> Any:
    return journal_class(str(path))


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Have the operating system refuse what would make a file longer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_it_prints_what_it_did(run: Callable[..., tuple[int, str, str]]) -> None:
    expected = """\
refused: surrogates not allowed
damaged: 1
food:    -105
records_written   5
write_errors      1
records_read      5
read_errors       0
scan_operations   1
anomaly_detected  2
"""
    assert run("own_backend_mixin") == (0, expected, "")


def test_the_counters_are_there_before_any_init(journal_class: Any) -> None:
    assert journal_class.__new__(journal_class).metrics.snapshot() == counts()


def test_a_write_counts_its_rows_and_a_read_those_that_it_took_in(journal: Any) -> None:
    journal.book(("rent", -900), ("salary", 2500))
    journal.book(("rent", -900))
    assert journal.balance("rent") == -1800
    assert journal.metrics.snapshot() == counts(records_written=3, records_read=3)


def test_a_row_that_cannot_be_encoded_fails_its_whole_write(journal: Any, path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        journal.book(("food", 1), ("\udc80", 2))
    assert not path.exists()
    assert journal.metrics.snapshot() == counts(write_errors=1)


def test_a_write_that_the_disk_cuts_short_leaves_nothing(journal: Any, path: Path) -> None:
    journal.book(("food", 1))
    with files_no_longer_than(path.stat().st_size + 5), pytest.raises(OSError, match="too large"):
        journal.book(("food", 2), ("food", 3))
    journal.book(("food", 4))
    assert path.read_text() == "food,1\nfood,4\n"
    assert journal.metrics.snapshot() == counts(records_written=2, write_errors=1)


def test_an_interrupted_write_is_one_write_error(
    journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_write", raiser(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        journal.book(("food", 1))
    assert journal.metrics.snapshot() == counts(write_errors=1)


def test_a_read_that_fails_is_one_read_error_and_no_records(journal: Any) -> None:
    with pytest.raises(FileNotFoundError):
        journal.balance("food")
    assert journal.metrics.snapshot() == counts(read_errors=1)


def test_damage_is_counted_by_each_operation_that_meets_it(journal: Any, path: Path) -> None:
    journal.book(("food", 1))
    with path.open("a") as file:
        file.write("food\nfood,x\n")
    journal.book(("food", 2))

    assert journal.damaged() == 2
    assert journal.balance("food") == 3

    assert journal.metrics.snapshot() == counts(
        records_written=2, records_read=2, scan_operations=1, anomaly_detected=4
    )


def test_threads_lose_neither_rows_nor_counts(journal: Any) -> None:
    def work() -> None:
        for _ in range(250):
            journal.book(("food", 1), ("rent", 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert journal.balance("food") == 1000
    assert journal.metrics.snapshot() == counts(records_written=2000, records_read=2000)


def test_prometheus_sees_the_supported_counters_and_no_others(journal: Any) -> None:
    journal.book(("food", 1), ("food", 2))
    with (
        papyra_otel.prometheus.serve(journal, port=0) as server,
        urllib.request.urlopen(server.url, timeout=10) as response,
    ):
        lines = response.read().decode().splitlines()
    sample = re.compile(r'papyra_persistence_(\w+)_total\{.*kind="journal".*\} (\S+)')
    assert [match.groups() for match in map(sample.fullmatch, lines) if match] == [
        ("records_written", "2.0"),
        ("write_errors", "0.0"),
        ("records_read", "0.0"),
        ("read_errors", "0.0"),
        ("scan_operations", "0.0"),
        ("anomaly_detected", "0.0"),
    ]
