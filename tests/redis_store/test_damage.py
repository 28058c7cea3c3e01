"""Entries that are none of papyra's, and what becomes of them."""

import time

import pytest
from cli.shell import intact
from redis_kind import Redis
from redis_proxy import Proxy
from redis_store.test_opening import papyra_cli
from stores import counts, event, numbers

from papyra import CorruptRecordError, PapyraError, Retention, UnsupportedError
from papyra.backends.redis import RedisBackend
from papyra.backends.redis.scripts.rewrite import FORGET, MOVE
from papyra.format.codec import MAX_LINE, encode, seal
from papyra.reading.keep import KeepFilter
from papyra.reading.scanner import Lines

STRANGE = [
    ({"line": b"\xff\xfe"}, "invalid_utf8"),
    ({"line": b""}, "corrupted_line"),
    ({"line": b" "}, "corrupted_line"),
    ({"line": b"\0\0"}, "nul_bytes"),
    ({"data": seal(encode(event(7)), "w", 1)[:-1]}, "corrupted_line"),
    ({"line": seal(encode(event(7)), "w", 1)[:-1], "more": b"1"}, "corrupted_line"),
    ({"\xff": b"\xff{"}, "corrupted_line"),
    ({"line": b"x" * MAX_LINE}, "oversized_line"),
    ({"line": seal(encode(event(7)), "w", 1)[:-30]}, "truncated_line"),
]


@pytest.mark.parametrize(("fields", "type_"), STRANGE, ids=lambda value: str(value)[:20])
def test_a_strange_entry_is_an_anomaly_with_its_id_and_can_be_moved_away(
    kind: Redis, fields: dict[str, bytes], type_: str
) -> None:
    with kind.open() as store:
        store.append(event(1))
        id_ = kind.put_entry(fields)
        store.append(event(2))

        assert numbers(store.read()) == numbers(list(store.records())) == [1, 2]
        assert numbers(store.read(limit=2)) == [1, 2]
        (anomaly,) = store.scan().anomalies
        assert (anomaly.type, anomaly.source, anomaly.offset) == (type_, store.source, id_)
        with pytest.raises(CorruptRecordError, match=f"entry {id_}"):
            store.read(strict=True)

        (step,) = store.recover(dry_run=True).plan
        assert (step.start, step.action, kind.stored()) == (id_, "quarantine", 3)
        report = store.recover()
        assert (report.clean, report.removed) == (True, anomaly.length)
        assert [entry.bytes for entry in store.quarantined()] == [anomaly.length]
        assert numbers(store.read(strict=True)) == [1, 2]
        ((_, saved),) = kind.client.xrange(kind.key("quarantine"))
        recovery, entry, why, *rest = saved.items()
        assert recovery == (b"recovery", str(report.quarantine).encode())
        assert (entry, why) == ((b"entry", id_.encode()), (b"anomaly", type_.encode()))
        assert rest.pop(0) == (b"bytes", str(anomaly.length).encode())
        assert dict(rest) == {key.encode(): value for key, value in fields.items()}


def test_records_that_share_an_entry_are_parted_and_what_is_between_them_is_saved(
    kind: Redis,
) -> None:
    with kind.open() as store:
        one, other = (seal(encode(event(n)), "w", n)[:-1] for n in (1, 2))
        kind.put_entry({"line": one + other})
        kind.put_entry(
            {"line": seal(encode(event(3)), "w", 3)[:20] + seal(encode(event(4)), "w", 4)[:-1]}
        )
        store.append(event(5))
        assert numbers(store.read()) == [1, 2, 4, 5]

        assert store.recover().clean

        assert sorted(numbers(store.read(strict=True))) == [1, 2, 4, 5]
        assert kind.stored() == 4
        assert kind.client.xlen(kind.key("quarantine")) == 1


def test_as_many_bytes_are_listed_as_a_recovery_says_that_it_saved(kind: Redis) -> None:
    with kind.open() as store:
        one, other = (seal(encode(event(n)), "w", n)[:-1] for n in (1, 2))
        kind.put_entry({"line": one[:20] + other})  # of which a record is appended anew
        kind.put_entry({"line": one})
        kind.put_entry({"line": one})
        kind.put_entry({"line": b"no rec"})
        kind.put_entry({"bytes": b"5", "more": b"fields"})
        found = sum(anomaly.length for anomaly in store.scan().anomalies)
        shown = papyra_cli("recover", url=kind.url).stdout
        (saved,) = store.quarantined()
        assert f"{found} bytes saved in quarantine {saved.id}" in shown
        assert saved.bytes == found
        assert f"{found} bytes" in papyra_cli("recover", "--list", url=kind.url).stdout
    with kind.open() as store:
        # An earlier version did not note how many they were.
        for fields in ({"line": b"no record"}, {"bytes": b"many"}):
            words = [word for pair in fields.items() for word in pair]
            kind.client.execute_command(
                *("XADD", kind.key("quarantine"), "*", "recovery", "0123abcd", "entry", "1-1"),
                *("anomaly", "corrupted_line", *words),
            )
        assert [entry.bytes for entry in store.quarantined()] == [found, 10 + 5]


def test_a_recovery_whose_replies_are_lost_moves_each_entry_once(kind: Redis) -> None:
    with Proxy(kind.server.port, about=MOVE.sha.encode()) as proxy:
        address = f"redis://127.0.0.1:{proxy.port}"
        with RedisBackend(address, name=kind.store_name) as store:
            one, other = (seal(encode(event(n)), "w", n)[:-1] for n in (1, 2))
            kind.put_entry({"line": one + b"rubbish" + other})
            kind.client.script_load(MOVE.text)
            proxy.cuts = ["after", "after"]

            assert store.recover().clean

            assert proxy.done == 2
            assert numbers(store.read(strict=True)) == [1, 2]
            assert kind.client.xlen(kind.key("quarantine")) == 1


def test_an_entry_of_many_fields_is_saved_whole(kind: Redis) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.put_entry({f"field{n}": b"value" for n in range(5000)})

        assert store.recover().clean

        ((_, saved),) = kind.client.xrange(kind.key("quarantine"))
        assert saved[b"packed"].count(b"value") == 5000
        assert numbers(store.read(strict=True)) == [1]


def test_a_compaction_drops_exactly_what_the_retention_does_not_keep(kind: Redis) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(2500)])
    with kind.open(retention=Retention(max_records=150)) as store:
        kind.put_entry({"line": b"no record"})
        store.append(event(2500))
        report = store.compact()
        assert (report.kept, report.dropped, report.found, report.clean) == (150, 2351, 1, True)
        assert report.bytes_after == store.scan().bytes
        assert kind.stored() == 150
        assert numbers(store.read(strict=True)) == list(range(2351, 2501))
        assert store.compact().dropped == 0


def test_a_dry_run_of_a_compaction_changes_nothing_and_is_what_the_compaction_does(
    kind: Redis,
) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(250)])
        for line in (b"no record", intact(2).replace(b"\n", b"") + b" {", b"\xff" * 9):
            kind.put_entry({"line": line})
        kind.put_entry({"other": b"field"})
    with kind.open(retention=Retention(max_records=15, max_age=time.time())) as store:
        keys = {name: kind.client.dump(kind.key(name)) for name in ("records", "quarantine")}
        writers = kind.client.hkeys(kind.key("writers"))

        preview = store.compact(dry_run=True)

        assert {name: kind.client.dump(kind.key(name)) for name in keys} == keys
        assert set(writers) <= set(kind.client.hkeys(kind.key("writers")))  # this object's counts
        assert store.metrics.snapshot() == counts(anomaly_detected=preview.found)
        assert (preview.kept, preview.dropped, preview.clean) == (15, 237, False)
        done = store.compact()
        assert done.quarantine
        assert preview == done._replace(dry_run=True, quarantine=None, remaining=preview.anomalies)
        assert store.metrics.snapshot() == counts(
            anomaly_detected=2 * preview.found, compactions_triggered=1
        )


def test_a_compaction_drops_nothing_where_what_it_keeps_is_gone_meanwhile(
    kind: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = KeepFilter.begin
    with kind.open(retention=Retention(max_records=5)) as store:
        store.append_many([event(n) for n in range(10)])

        def begun(keep_filter: KeepFilter, lines: Lines) -> None:
            begin(keep_filter, lines)
            entries = [entry for entry, _ in kind.client.xrange(kind.key("records"))]
            kind.client.xdel(kind.key("records"), entries[5])  # the oldest that stays

        monkeypatch.setattr(KeepFilter, "begin", begun)
        with pytest.raises(PapyraError, match="changed the store meanwhile"):
            store.compact()
        assert kind.stored() == 9
        assert store.metrics.totals()["compaction_errors"] == 1


def test_what_is_dropped_may_lie_between_what_stays(kind: Redis) -> None:
    from papyra import Record

    with kind.open(retention=Retention(max_age=60)) as store:
        for n in range(20):
            store.append(event(n) if n % 3 else Record("event", data={"n": n}))
        assert store.compact().dropped == 13
        assert kind.stored() == 7
        assert numbers(store.read()) == list(range(0, 20, 3))


def test_a_compaction_forgets_writers_unseen_for_a_week(kind: Redis) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.client.hset(
            kind.key("writers"), mapping={"gone": "1700000000 5", "gone:counts": "1700000000 1"}
        )
        kind.client.hset(
            kind.key("writers"), mapping={f"{n}": f"{1_700_000_000 + n} 1" for n in range(2000)}
        )
        kind.client.hset(kind.key("writers"), mapping={"a stranger's": "anything", "": ""})
        store.compact()
        writers = {key.partition(b":")[0] for key in kind.client.hkeys(kind.key("writers"))}
        assert writers > {b"a stranger's", b""}
        assert len(writers) == 2 + 2  # the writer, and what the object told
        store.append(event(2))
    assert kind.open().metrics.snapshot() == counts()


def test_a_writer_that_wrote_since_it_was_looked_at_is_not_forgotten(kind: Redis) -> None:
    with kind.open() as store:
        store.append(event(1))
        writers = kind.key("writers")
        writer = store._queue.writer.encode()
        seen = kind.client.hget(writers, writer)
        store.append(event(2))
        assert store._link.run(FORGET, writer, seen) == 0
        assert store._link.run(FORGET, writer, kind.client.hget(writers, writer)) == 1


def test_what_was_told_is_not_told_again_when_the_server_forgot_the_teller(kind: Redis) -> None:
    import papyra

    with kind.open() as store:
        store.append(event(1))
        store.scan()
        kind.client.delete(kind.key("writers"))
        store.scan()
    assert papyra.open_counters(kind.url).read().snapshot() == counts(
        records_written=1, scan_operations=2
    )


def test_what_was_saved_is_listed_and_cannot_be_undone(kind: Redis) -> None:
    with kind.open() as store:
        assert store.quarantined() == []
        store.append(event(1))
        saved = []
        for number in (1, 20):
            for _ in range(number):
                kind.put_entry({"line": b"no record"})
            kind.put_entry({"more": b"fields", "than": b"one"})
            saved.append(store.recover().quarantine)

        one, other = store.quarantined()
        assert [one.id, other.id] == saved
        fields = len('["more", "fields", "than", "one"]\n')
        assert (one.bytes, other.bytes) == (10 + fields, 20 * 10 + fields)
        assert (one.files, one.saved <= other.saved) == ((store.source,), True)
        assert f"XRANGE {kind.key('quarantine')} - +" in one.obstacle

        with pytest.raises(UnsupportedError, match="cannot take an entry back into its old place"):
            store.recover(undo=one.id)
        assert numbers(store.read(strict=True)) == [1]
