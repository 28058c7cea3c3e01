"""The n-th system call goes wrong, for every n of all that a store can be told to do."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from faults.account import Account, made
from faults.failing_calls import FAULTS, FailingCalls
from faults.outcome import Outcome
from faults.places import KINDS, opened, scratch
from faults.watched import Watched

from papyra import PapyraError, Retention
from papyra.backends.files.store import FileBackend

#: The records that the workload's last compaction leaves: all.
_ALL: Final = Retention(max_records=1000)


def run(*, long: bool) -> Outcome:
    """Let each call fail in each way; in the short form some, at random."""
    account = Account()
    tried = 0
    for kind in KINDS:
        for sync in ("always", "interval"):
            if not long and sync == "interval":
                continue
            with scratch() as directory:
                number = _Workload(kind, directory, account, sync).run(FailingCalls("EIO", 0))
            for fault in FAULTS:
                chosen = range(1, number + 1)
                for at in chosen if long else random.sample(chosen, 50):
                    with scratch() as directory:
                        calls = FailingCalls(fault, at)
                        _Workload(kind, directory, account, sync).run(calls)
                        tried += bool(calls.failed)
    return account.outcome("n-th system call fails", f"{tried:,} calls")


class _Workload:
    """Everything that a store can be told, in a directory of its own."""

    def __init__(self, kind: str, directory: Path, account: Account, sync: str) -> None:
        self._path = directory / "store.ndjson"
        self._open: Callable[[], FileBackend] = partial(
            opened, kind, self._path, retention=_ALL, sync=sync
        )
        self._account = account
        self._watched: list[Watched] = []
        self._number = 0

    def run(self, calls: FailingCalls) -> int:
        """Do it all while *calls* are in the way, and look at what came of it; return their number."""
        with calls.in_the_way():
            watched = self._opened()
            for _ in range(4):
                self._append(watched)
            self._append(watched, 3)
            self._damage()
            watched.is_damaged = True
            self._append(watched)
            report = watched.do("recover")
            watched.do("read")
            if report is not None and report.quarantine is not None:
                watched.do("recover", undo=report.quarantine)
            self._append(watched, 2)
            watched.do("scan")
            watched.do("compact")
            self._append(watched)
            watched = self._reopened_if_failed(watched)
            self._append(watched)
            watched.do("close")
        for each in self._watched:
            each.store.close()
        self._check(f"{calls.failed} as call {calls.made}")
        return calls.made

    def _opened(self) -> Watched:
        try:
            store = self._open()
        except (PapyraError, KeyboardInterrupt):
            store = self._open()  # a call fails once
        self._watched.append(Watched(store, self._account))
        return self._watched[-1]

    def _reopened_if_failed(self, watched: Watched) -> Watched:
        if not watched.is_final:
            return watched
        watched.do("close")
        again = self._opened()
        again.is_damaged = True
        return again

    def _append(self, watched: Watched, n: int = 1) -> None:
        watched.append(*(made("one", self._number + i) for i in range(n)))
        self._number += n

    def _damage(self) -> None:
        """Put a line of garbage and a torn one behind the records, as a stranger would."""
        with self._path.open("ab") as file:
            file.write(b'no record\n{"kind":"event","timesta')

    def _check(self, told: str) -> None:
        """Compare the store, opened anew, with what was told."""
        account = self._account
        acknowledged = [id_ for each in self._watched for id_ in each.acknowledged]
        written = sum(each.store.metrics.totals()["records_written"] for each in self._watched)
        uncertain = sum(each.uncertain for each in self._watched)
        with self._open() as store:
            watched = Watched(store, account)
            watched.is_damaged = True
            stored = account.check_records(watched.do("read"), acknowledged)
            holds = len(acknowledged) <= written <= stored <= written + uncertain
            what = f"{len(acknowledged)} <= {written} <= {stored} <= + {uncertain} after {told}"
            account.expect("miscounted", what, holds=holds)
            watched.append(made("after", 1))
            watched.do("recover")
            watched.is_damaged = False
            found = watched.do("scan").anomalies
            account.expect("broken", f"{found} after {told}", holds=not found)
            account.check_records(watched.do("read"), acknowledged + watched.acknowledged)
