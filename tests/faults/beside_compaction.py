"""Appends beside a compaction: none waits while it copies what is there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from unittest import mock

from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.scratch_stores import KINDS, opened, scratch

from papyra import Retention
from papyra.backends.files.concurrent_swap import _LITTLE, Replacement

#: Seconds that an append waits: whoever holds the lock at all makes it fail.
_NO_TIME: Final = 1e-6
#: Bytes of what comes in; in the long form more than is copied under the lock.
_SIZE: Final = 1000


def run(*, long: bool) -> Outcome:
    """Append at every piece that a compaction copies, and measure what it copies under the lock."""
    outcome_log = OutcomeLog()
    tried = [_compact(kind, 5000 if long else 300, outcome_log) for kind in KINDS]
    appends = sum(n for n, _ in tried)
    most = max(under_lock for _, under_lock in tried)
    outcome_log.expect("broken", f"{most} bytes under the lock", holds=most <= _LITTLE)
    what = f"{appends:,} appends while it copied, none had to wait; {most:,} bytes under the lock"
    return outcome_log.outcome("appends beside a compaction", what)


def _compact(kind: str, records: int, outcome_log: OutcomeLog) -> tuple[int, int]:
    """Return the number of appends beside a compaction, and the bytes that it copied locked."""
    options = {"max_bytes": 64 * _LITTLE} if kind == "rotating" else {}
    with scratch() as directory:
        path = directory / "store.ndjson"
        keep = Retention(max_records=records)
        with (
            opened(kind, path, retention=keep, **options) as store,
            opened(kind, path, lock_timeout=_NO_TIME, **options) as beside,
        ):
            store.append_many([made("dropped", number) for number in range(10)])
            reported = store.append_many([made("kept", number) for number in range(records)])

            def append(number: int) -> None:
                reported.append(beside.append(made("beside", number, _SIZE)))

            with _appending(append) as under_lock:
                store.compact()
            outcome_log.check_records(beside.read(strict=True), reported)
            errors = beside.metrics.totals()["write_errors"]
            outcome_log.expect("broken", f"{errors} appends had to wait", holds=not errors)
    return len(reported) - records, max(under_lock)


@contextmanager
def _appending(append: Callable[[int], object]) -> Iterator[list[int]]:
    """Append with every piece that is copied; give the bytes that are copied under the lock."""
    real_write, real_replace = Replacement._write, Replacement._replace
    under_lock: list[int] = []
    number = 0

    def write(self: Replacement, data: bytes) -> None:
        nonlocal number
        real_write(self, data)
        if not under_lock:
            number += 1
            append(number)

    def replace(self: Replacement, target: str, lock: int) -> None:
        under_lock.append(os.fstat(self._old).st_size - self._copied)
        real_replace(self, target, lock)

    with (
        # Each line is a piece of its own, so that a small store has many.
        mock.patch("papyra.backends.files.rewrite.CHUNK", 1),
        mock.patch.object(Replacement, "_write", write),
        mock.patch.object(Replacement, "_replace", replace),
    ):
        yield under_lock
