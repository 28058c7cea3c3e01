"""
Measures everything, and writes what came of it to a page, with plots beside it.

    PYTHONPATH=.:tests python -m benchmarks PAGE [PYTHON_WITH_PAPYRA_0.3.0]
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import (
    aio,
    appending,
    counting,
    growth,
    loop_delay,
    memory,
    openings,
    plots,
    reading,
    redis_store,
    startup,
    steps,
    syncing,
)
from benchmarks.table import markdown

_INTRODUCTION: Final = """\
# Performance

How fast papyra is beside others. `make bench` wrote this page. All figures of a table are ratios,
unless their unit is given. The contenders took turns in one run on one machine, and a ratio compares
two turns of one round. The tables show the middle one of all rounds, with the quartiles in brackets.
Records are events with a nested payload, of about 200 bytes. The targets are those that prototypes
reached. The last column marks each row that falls short of its target, and [Limits](#limits) says why.
The figures are those of the commit below, not of later changes.

{when}, commit {commit}, Python {python}, {machine}, {processors} processors, {kernel}.
"""
_STEPS: Final = """\
The steps of one append to a file, and the time of each. A bare loop's turn is `json.dumps` and `os.write`, with the
file open.
"""
_GROWTH: Final = """\
The costs beside those of the smallest case of the same kind. Then the resident memory of each record,
or of each store where there are several.

![Costs over the number of records](growth-records.png)
![Costs over the number of stores](growth-stores.png)
"""
_DELAYS: Final = """\
The table shows how late the event loop came to a timer that another task had set for a millisecond, while eight
tasks appended. These are times, not ratios: the first row is the machine's own. A thread that
computes, as in a compaction, keeps the interpreter for `sys.getswitchinterval()`, five milliseconds.
"""
_LIMITS: Final = Path(__file__).with_name("limits.md")


def main(page: str, original: str = "") -> int:
    """Measure, and write the page."""
    sections = []
    for section in _sections(Path(page).parent, original):
        print(section, flush=True)
        sections.append(section)
    Path(page).write_text("\n".join(sections))
    return 0


def _sections(docs: Path, original: str) -> Iterator[str]:
    yield _INTRODUCTION.format(
        when=time.strftime("%Y-%m-%d", time.gmtime()),
        commit=subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
        python=platform.python_version(),
        machine=platform.machine(),
        processors=os.cpu_count(),
        kernel=f"{platform.system()} {platform.release()}",
    )
    yield "## Appends\n\n" + markdown(appending.rows(original, long=True))
    yield f"{_STEPS}\n{steps.table(long=True)}"
    yield "## Reads\n\n" + markdown(reading.rows(long=True))
    synced = markdown(aio.synced_rows(long=True) + syncing.rows(long=True))
    yield f"## Appends that are synced\n\n{synced}"
    yield "## Counting and scrapes\n\n" + markdown(
        counting.rows(long=True) + openings.rows(long=True)
    )
    redis = markdown(redis_store.rows(original, long=True) + aio.redis_rows(original, long=True))
    yield f"## Redis\n\nOne server, one connection each, on the loopback.\n\n{redis}"
    yield "## Start\n\n" + markdown(startup.rows(long=True))
    yield f"## The event loop\n\n{_DELAYS}\n{loop_delay.markdown(loop_delay.delays(long=True))}"
    yield "## Memory\n\n" + markdown(memory.rows(long=True))
    yield f"## Growth\n\n{_GROWTH}"
    for by, cases in zip(("records", "stores"), growth.cases(long=True), strict=True):
        found = growth.measured(cases, rounds=3)
        plots.plot(docs / f"growth-{by}.png", found, by)
        yield growth.table(found)
    yield f"## Limits\n\n{_LIMITS.read_text()}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
