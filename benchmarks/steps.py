"""The cost of one append to a file, step by step."""

import os
import tempfile
import time
from collections.abc import Callable
from timeit import Timer
from typing import Final

from benchmarks.load import plain, record
from benchmarks.side_by_side import Timings
from papyra import Record, open_store
from papyra.format.codec import encode, seal
from papyra.system.locks import LOCK_EXCLUSIVE, LOCK_NONE, flock
from papyra.writing.call import Call

_UNROLLED: Final = 20
#: The steps, and the purpose of each.
_STEPS: Final = {
    "Record('event', timestamp=t, data=data)": "the record itself, by its caller",
    "encode(r)": "check it and make JSON of it",
    "Call((body,), now() + 5.0)": "the call, and its deadline",
    "seal(body, 'f' * 16, 12345)": "number it, and add the checksum",
    "flock(lock, EX); flock(lock, UN)": "lock the store against other processes, and unlock it",
    "seek(lock, 0, 2); seek(fd, 0, 2)": "see whether the file was replaced, or another process appended",
    "write(fd, line)": "write it",
    "metrics._settle_written(1)": "count it",
    "append(r)": "**the whole append**, with what holds the steps together",
}


def table(*, long: bool) -> str:
    """Return what each step takes of a bare loop's turn, and of the whole append."""
    with (
        tempfile.TemporaryDirectory(dir=".") as place,
        open_store(f"json:{place}/store.ndjson") as store,
        open(f"{place}/lock", "wb") as lock,
        open(f"{place}/bare", "ab") as file,
    ):
        r = record(1)
        store.append(r)
        body = encode(r)
        names = {
            "Record": Record, "t": r.timestamp, "data": dict(r.data), "encode": encode, "r": r, "seal": seal,
            "Call": Call, "now": time.monotonic, "body": body, "flock": flock, "EX": LOCK_EXCLUSIVE,
            "UN": LOCK_NONE, "seek": os.lseek, "lock": lock.fileno(), "fd": file.fileno(), "write": os.write,
            "line": seal(body, "f" * 16, 12345), "metrics": store.metrics, "append": store.append,
            "plain": plain,
        }  # fmt: skip
        bare = "write(fd, plain(7).encode() + b'\\n')"
        times, rounds = (200, 15) if long else (1, 2)

        def turn(statement: str) -> Callable[[], float]:
            timer = Timer("\n".join([statement] * _UNROLLED), globals=names)
            return lambda: timer.timeit(times) / times / _UNROLLED

        timings = Timings({step: turn(step) for step in (bare, *_STEPS)}, rounds=rounds)
    whole = "append(r)"
    lines = [
        "| step | what for | of a bare loop's turn | of the append |",
        "| --- | --- | --- | --- |",
    ]
    lines += (
        f"| `{step}` | {what} | {timings.faster(bare, step)} |"
        f" {100 * timings.seconds(step) / timings.seconds(whole):.0f} % |"
        for step, what in _STEPS.items()
    )
    return "\n".join(lines) + "\n"
