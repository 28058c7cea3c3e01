"""How much memory a large store takes that is read, scanned and compacted."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

from benchmarks.load import record
from benchmarks.side_by_side import Ratio
from benchmarks.table import Row
from papyra import Record, open_store

_OPERATIONS: Final = {
    "streamed": "deque(store.records(), 0)",
    "scanned": "store.scan()",
    "compacted": "store.compact()",
}
# The most that the process ever had; it began with nothing of its parent's.
_PROGRAM: Final = """
import sys
from collections import deque
import papyra
with papyra.open_store(sys.argv[1]) as store:
    {}
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def rows(*, long: bool) -> Iterator[Row]:
    """Measure it; on Linux alone."""
    size = 2**30 if long else 2**20
    for what, wanted, records in (
        ("records of 200 bytes", 24, [record(n) for n in range(1000)]),
        ("records of 1 MB", 64, [Record("event", data={"text": "x" * 1_000_000})]),
    ):
        with tempfile.TemporaryDirectory(dir=".") as place:
            url = f"json:{place}/store.ndjson"
            with open_store(url) as store:
                store.append_many(records)
                while os.path.getsize(store.source) < size:
                    store.append_many(records)
            for done, operation in _OPERATIONS.items():
                # Memory comes out alike each time: twice shows that it does.
                peaks = [_peak(operation, url) for _ in range(2)]
                yield Row(
                    f"{size // 2**20:,} MiB of {what} {done}",
                    "most resident memory",
                    wanted,
                    Ratio(max(peaks), min(peaks), max(peaks)),
                    at_least=False,
                    unit="MiB",
                )


def _peak(operation: str, url: str) -> float:
    program = _PROGRAM.format(operation)
    done = subprocess.run(
        [sys.executable, "-c", program, url], check=True, capture_output=True, text=True
    )
    return int(done.stdout) / 1024
