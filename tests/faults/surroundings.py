"""What surrounds a store misbehaves: a clock that jumps, a file system that becomes read-only."""

import errno
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from faults.checked_store import CheckedStore
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.scratch_stores import KINDS, mounted, opened, scratch

from papyra import PersistenceBackend, Retention, StoreIOError

#: Seconds that the clock jumps by.
_JUMPS: Final = (-3600.0, -1.0, 0.0, 1.0, 3600.0, 10.0 * 365 * 86400)

#: Nanoseconds in which a directory may change twice and show it once.
_TICK: Final = 100_000_000


def clock(*, long: bool) -> Outcome:
    """
    Have the clock jump, stand still in the future, and date directories in the future.

    And let the file system's clock go in steps, as that of most kernels does.
    """
    outcome_log = OutcomeLog()
    jumps = 0
    for kind in KINDS:
        for _ in range(20 if long else 3):
            with scratch() as directory:
                path = directory / "store.ndjson"
                retention = Retention(max_age=20 * 365 * 86400.0)
                with opened(kind, path, retention=retention) as store:
                    checked_store = CheckedStore(store, outcome_log)
                    for jump in random.sample(_JUMPS, len(_JUMPS)):
                        with _clock(time.time() + jump, stands=random.random() < 0.5):
                            _use(checked_store, jumps, directory)
                        jumps += 1
                    outcome_log.check_records(checked_store.do("read"), checked_store.acknowledged)
    return outcome_log.outcome("clock jumps", f"{jumps:,} jumps")


def _use(checked_store: CheckedStore, round_: int, directory: Path) -> None:
    for number in range(12):
        checked_store.append(made(f"round {round_}", number))
        if number == 6:
            later = time.time() + 5
            os.utime(directory, (later, later))
        stored = checked_store.do("read")
        holds = len(stored) == len(checked_store.acknowledged)
        reported = f"{len(stored)} of {len(checked_store.acknowledged)} are read"
        checked_store.outcome_log.expect("lost", reported, holds=holds)
    checked_store.do("compact")
    checked_store.do("scan")


@contextmanager
def _clock(start: float, *, stands: bool) -> Iterator[None]:
    """Have it be *start*, and go on from there unless it *stands* still."""
    real, began = time.monotonic, time.monotonic()

    def now() -> float:
        return start if stands else start + real() - began

    with (
        mock.patch.object(os, "stat", _stat_in_steps),
        mock.patch.object(time, "time", now),
    ):
        yield


def _stat_in_steps(
    path: int | str | os.PathLike[str],
    *,
    _real: Callable[..., os.stat_result] = os.stat,
    **how: Any,
) -> os.stat_result:
    status = _real(path, **how)
    # A nanosecond more: a time that is a multiple of hundredths of a second is not believed at all.
    changed = status.st_ctime_ns // _TICK * _TICK + 1
    modified = status.st_mtime_ns // _TICK * _TICK
    return os.stat_result(tuple(status), {"st_mtime_ns": modified, "st_ctime_ns": changed})


def read_only(*, long: bool) -> Outcome:
    """Mount the file system anew so that nobody may write, and then so that all may."""
    outcome_log = OutcomeLog()
    tried = 0
    for kind in KINDS:
        for _ in range(10 if long else 2):
            with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs") as place:
                path = place / "store.ndjson"
                with opened(kind, path) as store:
                    before = CheckedStore(store, outcome_log)
                    for number in range(20):
                        before.append(made("before", number))
                with path.open("ab") as file:
                    file.write(b'no record\n{"torn')
                _remount(place, "ro")
                with opened(kind, path) as store:
                    tried += _refused(store, before.acknowledged, outcome_log)
                _remount(place, "rw")
                with opened(kind, path) as store:
                    after = CheckedStore(store, outcome_log)
                    after.is_damaged = True
                    after.append(made("after", 0))
                    after.do("recover")
                    after.is_damaged = False
                    reported = before.acknowledged + after.acknowledged
                    outcome_log.check_records(after.do("read"), reported)
                    outcome_log.expect("broken", "not clean", holds=after.do("scan").clean)
    return outcome_log.outcome("read-only file system", f"{tried} changes refused")


def _remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


def _refused(store: PersistenceBackend, acknowledged: list[str], outcome_log: OutcomeLog) -> int:
    """Look, which works, and try to change something, which does not."""
    checked_store = CheckedStore(store, outcome_log)
    checked_store.is_damaged = True
    outcome_log.check_records(checked_store.do("read"), acknowledged)
    outcome_log.expect("broken", "a scan", holds=checked_store.do("scan").found == 2)
    for change in ("append", "compact", "recover"):
        checked_store.do(change, *([made("refused", 0)] if change == "append" else []))
        error = checked_store.error
        refused = isinstance(error, StoreIOError) and error.errno == errno.EROFS
        outcome_log.expect("broken", f"{change} ended with {error!r}", holds=refused)
    outcome_log.check_records(checked_store.do("read"), acknowledged)
    return 3
