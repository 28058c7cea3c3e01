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

from benchmarks import redis_store
from benchmarks.table import markdown

_INTRODUCTION = """\
# Performance

How fast papyra is beside others. `make bench` wrote this page. All figures of a table are ratios:
the contenders took turns in one run on one machine, a ratio compares two turns that followed each
other, and the middle one of all rounds is shown, with the quartiles in brackets. The targets
are those that prototypes reached; where one is short, the table says so.

{when}, commit {commit}, Python {python}, {machine}, {processors} processors, {kernel}.
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
    redis = markdown(redis_store.rows(original, long=True))
    text = f"{told}\n## Redis\n\nOne server, one connection each, on the loopback.\n\n{redis}"
    Path(page).write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
