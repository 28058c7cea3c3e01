"""The benchmark of the Redis store, for a moment: that it runs, and not how fast."""

import math

from benchmarks.redis_store import rows
from benchmarks.side_by_side import Ratio
from benchmarks.table import Row, markdown


def test_the_benchmark_measures_every_row() -> None:
    found = rows("", long=False)

    assert [row.what for row in found] == [
        "64 threads append",
        "append_many of 500",
        "the newest 10 of 2,000, in one page",
    ]
    assert all(math.isfinite(row.ratio.median) and row.ratio.median > 0 for row in found)


def test_a_row_says_whether_it_is_reached() -> None:
    ratio = Ratio(1.5, 1.0, 2.0)
    table = [
        Row("a", "b", 1.5, ratio),
        Row("a", "b", 1.6, ratio),
        Row("a", "b", 1.4, ratio, at_least=False),
        Row("a", "b", None, ratio),
    ]

    assert [row.verdict for row in table] == ["reached", "short", "short", ""]
    assert "| a | b | >= 1.6 x | 1.50 (1.00 to 2.00) | short |\n" in markdown(table)
