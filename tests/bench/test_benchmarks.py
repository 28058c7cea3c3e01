"""The benchmarks, for a moment: that they run and measure every row, and not how fast."""

import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from benchmarks import (
    aio,
    appending,
    counting,
    growth,
    loop_delay,
    memory,
    openings,
    reading,
    redis_store,
    startup,
    steps,
    syncing,
)
from benchmarks.side_by_side import Ratio
from benchmarks.table import Row, markdown


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stores are made where the benchmark is run, on a real disk.
    monkeypatch.setenv("PYTHONPATH", str(Path(aio.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)


linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.mark.parametrize(
    ("measure", "number"),
    [
        pytest.param(lambda: appending.rows("", long=False), 5, id="appending"),
        pytest.param(lambda: reading.rows(long=False), 5, id="reading"),
        pytest.param(lambda: openings.rows(long=False), 1, id="openings"),
        pytest.param(lambda: syncing.rows(long=False), 2, id="syncing"),
        pytest.param(lambda: aio.synced_rows(long=False), 2, id="aio, synced"),
        pytest.param(lambda: counting.rows(long=False), 5, id="counting"),
        pytest.param(lambda: redis_store.rows("", long=False), 3, id="redis"),
        pytest.param(lambda: aio.redis_rows("", long=False), 1, id="aio, redis"),
        pytest.param(lambda: startup.rows(long=False), 4, id="startup"),
        pytest.param(lambda: memory.rows(long=False), 6, id="memory", marks=linux),
    ],
)
def test_each_row_is_measured(measure: Callable[[], Iterable[Row]], number: int) -> None:
    rows = list(measure())

    assert len(rows) == number
    assert all(math.isfinite(figure) for row in rows for figure in row.ratio)
    assert all(row.ratio.median > 0 or row.unit == "ms" for row in rows)


def test_the_steps_of_an_append_are_measured() -> None:
    table = steps.table(long=False)

    assert table.count("\n") == 11
    assert "| `append(r)` | **the whole append**" in table
    assert "| 100 % |" in table


def test_the_delays_of_the_loop_are_measured_beside_all_that_could_keep_it() -> None:
    found = list(loop_delay.delays(long=False))

    assert len(found) == 9
    assert all(math.isfinite(delay.worst) and delay.appends > 0 for delay in found[1:])
    assert found[0].appends == 0
    assert loop_delay.markdown(iter(found)).count("\n") == 11


@linux
def test_growth_is_measured_by_records_and_by_stores() -> None:
    for cases in growth.cases(long=False):
        found = growth.measured(cases, rounds=1)

        assert list(found) == cases
        assert all(
            math.isfinite(figure) for reported in found.values() for figure in reported.values()
        )
        assert growth.table(found).count("1.00 x | 1.00 x | 1.00 x") >= 2


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
