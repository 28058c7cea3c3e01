"""What every store does alike."""

import copy
import math
import pickle
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from stores import Kind, counts, event, numbers

from papyra import (
    CorruptRecordError,
    MemoryBackend,
    PersistenceBackend,
    Record,
    RecordError,
    Retention,
    StoreClosedError,
    UnreadableRecordError,
    UnsupportedError,
    WriteOutcomeUnknownError,
    import_store,
)
from papyra.format.codec import MAX_LINE, encode, seal
from papyra.format.flaws import Fragment
from papyra.reading.scanner import fragments_of

VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    -(2**70),
    0.1,
    -0.0,
    1e300,
    5e-324,
    1e-7,
    "",
    'quote " backslash \\ slash /',
    "line\nfeed\r\u2028\u2029\x85\x00",
    "café 😀 \ud7ff\ue000",
    [],
    {},
    [1, [2, [3, {"deep": None}]]],
    {"": {"key with \n": 1, "é": 2}},
    list(range(100)),
    ["x"] * 50,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_was_appended_is_read(backend: PersistenceBackend, value: Any) -> None:
    record = Record("event", timestamp=1.5, data={"value": value})
    id_ = backend.append(record)

    (read,) = backend.read()

    assert read == record
    assert read.id == id_
    assert record.id is None
    assert type(read.data["value"]) is type(value)


def test_subclasses_and_tuples_are_read_as_what_they_stand_for(
    backend: PersistenceBackend,
) -> None:
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    data = {Text("key"): (Text("text"), Number(3)), "flag": [True, Number(2)] * 9}
    backend.append(Record("event", timestamp=1.0, data=data))
    (read,) = backend.read()
    assert read.data == {"key": ["text", 3], "flag": [True, 2] * 9}


def test_an_unknown_outcome_belongs_to_the_store_that_had_it(backend: PersistenceBackend) -> None:
    error = WriteOutcomeUnknownError("elsewhere", "no reply", "w", 1, (b"{}\n",), time.time())
    with pytest.raises(UnsupportedError, match="one of elsewhere; send it again there"):
        backend.resend(error)
    with pytest.raises(
        TypeError,
        match=r"error must be a papyra.WriteOutcomeUnknownError, got .*; pass the one that",
    ):
        backend.resend(ValueError())  # type: ignore[arg-type]
    assert backend.read() == []
    assert backend.metrics.snapshot() == counts(write_errors=2)


def test_a_store_without_a_server_has_no_unknown_outcomes() -> None:
    with MemoryBackend() as store:
        error = WriteOutcomeUnknownError(store.source, "no", "w", 1, (b"{}\n",), time.time())
        with pytest.raises(UnsupportedError, match="always known"):
            store.resend(error)


def nested(levels: int) -> dict[str, Any]:
    """Return data that nests so deep."""
    data: dict[str, Any] = {}
    for _ in range(levels - 1):
        data = {"d": data}
    return data


LOOP: dict[str, Any] = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        ({"x": math.nan}, "data['x']", "nan is not valid JSON"),
        ({"x": [1.0, {"y": -math.inf}]}, "data['x'][1]['y']", "-inf is not valid JSON"),
        ({"x": [1.0] * 20 + [math.inf]}, "data['x'][20]", "inf is not valid JSON"),
        ({1: 2}, "data", "the key 1 must be a string, got int"),
        ({"x": {None: 2}}, "data['x']", "the key None must be a string, got NoneType"),
        ({"x": {1, 2}}, "data['x']", "must be of a JSON type, got set"),
        ({"x": b"bytes"}, "data['x']", "must be of a JSON type, got bytes"),
        ({"x": object}, "data['x']", "must be of a JSON type, got type"),
        ({"x": 1j}, "data['x']", "must be of a JSON type, got complex"),
        ({"x": "\ud800"}, "data['x']", "a lone surrogate at character 0"),
        ({"x": "😀\udfff"}, "data['x']", "a lone surrogate at character 1"),
        ({"\udc00": 1}, "the key '\\udc00' of data", "a lone surrogate at character 0"),
        ({"x": 10**5000}, "data['x']", "at most 4300 digits"),
        (LOOP, "data['self']['self']", "nests deeper than 200 levels"),
        (nested(201), "data['d']['d']", "nests deeper than 200 levels"),
        ([1], "data", "a dict"),
        ("text", "data", "a dict"),
        ({"x": "x" * MAX_LINE}, "record", "must be at most"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_json_cannot_hold_is_refused_by_its_path(
    backend: PersistenceBackend, data: Any, path: str, reason: str
) -> None:
    with pytest.raises(RecordError) as raised:
        backend.append(Record("event", data=data))
    assert raised.value.path.startswith(path)
    assert reason in str(raised.value)
    assert backend.metrics.snapshot() == counts(write_errors=1)


def test_what_nests_as_deep_as_may_be_is_read(backend: PersistenceBackend) -> None:
    data = nested(200)
    backend.append(Record("event", data=data))
    assert backend.read()[0].data == data


def test_a_record_of_100_megabytes_is_refused_and_the_next_is_stored(
    backend: PersistenceBackend,
) -> None:
    with pytest.raises(RecordError, match=r"at most 16777136 bytes as a line, got 104857\d*;"):
        backend.append(Record("event", timestamp=1.0, data={"x": "x" * 100 * 2**20}))
    backend.append(event(1))
    assert numbers(backend.read()) == [1]


def test_the_largest_record_is_read_and_one_byte_more_is_refused(
    backend: PersistenceBackend,
) -> None:
    def of(size: int) -> Record:
        return Record("event", timestamp=1.5, data={"x": "x" * size})

    empty = len(b'{"kind":"event","timestamp":1.5,"x":""')
    largest = of(MAX_LINE - 80 - empty)
    backend.append(largest)
    with pytest.raises(RecordError, match="split it"):
        backend.append(of(MAX_LINE - 80 - empty + 1))
    assert backend.read(limit=1) == [largest]
    assert backend.read() == [largest]


def test_ids_are_unique_and_count_up(backend: PersistenceBackend) -> None:
    ids = [backend.append(event(1)), *backend.append_many([event(2), event(3)])]

    writer = ids[0].partition("-")[0]
    assert len(writer) == 16
    assert ids == [f"{writer}-{n}" for n in (1, 2, 3)]
    assert [record.id for record in backend.read()] == ids


def test_two_objects_of_one_store_give_other_ids(kind: Kind) -> None:
    with kind.open() as one, kind.open() as other:
        assert one.append(event(1)).partition("-")[0] != other.append(event(2)).partition("-")[0]


def test_reads_select_by_kind_time_and_number(backend: PersistenceBackend) -> None:
    for n in range(10):
        record = event(n)
        backend.append(
            Record("audit" if n % 3 == 0 else "event", timestamp=record.timestamp, data={"n": n})
        )
    base = event(0).timestamp

    for read in (backend.read, lambda **query: list(backend.records(**query))):
        assert numbers(read()) == list(range(10))
        assert numbers(read(kind="audit")) == [0, 3, 6, 9]
        assert numbers(read(limit=3)) == [7, 8, 9]
        assert numbers(read(kind="audit", limit=2)) == [6, 9]
        assert numbers(read(since=base + 7)) == [7, 8, 9]
        assert numbers(read(since=base + 4, kind="event", limit=2)) == [7, 8]
        assert numbers(read(since=base + 10)) == []
        assert numbers(read(limit=99)) == list(range(10))


def test_a_stream_sees_what_was_stored_when_it_began(backend: PersistenceBackend) -> None:
    backend.append_many([event(1), event(2)])
    stream = backend.records()
    first = next(stream)
    backend.append(event(3))
    assert numbers([first, *stream]) == [1, 2]


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (Retention(), [0, 1, 2, 3, 4, 5]),
        (Retention(max_records=2), [4, 5]),
        (Retention(max_records=99), [0, 1, 2, 3, 4, 5]),
        (Retention(max_records=0), []),
        (Retention(max_age=0), []),
        (Retention(max_total_bytes=0), []),
        (Retention(max_total_bytes=10**6, max_records=3), [3, 4, 5]),
    ],
    ids=repr,
)
def test_retention_comes_before_all_filters_and_compact_makes_it_physical(
    kind: Kind, retention: Retention, kept: list[int]
) -> None:
    with kind.open(retention=retention) as store:
        store.append_many([event(n) for n in range(6)])

        assert numbers(store.read()) == kept
        assert numbers(list(store.records())) == kept
        assert numbers(store.read(limit=1)) == kept[-1:]
        report = store.compact()
        assert (report.kept, report.dropped) == (len(kept), 6 - len(kept))
        assert numbers(store.read()) == kept
        assert store.scan().records == len(kept)


def test_retention_by_bytes_counts_whole_lines_from_the_newest(kind: Kind) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(4)])
        line = store.scan().bytes // 4
    for size, kept in ((line - 1, []), (line, [3]), (2 * line - 1, [3]), (3 * line, [1, 2, 3])):
        with kind.open(retention=Retention(max_total_bytes=size)) as store:
            if not kind.outlives_object:
                store.append_many([event(n) for n in range(4)])
            assert numbers(store.read()) == kept
            assert numbers(list(store.records())) == kept


@pytest.mark.parametrize("missing", ["no byte", "one byte"])
@pytest.mark.parametrize("where", ["at the end", "before a record on its line"])
def test_a_record_without_a_newline_weighs_as_much_as_after_a_rewrite(
    kind: Kind, where: str, missing: str
) -> None:
    one, two, three = (seal(encode(event(n)), "0123456789abcdef", n) for n in (1, 2, 3))
    data = one + two + three[:-1] if where == "at the end" else one + two[:-1] + three
    size = len(one + two + three)
    bound, kept = (size, [1, 2, 3]) if missing == "no byte" else (size - 1, [2, 3])
    with kind.open(retention=Retention(max_total_bytes=bound)) as store:
        kind.put(store, data)

        assert numbers(store.read()) == numbers(list(store.records())) == kept
        assert store.compact(dry_run=True).kept == len(kept)
        assert store.compact().kept == len(kept)
        assert numbers(store.read()) == numbers(list(store.records())) == kept


def test_retention_by_age_leaves_uptime_clocks_alone(kind: Kind) -> None:
    with kind.open(retention=Retention(max_age=60)) as store:
        store.append(Record("event", timestamp=2115.08, data={"n": 1}))
        store.append(Record("event", timestamp=1_000_000_000.0, data={"n": 2}))
        store.append(Record("event", data={"n": 3}))
        store.append(Record("event", timestamp=4_000_000_000.0, data={"n": 4}))
        assert numbers(store.read()) == [1, 3, 4]
        assert store.compact().dropped == 1
        assert numbers(store.read()) == [1, 3, 4]


def test_damage_weighs_nothing_in_a_retention(kind: Kind) -> None:
    with kind.open(retention=Retention(max_records=2)) as store:
        store.append_many([event(1), event(2)])
        kind.put(store, b"no record\n" * 5)
        store.append(event(3))
        assert numbers(store.read()) == [2, 3]
        report = store.compact()
        assert (report.kept, report.dropped, report.found) == (2, 1, 5)
        assert numbers(store.read(strict=True)) == [2, 3]


def test_a_damaged_line_costs_that_line_and_has_an_address(
    kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.put(store, b"no record\n")
        store.append(event(2))

        assert numbers(store.read()) == [1, 2]
        (anomaly,) = store.scan().anomalies
        assert anomaly.type == "corrupted_line"
        assert anomaly.length == len(b"no record\n")
        assert anomaly.source == store.source
        with pytest.raises(CorruptRecordError) as raised:
            store.read(strict=True)
        assert (raised.value.source, raised.value.offset) == (anomaly.source, anomaly.offset)
        (warning,) = caplog.messages
        assert str(anomaly) in warning


def test_recovery_removes_damage_and_keeps_every_intact_line(kind: Kind) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.put(store, b"no record\n\xff\xfe\n")
        store.append(event(2))
        kind.put(store, b'{"kind":"event","time')
        plan = store.recover(dry_run=True)
        assert [anomaly.type for anomaly in plan.anomalies] == [
            "corrupted_line",
            "invalid_utf8",
            "truncated_line",
        ]
        assert store.scan().found == 3

        report = store.recover()

        assert (report.found, report.removed, report.clean) == (3, plan.removed, True)
        assert store.scan().clean
        store.append(event(3))
        assert numbers(store.read(strict=True)) == [1, 2, 3]


def test_a_recovery_parses_only_lines_without_a_right_checksum(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    def noted(line: bytes | int) -> list[Fragment]:
        parsed.append(line)
        return fragments_of(line)

    monkeypatch.setattr("papyra.reading.keep.fragments_of", noted)
    with kind.open() as store:
        store.append_many([event(n) for n in range(3)])
        kind.put(store, b"no record\n")
        store.append(event(3))

        assert store.recover().clean
        assert parsed == [b"no record\n"]
        assert numbers(store.read(strict=True)) == [0, 1, 2, 3]


def test_a_record_that_stands_twice_is_read_where_it_stands_last(kind: Kind) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(4)])
        place, line = next(iter(store._lines(newest_first=False)))
        assert isinstance(line, bytes)
        kind.put(store, line)

        assert numbers(store.read()) == [1, 2, 3, 0]
        assert numbers(store.read(limit=9)) == [1, 2, 3, 0]
        assert numbers(store.read(limit=2)) == [3, 0]
        assert numbers(store.read(since=0)) == [1, 2, 3, 0]
        assert numbers(list(store.records())) == [1, 2, 3, 0]
        with MemoryBackend() as copied:
            assert import_store(store, copied).copied == 4
            assert numbers(copied.read(strict=True)) == [1, 2, 3, 0]
        report = store.scan()
        assert report.records == 4
        (anomaly,) = report.anomalies
        assert (anomaly.type, anomaly.source) == ("duplicate_record", place[0])
        assert anomaly.offset == place[1]
        with pytest.raises(CorruptRecordError) as raised:
            store.read(strict=True)
        assert (raised.value.source, raised.value.offset) == place
        assert store.recover(dry_run=True).removed == len(line)

        report_of_recovery = store.recover()

        assert (report_of_recovery.clean, report_of_recovery.removed) == (True, len(line))
        assert numbers(store.read(strict=True)) == [1, 2, 3, 0]
        assert numbers(store.read(limit=2)) == [3, 0]


@pytest.mark.parametrize("keep", range(1, 6))
def test_a_retention_keeps_the_copies_that_are_read(kind: Kind, keep: int) -> None:
    expected = [1, 2, 3, 0, 4][-keep:]
    with kind.open(retention=Retention(max_records=keep)) as store:
        store.append_many([event(n) for n in range(4)])
        (_, line), *_ = store._lines(newest_first=False)
        assert isinstance(line, bytes)
        kind.put(store, line)
        store.append(event(4))
        assert numbers(store.read()) == expected
        assert numbers(list(store.records())) == expected
        preview = store.compact(dry_run=True)
        report = store.compact()
        assert (report.kept, report.bytes_after) == (preview.kept, preview.bytes_after)
        assert report.kept == keep
        assert numbers(store.read(strict=True)) == expected
        left = [line for _, line in store._lines(newest_first=False)]
        assert len(left) == keep


def test_threads_append_side_by_side(backend: PersistenceBackend) -> None:
    def work(thread: int) -> None:
        for n in range(200):
            backend.append(event(n, thread=thread))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    records = backend.read()
    for n in range(8):
        assert numbers([r for r in records if r.data["thread"] == n]) == list(range(200))
    ids = [int(str(record.id).partition("-")[2]) for record in records]
    assert ids == list(range(1, 1601))
    assert backend.metrics.snapshot() == counts(records_written=1600, records_read=1600)


def test_a_store_says_what_it_is(kind: Kind) -> None:
    store = kind.open(retention=Retention(max_records=5))
    assert (store.kind, store.retention, store.closed) == (
        kind.name,
        Retention(max_records=5),
        False,
    )
    assert repr(store) == f"<{type(store).__name__} {store.name!r}>"
    store.close()
    assert store.closed
    assert repr(store).endswith(" closed>")


@pytest.mark.parametrize(
    "options", [{"sync": "sometimes"}, {"lock_timeout": -1}, {"lock_timeout": math.nan}], ids=str
)
def test_options_that_make_no_sense_are_refused(kind: Kind, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        kind.open(**options)


def test_records_can_be_copied_and_pickled(backend: PersistenceBackend) -> None:
    backend.append(event(1))
    (record,) = backend.read()
    for twin in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert (twin, twin.id) == (record, record.id)


def test_an_operation_cannot_be_replaced() -> None:
    with pytest.raises(TypeError, match="implement _append instead"):

        class Bad(PersistenceBackend):
            def append(self, record: Record) -> str:  # type: ignore[misc]  # final, as is to be seen
                return ""

    class Mixin:
        def read(self) -> None: ...

    with pytest.raises(TypeError, match="implement _lines instead"):

        class Worse(Mixin, PersistenceBackend):  # type: ignore[misc]  # final, as is to be seen
            pass


def test_a_stream_ends_with_its_store(backend: PersistenceBackend) -> None:
    backend.append(event(1))
    stream = backend.records()
    backend.close()
    with pytest.raises(StoreClosedError):
        next(stream)
    assert backend.metrics.snapshot() == counts(records_written=1, read_errors=1)


@pytest.mark.parametrize("wrong", [{"since": float("nan")}, {"kind": 5}, {"limit": 1.5}])
def test_a_query_that_can_find_nothing_is_an_error(
    backend: PersistenceBackend, wrong: dict[str, Any]
) -> None:
    for read in (backend.read, backend.records):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            read(**wrong)
    assert backend.metrics.snapshot() == counts(read_errors=2)


def test_what_this_interpreter_cannot_parse_is_a_record_for_every_operation(kind: Kind) -> None:
    """An integer over the limit of digits, a deep value, and a timestamp beyond the floats."""
    text = '{"d":' * 3000 + '{"n":2}' + "}" * 3000
    bodies = [
        b'{"kind":"event","timestamp":1.0,"n":%b' % (b"7" * 5000),
        b'{"kind":"event","timestamp":1.0,"deep":%b' % text.encode(),
        b'{"kind":"event","timestamp":1%b' % (b"0" * 400),
        b'{"kind":"event","timestamp":-1%b' % (b"0" * 400),
    ]
    lines = [seal(body, "0" * 16, n) for n, body in enumerate(bodies)]
    for retention in (Retention(), Retention(max_age=60), Retention(max_records=9, max_age=60)):
        with kind.open(retention=retention) as store:
            store.compact()
            if not store.scan().records:
                for line in lines:
                    kind.put(store, line)
            ids = [f"{'0' * 16}-{n}" for n in range(4)]
            assert [record.id for record in store.read()] == ids
            assert [record.id for record in store.read(limit=9, strict=True)] == ids
            assert [record.id for record in store.records(since=1.0)] == ids[:3]
            assert (store.scan().records, store.scan().clean) == (4, True)
            assert store.recover().clean
            assert (store.compact().kept, store.scan().records) == (4, 4)
            with MemoryBackend() as copy:
                assert import_store(store, copy).copied == 4
                assert copy.scan().clean
    with kind.open(retention=Retention(max_records=1)) as store:
        if store.scan().records:
            assert store.compact().kept == 1


def test_an_intact_line_that_is_not_json_is_an_error_of_reads_and_stays(kind: Kind) -> None:
    forged = seal(b'{"kind":"event","timestamp":1700000000.0,"n":x', "0" * 16, 1)
    with kind.open(retention=Retention(max_total_bytes=10**6)) as store:
        store.append(event(1))
        kind.put(store, forged)
        for strict in (False, True):
            for read in (store.read, lambda **asked: list(store.records(**asked))):
                with pytest.raises(UnreadableRecordError, match="the checksum is right") as raised:
                    read(strict=strict)
                assert raised.value.source == store.source
        assert store.metrics.snapshot()["read_errors"] == 4
        assert (store.scan().records, store.scan().clean) == (2, True)
        assert store.recover().clean
        assert (store.compact().kept, store.scan().records) == (2, 2)
        with MemoryBackend() as copy:
            assert import_store(store, copy).copied == 2


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": partial(pickle.dumps, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_store_that_is_to_be_copied_says_what_to_do_instead(
    backend: PersistenceBackend, way: str, *, is_closed: bool
) -> None:
    backend.append(event(1))
    if is_closed:
        backend.close()
    with pytest.raises(TypeError) as raised:
        COPIES[way](backend)
    assert str(raised.value) == (
        f"{backend.source}: a store object cannot be pickled or copied, since its locks and"
        " descriptors are its own; pass its URL or path, and open it there"
    )
    if not is_closed:
        backend.append(event(2))
        assert numbers(backend.read()) == [1, 2]


class Reopened(MemoryBackend):
    def __reduce__(self) -> Any:
        return Reopened, ()


@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_a_class_of_stores_may_say_how_it_is_opened_again(way: Callable[[Any], Any]) -> None:
    store = Reopened()
    store.append(event(1))
    again = way(store)
    again.append(event(2))
    assert (numbers(store.read()), numbers(again.read())) == ([1], [2])
    assert again.metrics.snapshot() == counts(records_written=1, records_read=1)
