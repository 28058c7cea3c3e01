"""Writers that are killed by SIGKILL in the middle of whatever they do."""

import random
import time
from pathlib import Path
from typing import Final

from faults import workers
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.process_pool import ProcessPool
from faults.scratch_stores import KINDS, scratch, url

from papyra import open_counters

#: Kills of one store.
_ROUNDS: Final = 8
#: Threads of one writer at the most.
_THREADS: Final = 3


def run(*, long: bool) -> Outcome:
    """Kill processes that write, compact, repair and undo, after 2 to 30 ms each."""
    outcome_log = OutcomeLog()
    kill_count = acked = 0
    with scratch() as place, ProcessPool(place) as process_pool:
        while kill_count < (700 if long else 60):
            for kind in KINDS:
                for max_files in (None, 3) if kind == "rotating" else (None,):
                    with scratch(on_disk=long) as directory:
                        store = _Store(kind, max_files, directory, outcome_log, process_pool)
                        for number in range(_ROUNDS):
                            kill_count += store.round(number)
                        acked += len(store.acknowledged)
    return outcome_log.outcome("kill -9", f"{kill_count:,} kills, {acked:,} records acknowledged")


class _Store:
    """
    A store whose writers are killed round after round.

    Attributes:
        acknowledged: Ids that another process, which lives on, was sent.
    """

    def __init__(
        self,
        kind: str,
        max_files: int | None,
        directory: Path,
        outcome_log: OutcomeLog,
        process_pool: ProcessPool,
    ) -> None:
        self.acknowledged: list[str] = []
        where = url(kind, directory / "store.ndjson", max_files=max_files)
        sync = random.choice(("none", "interval", "always"))
        self._url = f"{where}{'&' if '?' in where else '?'}sync={sync}"
        self._drops = max_files is not None
        self._directory = directory
        self._outcome_log = outcome_log
        self._process_pool = process_pool
        self._in_flight = 0

    def round(self, number: int) -> int:
        """Start writers, and perhaps others; kill them all, look, and return how many they were."""
        acks = [self._directory / f"acks-{number}-{n}" for n in range(random.choice((1, 1, 2)))]
        threads = random.choice((1, _THREADS))
        never = self._directory / "never"
        pids = [
            self._process_pool.start(workers.write, self._url, each, each.name, threads, None)
            for each in acks
        ]
        self._in_flight += len(pids) * threads * workers.MOST_AT_ONCE
        beside = random.choice((None, None, workers.compact, workers.repair))
        if beside is not None:
            pids.append(self._process_pool.start(beside, self._url, never))
        time.sleep(random.uniform(0.002, 0.030))
        random.shuffle(pids)
        for pid in pids:
            self._process_pool.kill(pid)
        for each in acks:
            self.acknowledged += workers.acknowledged(each)
        self._check(number)
        return len(pids)

    def _check(self, number: int) -> None:
        outcome_log = self._outcome_log
        with workers.opened(self._url) as store:
            outcome_log.check_records(store.read(), self.acknowledged, oldest_dropped=self._drops)
            self.acknowledged.append(store.append(made(f"after {number}", 1)))
            stored = outcome_log.check_records(
                store.read(), self.acknowledged, oldest_dropped=self._drops
            )
            if number % 2:
                store.recover()
                found = store.scan().anomalies
                outcome_log.expect("broken", f"after recover: {found}", holds=not found)
                outcome_log.check_records(
                    store.read(), self.acknowledged, oldest_dropped=self._drops
                )
        counted = open_counters(self._url).read().totals()
        written = counted["records_written"]
        holds = len(self.acknowledged) <= written and (
            self._drops or written <= stored <= written + self._in_flight
        )
        reported = f"{len(self.acknowledged)} <= {written} <= {stored} <= + {self._in_flight}"
        outcome_log.expect("miscounted", reported, holds=holds)
        for part, whole in (
            ("recovery_failures", "recovery_attempts"),
            ("compaction_errors", "compactions_triggered"),
        ):
            outcome_log.expect("miscounted", f"{counted}", holds=counted[part] <= counted[whole])
        errors = counted["write_errors"], counted["read_errors"]
        outcome_log.expect("miscounted", f"{counted}", holds=errors == (0, 0))
