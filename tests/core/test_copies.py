"""Which records of 0.3.0's stand in a store more than once."""

import random
import tracemalloc
from pathlib import Path

import pytest
from children import run_program

from papyra import Record
from papyra.backends.files.legacy.duplicates import Copies, First, Marker, Shared
from papyra.reading.fingerprints import fingerprint

A, B = b'{"a"}\n', b'{"b"}\n'


def kinds(marker: Marker, *lines: bytes | int) -> list[type]:
    """Return what each of the *lines* of the marker's next file is marked as."""
    return [type(line) for _, line in marker.marked(enumerate(lines))]


def random_prints(count: int) -> list[int]:
    """Return so many different fingerprints, always the same."""
    source = random.Random(3)
    return [source.getrandbits(64) for _ in range(count)]


def test_what_was_met_before_is_a_copy_and_a_burst_is_not() -> None:
    copies = Copies()
    assert [copies.add(print_) for print_ in (1, 1, 1, 2, 3, 1, 1, 4, 3, 4)] == [
        *(True, True, True),
        *(True, True),
        *(False, False),
        *(True, False, False),
    ]
    copies.interrupt()
    assert not copies.add(4)
    assert 4 in copies
    assert 5 not in copies


def test_any_number_of_them_is_told_apart() -> None:
    chosen = random_prints(300_000)
    copies, known = Copies(), set[int]()
    for print_ in chosen[:200_000] + chosen[100_000:]:
        copies.interrupt()
        assert copies.add(print_) is (print_ not in known)
        known.add(print_)
    assert all(print_ in copies for print_ in chosen[::1000])


def test_a_record_costs_few_bytes() -> None:
    prints = random_prints(65_536 * 2 + 1000)
    tracemalloc.start()
    try:
        copies = Copies()
        for print_ in prints:
            copies.add(print_)
        assert tracemalloc.get_traced_memory()[0] < 10 * len(prints)
    finally:
        tracemalloc.stop()


def test_a_fingerprint_is_of_everything_but_the_id() -> None:
    records = [
        Record("event", timestamp=1.0, data={"n": 1}),
        Record("event", timestamp=1.0, data={"n": 1.0}),
        Record("event", timestamp=1.0, data={"n": "1"}),
        Record("event", timestamp=2.0, data={"n": 1}),
        Record("audit", timestamp=1.0, data={"n": 1}),
        Record("event", timestamp=1.0, data={"n": float("nan")}),
        Record("event", timestamp=1.0, data={"n": "\ud800"}),
    ]
    assert len({fingerprint(record) for record in records}) == len(records)
    again = [Record(r.kind, timestamp=r.timestamp, data=dict(r.data)) for r in records]
    assert [fingerprint(r) for r in records] == [fingerprint(r) for r in again]


def test_a_file_begins_with_a_copy_unless_a_burst_stands_on_either_side() -> None:
    marker = Marker()
    assert kinds(marker, A, B) == [First, Shared]
    assert kinds(marker, B, A) == [First, Shared]
    assert kinds(marker, A, A) == [Shared, Shared]
    assert kinds(marker) == []
    assert kinds(marker, A, B, 17) == [Shared, Shared, int]
    assert kinds(marker, A) == [First]


def test_a_large_set_takes_little_memory(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the system does not tell the most memory that a process had")
    done = run_program("large_legacy_set", tmp_path / "a.log")
    assert int(done.stdout) < 64 * 1024
