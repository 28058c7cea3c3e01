"""Disks that are full, and files that may not grow, until there is space again."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from faults.account import Account, made
from faults.nursery import Nursery
from faults.outcome import Outcome
from faults.places import KINDS, mounted, opened, scratch
from faults.watched import Watched

#: Appends that are refused before somebody makes space.
_REFUSALS: Final = 8
_GARBAGE: Final = b"no record\n"


def disk(*, long: bool) -> Outcome:
    """Write until a small file system is full, and go on when something else was removed."""
    account = Account()
    tried = refused = 0
    for kind in KINDS:
        for size in range(48, 176, 8) if long else (64, 100):
            for _ in range(4 if long else 1):
                with mounted("-t", "tmpfs", "-o", f"size={size}k", "tmpfs") as place:
                    filler = place / "filler"
                    filler.write_bytes(bytes(size * 614))  # six tenths
                    refused += _fill(kind, place, account, filler.unlink)
                    tried += 1
    return account.outcome("full disk", f"{tried} disks, {refused:,} operations refused")


def limit(*, long: bool) -> Outcome:
    """Write until a file is as long as this process may make one, then raise the limit."""
    account = Account()
    tried = refused = 0
    with scratch() as place, Nursery(place) as nursery:
        for kind in KINDS:
            for size in range(300, 1700, 20 if long else 200):
                with scratch() as directory:
                    seed = random.random()
                    found, failures = nursery.call(_fill_limited, kind, directory, size, seed)
                    account.merge(found)
                    refused += failures
                    tried += 1
    return account.outcome("file size limit", f"{tried} limits, {refused:,} operations refused")


def _fill_limited(kind: str, directory: Path, size: int, seed: float) -> tuple[Account, int]:
    import resource

    random.seed(seed)
    account = Account()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        failures = _fill(
            kind,
            directory,
            account,
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return account, failures


def _fill(kind: str, directory: Path, account: Account, make_space: Callable[[], object]) -> int:
    """Write until it fails and beyond, make space, go on; return the operations that failed."""
    path = directory / "store.ndjson"
    sync = random.choice(("always", "interval"))
    options = {"max_bytes": 4000} if kind == "rotating" else {}
    with opened(kind, path, sync=sync, **options) as store:
        watched = Watched(store, account)
        watched.append(made("first", 1, 1))
        with path.open("ab") as file:  # something for the remedies to do
            file.write(_GARBAGE)
        watched.is_damaged = True
        _append_until_refused(watched)
        # The remedies need space themselves: they may fail, and may not make it worse.
        watched.do("compact")
        _check(watched, account)
        watched.do("recover")
        _append_until_refused(watched)
        _check(watched, account)
        make_space()
        before = len(watched.acknowledged)
        for number in range(5):
            watched.append(made("space", number, 30))
        holds = len(watched.acknowledged) == before + 5
        account.expect("broken", f"refused though there is space: {watched.error!r}", holds=holds)
        watched.do("compact")
        watched.do("recover")
        watched.is_damaged = False
        _check(watched, account)
    with opened(kind, path) as again:
        account.check_records(again.read(strict=True), watched.acknowledged)
    return watched.failures


def _append_until_refused(watched: Watched) -> None:
    start = watched.failures
    who = f"writer {start}"
    number = 0
    while watched.failures < start + _REFUSALS:
        n = random.choice((1, 1, 4))
        watched.append(*(made(who, number + i, random.randrange(2000)) for i in range(n)))
        number += n


def _check(watched: Watched, account: Account) -> None:
    """Expect exactly what was acknowledged, nothing half-written, and counts that say so."""
    stored = account.check_records(watched.do("read"), watched.acknowledged)
    written = watched.store.metrics.totals()["records_written"]
    told = f"{len(watched.acknowledged)} acknowledged, {written} written, {stored} stored"
    holds = len(watched.acknowledged) == written == stored
    account.expect("miscounted", told, holds=holds)
    found = watched.do("scan").anomalies
    known = all(a.length == len(_GARBAGE) for a in found) and len(found) <= watched.is_damaged
    account.expect("broken", f"half-written: {found}", holds=known)
