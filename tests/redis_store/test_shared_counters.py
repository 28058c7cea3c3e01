"""The counters that every host sees."""

import subprocess
import sys
import time

import pytest
from redis_kind import Redis
from stores import counts, event

from papyra import NotPublishedError, StoreNotFoundError, open_counters


def test_they_are_the_sum_of_all_objects_and_a_reset_moves_the_baseline(kind: Redis) -> None:
    one, other = kind.open(), kind.open()
    shared = open_counters(kind.url)
    begin = int(time.time()) - 1
    one.append_many([event(1), event(2)])
    other.append(event(3))
    assert shared.read().snapshot() == counts(records_written=3)
    one.read()
    with pytest.raises(ValueError, match="limit"):
        one.read(limit=-1)
    assert shared.read().snapshot() == counts(records_written=3)  # reads ride on the next append
    one.append(event(4))
    expected = counts(records_written=4, records_read=3, read_errors=1)
    tally = shared.read()
    assert (tally.snapshot(), tally.since >= begin) == (expected, True)

    assert shared.reset() == expected
    assert shared.read().snapshot() == counts()
    assert one.metrics.snapshot()["records_written"] == 3  # a book of its own
    assert one.metrics.reset()["records_written"] == 3
    other.append(event(5))
    other.compact()
    one.close()
    other.close()
    assert shared.reset() == counts(records_written=1, compactions_triggered=1)
    assert [sum(pair) for pair in zip(shared.read().totals, [0] * 10, strict=True)] == list(
        counts(records_written=5, records_read=3, read_errors=1, compactions_triggered=1).values()
    )


KILLED = """
import os, sys, papyra
store = papyra.open_store(sys.argv[1])
for n in range(57):
    store.append(papyra.Record("event", data={"n": n}))
store.scan()
store.read()
print("acknowledged", flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_killed_writer_is_counted_to_its_last_acknowledged_batch(kind: Redis) -> None:
    child = subprocess.run(
        [sys.executable, "-c", KILLED, kind.url], capture_output=True, text=True, check=False
    )
    assert (child.stdout, child.returncode) == ("acknowledged\n", -9)
    # What it read after its last word is lost.
    assert open_counters(kind.url).read().snapshot() == counts(
        records_written=57, scan_operations=1
    )


def test_where_nothing_was_counted_there_are_no_zeros(kind: Redis) -> None:
    shared = open_counters(kind.url)
    for look in (shared.read, shared.reset):
        with pytest.raises(StoreNotFoundError, match="first append"):
            look()
    kind.put_entry({"line": b"somebody else's"})
    for look in (shared.read, shared.reset):
        with pytest.raises(NotPublishedError, match="nothing was counted yet"):
            look()


def test_looking_makes_no_store(kind: Redis) -> None:
    with kind.open() as store:
        assert store.scan().clean
        assert store.recover().clean
        store.compact()
        assert store.read() == []
    assert kind.client.keys(f"*{kind.store_name}*") == []


def test_a_lost_reply_to_a_reset_loses_no_interval(kind: Redis) -> None:
    from redis_proxy import Proxy

    with kind.open() as store:
        store.append(event(1))
    with Proxy(kind.server.port) as proxy:
        proxy.cuts = ["after"]
        shared = open_counters(kind.url.replace(str(kind.server.port), str(proxy.port)))
        assert shared.reset() == counts(records_written=1)
        assert proxy.done == 1
