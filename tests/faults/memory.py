"""Stores that are larger than memory may be: what reading and rewriting one takes."""

import random
import resource
from pathlib import Path
from typing import Final

from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog
from faults.process_pool import ProcessPool
from faults.scratch_stores import KINDS, scratch, url

from papyra import Record, Retention, open_store

#: The most that a process may have resident, the interpreter included.
_MOST: Final = 64
_MIB: Final = 1024 * 1024
_SMALL, _LARGE = 200, _MIB
_OPERATIONS: Final = ("records", "scan", "recover", "compact")


def run(*, long: bool) -> Outcome:
    """Stream, scan, recover and compact, each in a fresh process, and see what it took."""
    outcome_log = OutcomeLog()
    size = (1024 if long else 150) * _MIB
    peak = tried = 0
    for kind in KINDS:
        with scratch(on_disk=long) as directory, ProcessPool(directory) as process_pool:
            where = url(kind, directory / "store.ndjson", max_bytes=64 * _MIB)
            records = process_pool.call(_fill, where, size, 1 if long else 8)
            for operation in _OPERATIONS:
                resident, found = process_pool.call(_peak, where, operation, size // 2)
                reported = f"{kind}: {operation} had {resident} MiB resident"
                outcome_log.expect("broken", reported, holds=resident <= _MOST)
                if operation != "compact":
                    reported = f"{operation} met {found} of {records}"
                    outcome_log.expect("lost", reported, holds=found == records)
                peak = max(peak, resident)
                tried += 1
    reported = f"{tried} operations on {size // _MIB:,} MiB, at most {peak} MiB resident"
    return outcome_log.outcome("memory", reported)


def _fill(where: str, size: int, ratio: int) -> int:
    """
    Write a line of garbage, and records of both sizes; return the number of records.

    Large ones take *ratio* times the bytes of small ones.
    """
    path = Path(where.partition(":")[2].partition("?")[0])
    path.write_bytes(b'{"kind":0}\n')
    records = 0
    small = Record("event", timestamp=1.7e9, data={"pad": "x" * _SMALL})
    with open_store(where, sync="none") as store:
        while size > 0:
            large = random.randrange(_LARGE)
            store.append(Record("event", timestamp=1.7e9, data={"pad": "y" * large}))
            n = large // ratio // (_SMALL + 90) + 1
            store.append_many([small] * n)
            records += 1 + n
            size -= large + large // ratio
    return records


def _peak(where: str, operation: str, keep: int) -> tuple[int, int]:
    """Do *operation*; return the most MiB that were resident, and the records that it met."""
    retention = Retention(max_total_bytes=keep) if operation == "compact" else None
    with open_store(where, retention=retention) as store:
        if operation == "records":
            found = sum(1 for _ in store.records())
        elif operation == "scan":
            found = store.scan().records
        elif operation == "recover":
            store.recover()
            found = store.scan().records
        else:
            found = store.compact().kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, found
