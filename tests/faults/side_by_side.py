"""Everything that may be done to one store, done at once by processes of their own."""

from pathlib import Path
from typing import Final

from faults import workers
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog
from faults.process_pool import ProcessPool
from faults.scratch_stores import KINDS, scratch, url

from papyra import Anomaly, Record, Retention, open_counters, open_store

_WRITERS: Final = 3
_THREADS: Final = 2
#: Lets through whatever a compaction is given: it rewrites, and nothing goes.
_PLENTY: Final = Retention(max_records=10**9)


def run(*, long: bool) -> Outcome:
    """Write, rotate, compact, repair, scan and read at once, and count what comes of it."""
    outcome_log = OutcomeLog()
    acked = looks = 0
    calls = 5000 if long else 300
    with scratch() as place, ProcessPool(place) as process_pool:
        for kind in KINDS:
            for max_files in (None, 4) if kind == "rotating" else (None,):
                # Damage is put behind the records in one of two: the other may have no findings.
                for repairs in (False, True):
                    with scratch() as directory:
                        where = url(kind, directory / "store.ndjson", max_files=max_files)
                        here = _Crowd(where, directory, outcome_log, drops=max_files is not None)
                        looks += here.run(process_pool, calls, repairs=repairs)
                        acked += here.check()
    return outcome_log.outcome("processes side by side", f"{acked:,} records, {looks:,} live looks")


class _Crowd:
    """Three writers, and those who disturb them."""

    def __init__(
        self, where: str, directory: Path, outcome_log: OutcomeLog, *, drops: bool
    ) -> None:
        self._url = where
        self._until = directory / "the writers are done"
        self._acks = [directory / f"acks-{n}" for n in range(_WRITERS)]
        self._outcome_log = outcome_log
        self._drops = drops

    def run(self, process_pool: ProcessPool, calls: int, *, repairs: bool) -> int:
        """Have all of them do their part; return how often somebody looked."""
        writers = [
            process_pool.start(workers.write, self._url, each, each.name, _THREADS, calls)
            for each in self._acks
        ]
        beside = (scan, read_newest, compact, workers.repair if repairs else workers.compact)
        others = [process_pool.start(each, self._url, self._until) for each in beside]
        for pid in writers:
            process_pool.wait(pid)
        self._until.touch()
        scans, findings = process_pool.wait(others[0])
        reads, wrong = process_pool.wait(others[1])
        for pid in others[2:]:
            process_pool.wait(pid)
        if not repairs:
            for finding in findings:
                self._outcome_log.note("broken", f"found in a live scan: {finding}")
        for what in wrong:
            self._outcome_log.note("broken", what)
        return int(scans + reads)

    def check(self) -> int:
        """Compare what is there with what was acknowledged; return the number of the latter."""
        acknowledged = [id_ for each in self._acks for id_ in workers.acknowledged(each)]
        outcome_log = self._outcome_log
        with workers.opened(self._url) as store:
            store.recover()
            stored = outcome_log.check_records(
                store.read(strict=True), acknowledged, oldest_dropped=self._drops
            )
        counted = open_counters(self._url).read().totals()
        exact = counted["records_written"] == len(acknowledged) and (
            self._drops or stored == len(acknowledged)
        )
        errors = {name: n for name, n in counted.items() if name in _ERRORS and n}
        what = f"{counted}, {len(acknowledged)} acknowledged, {stored} stored"
        outcome_log.expect("miscounted", what, holds=exact and not errors)
        return len(acknowledged)


_ERRORS: Final = ("write_errors", "read_errors", "recovery_failures", "compaction_errors")


def compact(url: str, until: Path) -> int:
    """Compact with a retention that keeps everything, as a second program may."""
    done = 0
    with open_store(url, retention=_PLENTY, lock_timeout=workers.PATIENCE) as store:
        while not until.exists():
            store.compact()
            done += 1
    return done


def scan(url: str, until: Path) -> tuple[int, list[Anomaly]]:
    """Scan again and again; return how often, and what was found."""
    done = 0
    found: list[Anomaly] = []
    with workers.opened(url) as store:
        while not until.exists():
            found += store.scan().anomalies
            done += 1
    return done, found


def read_newest(url: str, until: Path) -> tuple[int, list[str]]:
    """Read the newest records again and again; return how often, and what was wrong with them."""
    done, wrong = 0, []
    newest: dict[str, int] = {}
    with workers.opened(url) as store:
        while not until.exists():
            records = store.read(limit=20)
            if len(records) > 20:
                wrong.append(f"limit=20 gave {len(records)} records")
            wrong += _out_of_order(records)
            # The last of each writer's can only rise, whatever is rotated or rewritten meanwhile.
            for record in records:
                who, number = record.data["who"], record.data["n"]
                newest[who] = max(newest.get(who, -1), number)
            last = {record.data["who"]: record.data["n"] for record in records}
            wrong += [f"{w} went back to {n}" for w, n in last.items() if n < newest[w]]
            done += 1
    return done, wrong


def _out_of_order(records: list[Record]) -> list[str]:
    for who in {record.data["who"] for record in records}:
        numbers = [record.data["n"] for record in records if record.data["who"] == who]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            return [f"{who} is read as {numbers}"]
    return []
