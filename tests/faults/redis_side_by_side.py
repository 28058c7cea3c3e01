"""Four processes that write to one Redis store, and others that compact, scan and repair it beside them."""

from pathlib import Path
from typing import Final

import redis
from faults import redis_scratch, workers
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog
from faults.process_pool import ProcessPool
from faults.scratch_stores import scratch

from papyra import Retention, open_counters, open_store

_WRITERS: Final = 4
_THREADS: Final = 2
#: What the compactions of the second store keep.
_KEPT: Final = 50


def run(*, long: bool) -> Outcome:
    """Write, compact, scan and repair at once, keeping all records or the newest."""
    outcome_log = OutcomeLog()
    acked = looks = 0
    calls = 3000 if long else 100
    with (
        scratch() as place,
        ProcessPool(place) as process_pool,
        redis_scratch.server(place) as server,
    ):
        for keeps in (10**9, _KEPT):
            with scratch() as directory:
                url = f"redis://127.0.0.1:{server.port}?name=keeps{keeps}"
                acks = [directory / f"acks-{n}" for n in range(_WRITERS)]
                until = directory / "the writers are done"
                writers = [
                    process_pool.start(workers.write, url, each, each.name, _THREADS, calls)
                    for each in acks
                ]
                others = [
                    process_pool.start(do, url, keeps, until) for do in (compact, repair, scan)
                ]
                for pid in writers:
                    process_pool.wait(pid)
                until.touch()
                dropped, damaged, scans = (process_pool.wait(pid) for pid in others)
                acknowledged = [id_ for each in acks for id_ in workers.acknowledged(each)]
                _check(url, keeps, acknowledged, dropped, outcome_log)
                acked += len(acknowledged)
                looks += scans + damaged
    reported = f"{acked:,} records, {looks:,} live scans and repairs"
    return outcome_log.outcome("Redis: processes side by side", reported)


def _check(
    url: str, keeps: int, acknowledged: list[str], dropped: int, outcome_log: OutcomeLog
) -> None:
    with open_store(url, retention=Retention(max_records=keeps)) as store:
        store.recover()
        report = store.compact()
        dropped += report.dropped
        found = store.read(strict=True)
        outcome_log.check_records(found, acknowledged if keeps > _KEPT else ())
        reported = f"{len(acknowledged)} acknowledged, {dropped} dropped, {len(found)} there"
        outcome_log.expect("lost", reported, holds=dropped + len(found) == len(acknowledged))
        outcome_log.expect("broken", reported, holds=len(found) == min(keeps, len(acknowledged)))
    shared = open_counters(url).read().snapshot()
    exact = shared["records_written"] == len(acknowledged) and not shared["write_errors"]
    outcome_log.expect("miscounted", f"{shared}, {reported}", holds=exact)


def compact(url: str, keeps: int, until: Path) -> int:
    """Compact again and again *until* a file is there; return how many records that dropped."""
    dropped = 0
    with open_store(url, retention=Retention(max_records=keeps)) as store:
        while not until.exists():
            dropped += store.compact().dropped
    return dropped


def repair(url: str, _: int, until: Path) -> int:
    """Put damage into the stream and recover it, *until* a file is there; return how often."""
    done = 0
    with open_store(url) as store, redis.Redis.from_url(url.partition("?")[0]) as client:
        while not until.exists():
            client.xadd(store.source, {"line": b"\xff no record"})
            store.recover()
            done += 1
    return done


def scan(url: str, _: int, until: Path) -> int:
    """Scan and read again and again *until* a file is there; return how often."""
    done = 0
    with open_store(url) as store:
        while not until.exists():
            store.scan()
            store.read(limit=20)
            done += 1
    return done
