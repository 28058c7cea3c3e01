"""The benchmarks of asyncio, for a moment: that they run, and not how fast."""

import math
from pathlib import Path

import pytest

from benchmarks import aio, loop_delay


def test_the_benchmarks_measure_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = aio.synced_rows(long=False) + aio.redis_rows("", long=False)

    assert [row.what for row in rows] == [
        'sync="always", 4 tasks append',
        'sync="always", 8 tasks append',
        "4 tasks append",
    ]
    assert all(math.isfinite(row.ratio.median) and row.ratio.median > 0 for row in rows)


def test_the_delays_of_the_loop_are_measured_beside_all_that_could_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = list(loop_delay.delays(long=False))

    assert len(found) == 8
    assert all(math.isfinite(delay.worst) and delay.appends > 0 for delay in found[1:])
    assert found[0].appends == 0
    assert loop_delay.markdown(iter(found)).count("\n") == 10
