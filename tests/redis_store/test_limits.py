"""Large batches, large entries, large stores, and servers that forget or stand still."""

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_kind import Redis
from redis_proxy import Proxy
from stores import counts, event, numbers

import papyra
from papyra import RecordError, StoreIOError, WriteOutcomeUnknownError
from papyra.backends.redis import RedisBackend, store
from papyra.format.codec import encode, seal
from servers import REDIS_SERVERS, Server, running_redis

MIB = 1024 * 1024


@pytest.fixture(params=REDIS_SERVERS)
def lone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, of each version."""
    with running_redis(request.param, tmp_path) as running:
        yield running


def admin(server: Server) -> Any:
    return redis.Redis(port=server.port, protocol=2)


def test_a_batch_may_be_large(kind: Redis) -> None:
    with kind.open() as large:
        ids = large.append_many(event(n) for n in range(50_000))
        assert [record.id for record in large.records()] == ids
        large.append_many([event(n, pad="x" * (8 * MIB)) for n in range(4)])
        assert numbers(large.read(limit=4)) == [0, 1, 2, 3]


def test_a_batch_that_no_server_takes_is_refused_before_it_is_sent(
    kind: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind.open() as one:
        for limit, what in (
            ("_MOST", "a batch must have at most [0-9,]+ bytes, got "),
            ("_MOST_RECORDS", "a batch must have at most [0-9,]+ records, got "),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(store, limit, 5)
                with pytest.raises(RecordError, match=what):
                    one.append_many([event(n) for n in range(6)])
        assert one.metrics.snapshot() == counts(write_errors=2)
        assert kind.stored() == 0


def test_a_stream_without_ids_left_takes_nothing_of_a_batch(kind: Redis) -> None:
    last = 2**64 - 1
    with kind.open() as one:
        one.append(event(1))
        kind.client.execute_command(
            "XADD", kind.key("records"), f"{last}-{last - 1}", "line", b"the last but one"
        )
        with pytest.raises(StoreIOError, match="exhausted"):
            one.append_many([event(2), event(3)])  # the first of them still finds an id
        assert kind.stored() == 2
        assert one.metrics.snapshot() == counts(records_written=1, write_errors=1)
        assert papyra.open_counters(kind.url).read().totals()["records_written"] == 1


def test_the_newest_few_are_one_page(kind: Redis) -> None:
    with kind.open() as one:
        one.append_many([event(n) for n in range(3000)])
    with Proxy(kind.server.port, about=b"XREVRANGE") as proxy:
        address = f"redis://127.0.0.1:{proxy.port}"
        with RedisBackend(address, name=kind.store_name) as one:
            one.read(limit=1)  # the script is known now
            seen: list[None] = [None] * 100
            proxy.cuts = list(seen)
            assert numbers(one.read(limit=10)) == list(range(2990, 3000))
            assert len(seen) - len(proxy.cuts) == 1


def test_large_entries_after_tiny_ones_do_not_fill_the_memory(kind: Redis) -> None:
    with kind.open() as one:
        one.append_many([event(n) for n in range(3000)])
        for n in range(60):
            one.append(event(3000 + n, pad="x" * MIB))
        tracemalloc.start()
        assert sum(1 for _ in one.records()) == 3060
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # A page is at most eight entries more than its megabyte.
        assert peak < 40 * MIB


def test_an_entry_that_no_record_can_be_is_not_held(kind: Redis) -> None:
    with kind.open() as one:
        one.append(event(1))
        kind.put_entry({"any": b"x" * (20 * MIB), "\xff": b""})
        assert numbers(one.read()) == [1]
        assert [anomaly.type for anomaly in one.scan().anomalies] == ["oversized_line"]
        assert one.recover().clean


def test_an_entry_with_a_newline_in_it_is_one_line(kind: Redis) -> None:
    one, other = (seal(encode(event(n)), "w", n)[:-1] for n in (2, 3))
    with kind.open() as mixed:
        original = b'"system_id": "s", "actor_address": "a", "event_type": "t", "payload": {}'
        kind.put_entry(
            {"line": b'{"kind": "event",\n "timestamp": 1.0,\n "n": 1,\n%b}\n' % original}
        )
        kind.put_entry({"line": one + b"\n" + other})
        assert numbers(mixed.read()) == [1, 2, 3]
        assert mixed.recover().clean
        assert numbers(mixed.read(strict=True)) == [1, 2, 3]
        assert all(line.count(b"\n") == 1 for _, line in mixed._lines(newest_first=False))  # type: ignore[union-attr]  # none is too long


def test_a_server_that_forgot_its_scripts_is_told_them_again(kind: Redis) -> None:
    with kind.open() as one:
        for n in range(3):
            one.append(event(n))
            kind.client.script_flush()
        assert numbers(one.read()) == [0, 1, 2]
        kind.client.script_flush()
        assert papyra.open_counters(kind.url).reset()["records_written"] == 3


def test_a_store_that_somebody_removed_begins_anew(kind: Redis) -> None:
    with kind.open() as one:
        one.append(event(1))
        one.scan()
        kind.client.delete(*map(kind.key, ("records", "writers", "counters", "quarantine")))
        one.append(event(2))
        one.scan()
        assert numbers(one.read()) == [2]
        assert one.metrics.totals()["records_written"] == 2
    shared = papyra.open_counters(kind.url).read().snapshot()
    assert shared == counts(records_written=1, scan_operations=1, records_read=1)


def test_entries_that_others_trim_and_delete_are_gone_and_nothing_else(kind: Redis) -> None:
    with kind.open() as one:
        one.append_many([event(n) for n in range(2000)])
        entries = kind.client.xrange(kind.key("records"), count=600)
        stream = one.records()
        assert next(stream).data["n"] == 0
        kind.client.xdel(kind.key("records"), *(entries[n][0] for n in (500, 550)))
        assert numbers(list(stream)) == [n for n in range(1, 2000) if n not in {500, 550}]
        kind.client.xtrim(kind.key("records"), maxlen=10, approximate=False)
        assert numbers(one.read()) == list(range(1990, 2000))
        assert one.scan().clean


def test_numbers_beyond_what_a_double_holds_are_no_problem_that_anybody_meets(kind: Redis) -> None:
    near = 2**53 - 3
    with kind.open() as one:
        one.append(event(0))
        kind.client.hset(kind.key("counters"), "records_written", near)
        one.append(event(1))
    shared = papyra.open_counters(kind.url)
    assert shared.read().snapshot()["records_written"] == near + 1
    assert shared.reset()["records_written"] == near + 1
    assert shared.read().snapshot() == counts()


def test_damaged_counters_are_said_to_be_damaged(kind: Redis) -> None:
    with kind.open() as one:
        one.append(event(1))
    kind.client.hset(kind.key("counters"), "records_written", "many")
    with pytest.raises(papyra.NotPublishedError, match="delete this key to count from zero"):
        papyra.open_counters(kind.url).read()


def test_a_busy_server_is_waited_for(lone: Server) -> None:
    """Another's script runs for ever; what came meanwhile was refused, and is not in doubt."""
    with (
        admin(lone) as client,
        papyra.open_store(f"redis://127.0.0.1:{lone.port}?timeout=3") as one,
    ):
        one.append(event(1))
        for name in ("lua-time-limit", "busy-reply-threshold"):
            try:
                client.config_set(name, 10)
            except redis.ResponseError:
                continue
        blocked = client.connection_pool.get_connection()
        blocked.send_command("EVAL", "while true do end", 0)
        while not _is_busy(client):
            time.sleep(0.01)
        with pytest.raises(StoreIOError, match="BUSY") as raised:
            one.append(event(2))
        assert not isinstance(raised.value, WriteOutcomeUnknownError)
        client.script_kill()
        blocked.disconnect()
        one.append(event(3))
        assert numbers(one.read()) == [1, 3]
        assert one.metrics.snapshot() == counts(records_written=2, write_errors=1, records_read=2)


def _is_busy(client: Any) -> bool:
    try:
        client.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


def test_a_line_longer_than_the_server_takes_is_an_error_that_says_so(lone: Server) -> None:
    with (
        admin(lone) as client,
        papyra.open_store(f"redis://127.0.0.1:{lone.port}?timeout=1") as one,
    ):
        client.config_set("proto-max-bulk-len", MIB)
        one.append(event(1))
        with pytest.raises(StoreIOError, match=r"did not reply|bulk length"):
            one.append(event(2, pad="x" * (2 * MIB)))
        one.append(event(3))
        assert numbers(one.read()) == [1, 3]
