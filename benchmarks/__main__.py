"""
Measures everything, and writes what came of it to a page.

    PYTHONPATH=.:tests python -m benchmarks PAGE [PYTHON_WITH_PAPYRA_0.3.0]
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import aio, loop_delay, redis_store
from benchmarks.table import markdown

_INTRODUCTION = """\
# Performance

How fast papyra is beside others. `make bench` wrote this page. All figures of a table are ratios:
the contenders took turns in one run on one machine, a ratio compares two turns that followed each
other, and the middle one of all rounds is shown, with the quartiles in brackets. The targets
are those that prototypes reached; where one is short, the table says so.

{when}, commit {commit}, Python {python}, {machine}, {processors} processors, {kernel}.
"""

_DELAYS = """\
How late the event loop came to a timer that another task had set for a millisecond, while eight
tasks appended. These are times, not ratios: the first row is the machine's own. A thread that
computes, as in a compaction, has the interpreter for `sys.getswitchinterval()`, five milliseconds.
"""


def main(page: str, original: str = "") -> int:
    """Measure, and write the page."""
    told = _INTRODUCTION.format(
        when=time.strftime("%Y-%m-%d", time.gmtime()),
        commit=subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
        python=platform.python_version(),
        machine=platform.machine(),
        processors=os.cpu_count(),
        kernel=f"{platform.system()} {platform.release()}",
    )
    redis = markdown(redis_store.rows(original, long=True) + aio.redis_rows(original, long=True))
    synced = markdown(aio.synced_rows(long=True))
    delays = loop_delay.markdown(loop_delay.delays(long=True))
    text = "\n".join(
        [
            told,
            "## Redis",
            "",
            "One server, one connection each, on the loopback.",
            "",
            redis,
            "## asyncio",
            "",
            "What many tasks gain where each append is synced before it is acknowledged:",
            "",
            synced,
            _DELAYS,
            delays,
        ]
    )
    Path(page).write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
