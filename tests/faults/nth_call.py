"""The n-th system call of every operation of a store fails, for every n."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from faults.checked_store import CheckedStore
from faults.failing_calls import FAULTS, FailingCalls
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.scratch_stores import KINDS, opened, scratch

from papyra import PapyraError, Retention
from papyra.backends.files.store import FileBackend

#: The records that the workload's last compaction leaves: all.
_ALL: Final = Retention(max_records=1000)


def run(*, long: bool) -> Outcome:
    """Let each call fail in each way; in the short form some, at random."""
    outcome_log = OutcomeLog()
    tried = 0
    for kind in KINDS:
        for sync in ("always", "interval"):
            if not long and sync == "interval":
                continue
            with scratch() as directory:
                number = _Workload(kind, directory, outcome_log, sync).run(FailingCalls("EIO", 0))
            for fault in FAULTS:
                chosen = range(1, number + 1)
                for at in chosen if long else random.sample(chosen, 50):
                    with scratch() as directory:
                        calls = FailingCalls(fault, at)
                        _Workload(kind, directory, outcome_log, sync).run(calls)
                        tried += bool(calls.failed)
    return outcome_log.outcome("n-th system call fails", f"{tried:,} calls")


class _Workload:
    """Every operation of a store, in a directory of its own."""

    def __init__(self, kind: str, directory: Path, outcome_log: OutcomeLog, sync: str) -> None:
        self._path = directory / "store.ndjson"
        self._open: Callable[[], FileBackend] = partial(
            opened, kind, self._path, retention=_ALL, sync=sync
        )
        self._outcome_log = outcome_log
        self._checked_store: list[CheckedStore] = []
        self._number = 0

    def run(self, calls: FailingCalls) -> int:
        """Do it all while *calls* are in the way, and look at what came of it; return their number."""
        with calls.in_the_way():
            checked_store = self._opened()
            for _ in range(4):
                self._append(checked_store)
            self._append(checked_store, 3)
            self._damage()
            checked_store.is_damaged = True
            self._append(checked_store)
            report = checked_store.do("recover")
            checked_store.do("read")
            if report is not None and report.quarantine is not None:
                checked_store.do("recover", undo=report.quarantine)
            self._append(checked_store, 2)
            checked_store.do("scan")
            checked_store.do("compact")
            self._append(checked_store)
            checked_store = self._reopened_if_failed(checked_store)
            self._append(checked_store)
            checked_store.do("close")
        for each in self._checked_store:
            each.store.close()
        self._check(f"{calls.failed} as call {calls.made}")
        return calls.made

    def _opened(self) -> CheckedStore:
        try:
            store = self._open()
        except (PapyraError, KeyboardInterrupt):
            store = self._open()  # a call fails once
        self._checked_store.append(CheckedStore(store, self._outcome_log))
        return self._checked_store[-1]

    def _reopened_if_failed(self, checked_store: CheckedStore) -> CheckedStore:
        if not checked_store.is_final:
            return checked_store
        checked_store.do("close")
        again = self._opened()
        again.is_damaged = True
        return again

    def _append(self, checked_store: CheckedStore, n: int = 1) -> None:
        checked_store.append(*(made("one", self._number + i) for i in range(n)))
        self._number += n

    def _damage(self) -> None:
        """Put a line of garbage and a torn one behind the records, as a stranger would."""
        with self._path.open("ab") as file:
            file.write(b'no record\n{"kind":"event","timesta')

    def _check(self, reported: str) -> None:
        """Compare the store, opened anew, with what its operations reported."""
        outcome_log = self._outcome_log
        acknowledged = [id_ for each in self._checked_store for id_ in each.acknowledged]
        written = sum(
            each.store.metrics.totals()["records_written"] for each in self._checked_store
        )
        uncertain = sum(each.uncertain for each in self._checked_store)
        with self._open() as store:
            checked_store = CheckedStore(store, outcome_log)
            checked_store.is_damaged = True
            stored = outcome_log.check_records(checked_store.do("read"), acknowledged)
            holds = len(acknowledged) <= written <= stored <= written + uncertain
            what = f"{len(acknowledged)} <= {written} <= {stored} <= + {uncertain} after {reported}"
            outcome_log.expect("miscounted", what, holds=holds)
            checked_store.append(made("after", 1))
            checked_store.do("recover")
            checked_store.is_damaged = False
            found = checked_store.do("scan").anomalies
            outcome_log.expect("broken", f"{found} after {reported}", holds=not found)
            outcome_log.check_records(
                checked_store.do("read"), acknowledged + checked_store.acknowledged
            )
