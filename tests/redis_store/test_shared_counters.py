"""The counters that every host sees."""

import json
import time
from typing import Any

import pytest
from children import run_program
from redis_kind import Redis
from redis_proxy import Proxy
from stores import counts, event

from papyra import NotPublishedError, StoreNotFoundError, open_counters
from papyra.backends.redis import RedisBackend
from papyra.backends.redis.client import Link, Message
from papyra.backends.redis.scripts.counters import REPORT, REPORTED
from papyra.backends.redis.shared_counters import Report
from papyra.metrics.totals import RESET_DONE


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
    counter_totals = shared.read()
    assert (counter_totals.snapshot(), counter_totals.since >= begin) == (expected, True)

    assert shared.reset() == expected
    assert shared.read().snapshot() == counts()
    assert one.metrics.snapshot()["records_written"] == 3  # counters of its own
    assert one.metrics.reset()["records_written"] == 3
    other.append(event(5))
    other.compact()
    one.close()
    other.close()
    assert shared.reset() == counts(records_written=1, compactions_triggered=1)
    assert shared.read().totals() == counts(
        records_written=5, records_read=3, read_errors=1, compactions_triggered=1
    )


def test_a_killed_writer_is_counted_to_its_last_acknowledged_batch(kind: Redis) -> None:
    child = run_program("killed_writer", kind.url, check=False)
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


def test_what_was_told_and_not_acknowledged_counts_once(kind: Redis) -> None:
    with Proxy(kind.server.port) as proxy:
        address = f"redis://127.0.0.1:{proxy.port}"
        with RedisBackend(address, name=kind.store_name) as one:
            one.append(event(1))
            one.read()
            # The report of the scan arrives, its reply does not: it is told again by the append.
            proxy.about = REPORT.sha.encode()
            proxy.cuts = ["after"]
            one.scan()
            assert proxy.done == 1
            proxy.about = b"EVALSHA"
            one.append(event(2))
            assert open_counters(kind.url).read().snapshot() == counts(
                records_written=2, records_read=1, scan_operations=1
            )


def test_a_report_that_comes_late_neither_counts_nor_is_taken_for_the_last_one(kind: Redis) -> None:
    """Two threads tell of one object: what was said later may be there first."""
    with kind.open() as one:
        one.append(event(1))
        early, late, last = (
            Report("o" * 16, (0,) * len(REPORTED), (number, *[0] * (len(REPORTED) - 1)))
            for number in (1, 3, 4)
        )
        for report in (late, early, late, last, early):
            one._link.run(REPORT, report.object, report.text)
        assert open_counters(kind.url).read().snapshot() == counts(
            **{"records_written": 1, REPORTED[0]: 4}
        )


def test_an_interrupted_reset_tells_its_interval_beside_what_the_interrupt_tells_already(
    kind: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts = [KeyboardInterrupt()]
    interrupts[0].add_note("an earlier note")
    real = Link.deliver

    def deliver(link: Link, message: Message, *, patient: bool = True) -> Any:
        reply = real(link, message, patient=patient)
        if interrupts:  # the server has done it, and its reply is lost
            message.doubtful = True
            raise interrupts.pop()
        return reply

    with kind.open() as store:
        store.append(event(1))
        shared = open_counters(kind.url)
        monkeypatch.setattr(Link, "deliver", deliver)
        with pytest.raises(KeyboardInterrupt) as caught:
            shared.reset()
        earlier, note = caught.value.__notes__
        assert earlier == "an earlier note"
        assert json.loads(note.removeprefix(RESET_DONE)) == counts(records_written=1)
        assert shared.read().snapshot() == counts()
