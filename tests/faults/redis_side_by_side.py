"""Four processes that write to one Redis store, and others that compact, scan and repair it beside them."""

from pathlib import Path
from typing import Final

import redis
from faults import redis_places, workers
from faults.account import Account
from faults.nursery import Nursery
from faults.outcome import Outcome
from faults.places import scratch

from papyra import Retention, open_counters, open_store

_WRITERS: Final = 4
_THREADS: Final = 2
#: What the compactions of the second store keep.
_KEPT: Final = 50


def run(*, long: bool) -> Outcome:
    """Write, compact, scan and repair at once, keeping all records or the newest."""
    account = Account()
    acked = looks = 0
    calls = 3000 if long else 100
    with scratch() as place, Nursery(place) as nursery, redis_places.server(place) as server:
        for keeps in (10**9, _KEPT):
            with scratch() as directory:
                url = f"redis://127.0.0.1:{server.port}?name=keeps{keeps}"
                acks = [directory / f"acks-{n}" for n in range(_WRITERS)]
                until = directory / "the writers are done"
                writers = [
                    nursery.start(workers.write, url, each, each.name, _THREADS, calls)
                    for each in acks
                ]
                others = [nursery.start(do, url, keeps, until) for do in (compact, repair, scan)]
                for pid in writers:
                    nursery.wait(pid)
                until.touch()
                dropped, damaged, scans = (nursery.wait(pid) for pid in others)
                acknowledged = [id_ for each in acks for id_ in workers.acknowledged(each)]
                _check(url, keeps, acknowledged, dropped, account)
                acked += len(acknowledged)
                looks += scans + damaged
    told = f"{acked:,} records, {looks:,} live scans and repairs"
    return account.outcome("Redis: processes side by side", told)


def _check(url: str, keeps: int, acknowledged: list[str], dropped: int, account: Account) -> None:
    with open_store(url, retention=Retention(max_records=keeps)) as store:
        store.recover()
        report = store.compact()
        dropped += report.dropped
        found = store.read(strict=True)
        account.check_records(found, acknowledged if keeps > _KEPT else ())
        told = f"{len(acknowledged)} acknowledged, {dropped} dropped, {len(found)} there"
        account.expect("lost", told, holds=dropped + len(found) == len(acknowledged))
        account.expect("broken", told, holds=len(found) == min(keeps, len(acknowledged)))
    shared = open_counters(url).read().snapshot()
    exact = shared["records_written"] == len(acknowledged) and not shared["write_errors"]
    account.expect("miscounted", f"{shared}, {told}", holds=exact)


def compact(url: str, keeps: int, until: Path) -> int:
    """Compact again and again *until* a file is there; return how many records that dropped."""
    dropped = 0
    with open_store(url, retention=Retention(max_records=keeps)) as store:
        while not until.exists():
            dropped += store.compact().dropped
    return dropped


def repair(url: str, _: int, until: Path) -> int:
    """Put damage into the stream and mend it, *until* a file is there; return how often."""
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
