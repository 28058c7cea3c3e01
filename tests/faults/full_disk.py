"""Disks that are full, and files that may not grow, until there is space again."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from faults.checked_store import CheckedStore
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.process_pool import ProcessPool
from faults.scratch_stores import KINDS, mounted, opened, scratch

#: Appends that are refused before somebody makes space.
_REFUSALS: Final = 8
_GARBAGE: Final = b"no record\n"


def disk(*, long: bool) -> Outcome:
    """Write until a small file system is full, and go on when something else was removed."""
    outcome_log = OutcomeLog()
    tried = refused = 0
    for kind in KINDS:
        for size in range(48, 176, 8) if long else (64, 100):
            for _ in range(4 if long else 1):
                with mounted("-t", "tmpfs", "-o", f"size={size}k", "tmpfs") as place:
                    filler = place / "filler"
                    filler.write_bytes(bytes(size * 614))  # six tenths
                    refused += _fill(kind, place, outcome_log, filler.unlink)
                    tried += 1
    return outcome_log.outcome("full disk", f"{tried} disks, {refused:,} operations refused")


def limit(*, long: bool) -> Outcome:
    """Write until a file is as long as this process may make one, then raise the limit."""
    outcome_log = OutcomeLog()
    tried = refused = 0
    with scratch() as place, ProcessPool(place) as process_pool:
        for kind in KINDS:
            for size in range(300, 1700, 20 if long else 200):
                with scratch() as directory:
                    seed = random.random()
                    found, failures = process_pool.call(_fill_limited, kind, directory, size, seed)
                    outcome_log.merge(found)
                    refused += failures
                    tried += 1
    return outcome_log.outcome("file size limit", f"{tried} limits, {refused:,} operations refused")


def _fill_limited(kind: str, directory: Path, size: int, seed: float) -> tuple[OutcomeLog, int]:
    import resource

    random.seed(seed)
    outcome_log = OutcomeLog()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        failures = _fill(
            kind,
            directory,
            outcome_log,
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return outcome_log, failures


def _fill(
    kind: str, directory: Path, outcome_log: OutcomeLog, make_space: Callable[[], object]
) -> int:
    """Write until it fails and beyond, make space, go on; return the operations that failed."""
    path = directory / "store.ndjson"
    sync = random.choice(("always", "interval"))
    options = {"max_bytes": 4000} if kind == "rotating" else {}
    with opened(kind, path, sync=sync, **options) as store:
        checked_store = CheckedStore(store, outcome_log)
        checked_store.append(made("first", 1, 1))
        with path.open("ab") as file:  # something for the remedies to do
            file.write(_GARBAGE)
        checked_store.is_damaged = True
        _append_until_refused(checked_store)
        # The remedies need space themselves: they may fail, and may not make it worse.
        checked_store.do("compact")
        _check(checked_store, outcome_log)
        checked_store.do("recover")
        _append_until_refused(checked_store)
        _check(checked_store, outcome_log)
        make_space()
        before = len(checked_store.acknowledged)
        for number in range(5):
            checked_store.append(made("space", number, 30))
        holds = len(checked_store.acknowledged) == before + 5
        outcome_log.expect(
            "broken", f"refused though there is space: {checked_store.error!r}", holds=holds
        )
        checked_store.do("compact")
        checked_store.do("recover")
        checked_store.is_damaged = False
        _check(checked_store, outcome_log)
    with opened(kind, path) as again:
        outcome_log.check_records(again.read(strict=True), checked_store.acknowledged)
    return checked_store.failures


def _append_until_refused(checked_store: CheckedStore) -> None:
    start = checked_store.failures
    who = f"writer {start}"
    number = 0
    while checked_store.failures < start + _REFUSALS:
        n = random.choice((1, 1, 4))
        checked_store.append(*(made(who, number + i, random.randrange(2000)) for i in range(n)))
        number += n


def _check(checked_store: CheckedStore, outcome_log: OutcomeLog) -> None:
    """Expect exactly what was acknowledged, nothing half-written, and counts that say so."""
    stored = outcome_log.check_records(checked_store.do("read"), checked_store.acknowledged)
    written = checked_store.store.metrics.totals()["records_written"]
    reported = f"{len(checked_store.acknowledged)} acknowledged, {written} written, {stored} stored"
    holds = len(checked_store.acknowledged) == written == stored
    outcome_log.expect("miscounted", reported, holds=holds)
    found = checked_store.do("scan").anomalies
    known = all(a.length == len(_GARBAGE) for a in found) and len(found) <= checked_store.is_damaged
    outcome_log.expect("broken", f"half-written: {found}", holds=known)
