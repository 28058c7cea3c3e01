"""Lines out of files, retention and selection, compared with the simplest thing that could work."""

import io
import json
import os
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import event, numbers

from papyra import JsonBackend, MemoryBackend, PapyraError, Record, Retention
from papyra.backends.files import line_reader
from papyra.format.codec import encode, seal
from papyra.reading.findings import Findings
from papyra.reading.keep import KeepFilter
from papyra.reading.scanner import Line, examine, intact, records_in
from papyra.reading.seen_ids import SeenIds


@given(
    data=st.binary(max_size=60).map(lambda data: bytes(b"ab\n\r"[byte % 4] for byte in data)),
    block=st.integers(1, 16),
    first=st.integers(1, 8),
    longest=st.integers(1, 40),
)
def test_lines_are_those_of_a_plain_loop_in_both_directions(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, block: int, first: int, longest: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(data + b"beyond")
    expected: list[Any] = []
    offset = 0
    for line in io.BytesIO(data):
        expected.append((("s", offset), line if len(line) <= longest else len(line)))
        offset += len(line)

    descriptor = os.open(path, os.O_RDONLY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_reader, "_BLOCK", block)
        patch.setattr(line_reader, "_FIRST_BLOCK", first)
        patch.setattr(line_reader, "MAX_LINE", longest)
        assert list(line_reader.forward(descriptor, len(data), "s")) == expected
        assert list(line_reader.backward(descriptor, len(data), "s")) == expected[::-1]
    os.close(descriptor)


def test_a_line_that_is_too_long_is_an_anomaly_and_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_reader, "MAX_LINE", 1000)
    monkeypatch.setattr(line_reader, "_BLOCK", 300)
    path = tmp_path / "store.ndjson"
    long = b"x" * 5000 + b"\n"
    with JsonBackend(path) as store:
        store.append(event(1))
        start = path.stat().st_size
        with path.open("ab") as file:
            file.write(long)
        store.append(event(2))

        assert numbers(store.read()) == [1, 2]
        assert numbers(store.read(limit=2)) == [1, 2]
        (anomaly,) = store.scan().anomalies
        assert (anomaly.type, anomaly.offset, anomaly.length) == ("oversized_line", start, 5001)
        report = store.recover()
        assert (report.removed, report.clean) == (5001, True)
        saved = path.with_name("store.ndjson.quarantine") / str(report.quarantine) / "removed"
        assert saved.read_bytes() == long
        assert numbers(store.read(strict=True)) == [1, 2]


def test_a_file_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    with JsonBackend(path) as store:
        store.append_many([event(n, filler="x" * 1000) for n in range(1000)])
        stream = store.records()
        next(stream)
        os.truncate(path, 5000)
        with pytest.raises(OSError, match="read it again"):
            list(stream)
        assert store.metrics.snapshot()["read_errors"] == 1


def reference(records: list[tuple[float, int]], retention: Retention, now: float) -> list[int]:
    """Return the indexes of the *records* (timestamp, size) that stay, by the definition."""
    young = [
        index
        for index, (timestamp, _) in enumerate(records)
        if retention.max_age is None or timestamp < 1e9 or now - timestamp <= retention.max_age
    ]
    if retention.max_records is not None:
        young = young[len(young) - min(len(young), retention.max_records) :]
    kept: list[int] = []
    size = 0
    for index in reversed(young):
        size += records[index][1]
        if retention.max_total_bytes is not None and size > retention.max_total_bytes:
            break
        kept.append(index)
    return kept[::-1]


retentions = st.builds(
    Retention,
    max_records=st.none() | st.integers(0, 8),
    max_age=st.none() | st.integers(0, 100),
    max_total_bytes=st.none() | st.integers(0, 900),
)
ages = st.lists(st.integers(0, 120), max_size=10)


@settings(max_examples=200)
@given(ages=ages, retention=retentions, kind=st.sampled_from(["memory", "json"]))
def test_reads_streams_and_compactions_keep_what_the_definition_keeps(
    tmp_path_factory: pytest.TempPathFactory, ages: list[int], retention: Retention, kind: str
) -> None:
    now = 2_000_000_000.0
    path = tmp_path_factory.mktemp("store") / "store.ndjson"
    store = (
        MemoryBackend(retention=retention)
        if kind == "memory"
        else JsonBackend(path, retention=retention, sync="none")
    )
    with pytest.MonkeyPatch.context() as patch, store:
        patch.setattr("time.time", lambda: now)
        for index, age in enumerate(ages):
            store.append(Record("event", timestamp=now - age, data={"n": index}))
        lines = [line for _, line in store._lines(newest_first=False)]
        sizes = [len(line) for line in lines if isinstance(line, bytes)]
        expected = reference(
            [(now - age, size) for age, size in zip(ages, sizes, strict=True)], retention, now
        )

        assert numbers(store.read()) == expected
        assert numbers(list(store.records())) == expected
        for limit in (0, 1, 3):
            assert (
                numbers(store.read(limit=limit))
                == expected[len(expected) - min(len(expected), limit) :]
            )
        report = store.compact()
        assert (report.kept, report.dropped) == (len(expected), len(ages) - len(expected))
        assert report.bytes_after == sum(sizes[index] for index in expected)
        assert numbers(store.read()) == expected
        assert store.scan().records == len(expected)
        assert store.compact().dropped == 0


@pytest.mark.parametrize(
    "limits",
    [
        {"max_records": -1},
        {"max_records": 1.5},
        {"max_records": True},
        {"max_age": -0.1},
        {"max_age": float("nan")},
        {"max_age": "7d"},
        {"max_total_bytes": -5},
    ],
    ids=str,
)
def test_a_retention_that_makes_no_sense_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(limits))} must be a number from 0 on"):
        Retention(**limits)


def test_a_retention_says_what_it_keeps() -> None:
    assert repr(Retention()) == "Retention()"
    assert repr(Retention(max_age=60, max_records=5)) == "Retention(max_records=5, max_age=60)"
    assert Retention(max_age=60) == Retention(max_age=60)
    assert Retention(max_age=60) != Retention(max_age=61)
    assert hash(Retention(max_age=60)) == hash(Retention(max_age=60))
    assert Retention() != "Retention()"


def test_memory_stays_bounded_by_the_retention() -> None:
    store = MemoryBackend(retention=Retention(max_records=10))
    for n in range(10_000):
        store.append(event(n))
    assert len(store._held[0]) < 1100
    assert numbers(store.read()) == list(range(9990, 10_000))
    assert store.metrics.snapshot()["records_written"] == 10_000


def test_a_compaction_that_moves_the_cut_makes_a_stream_look_again(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    retention = Retention(max_records=3)
    with (
        JsonBackend(path, retention=retention) as store,
        JsonBackend(path, retention=retention) as other,
    ):
        store.append_many([event(n) for n in range(9)])
        real = store._lines
        views: list[bool] = []

        def lines(*, newest_first: bool) -> Any:
            views.append(newest_first)
            if views == [True, False]:  # the cut is found, and the stream about to begin
                other.compact()
            return real(newest_first=newest_first)

        store._lines = lines  # type: ignore[method-assign]  # the moment between two looks
        assert numbers(list(store.records())) == [6, 7, 8]
        assert views == [True, False, True, False]


def test_a_stream_ends_though_the_cut_moves_at_every_look(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    with JsonBackend(path, retention=Retention(max_records=2)) as store, JsonBackend(path) as other:
        store.append_many([event(n) for n in range(3)])
        real = store._lines
        looks: list[bool] = []

        def lines(*, newest_first: bool) -> Any:
            looks.append(newest_first)
            if newest_first:
                return real(newest_first=True)
            path.write_bytes(b"")  # as after a compaction, with other records appended since
            other.append_many([event(100 * len(looks) + n) for n in range(3)])
            return real(newest_first=False)

        store._lines = lines  # type: ignore[method-assign]  # the moment between two looks
        found = numbers(list(store.records()))
        assert found == [100 * (len(looks) - 1) + n for n in (1, 2)]


def test_a_stream_ends_where_the_cut_is_a_copy_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    lines = [seal(encode(event(n)), "0" * 16, n) for n in range(3)]
    path.write_bytes(lines[0] + lines[1][:-1] + lines[1] + lines[2])
    with JsonBackend(path, retention=Retention(max_records=2)) as store:
        assert numbers(list(store.records())) == numbers(store.read()) == [1, 2]
        assert store.compact().kept == 2
        assert numbers(store.read(strict=True)) == [1, 2]


@pytest.mark.parametrize("moment", ["begin", "finish"])
def test_a_stranger_who_replaces_the_file_meanwhile_stops_a_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "store.ndjson"
    with JsonBackend(path, retention=Retention(max_records=1)) as store:
        store.append_many([event(1), event(2)])
        theirs = seal(encode(event(3)), "0" * 16, 1)
        real = getattr(KeepFilter, moment)

        def replaced(keep_filter: KeepFilter, what: Any) -> None:
            path.with_suffix(".new").write_bytes(theirs)
            path.with_suffix(".new").rename(path)
            real(keep_filter, what)

        monkeypatch.setattr(KeepFilter, moment, replaced)
        with pytest.raises(PapyraError, match="it was left as it is; try again"):
            store.compact()
        assert path.read_bytes() == theirs
        assert sorted(entry.name for entry in tmp_path.iterdir()) == [
            "store.ndjson",
            "store.ndjson.lock",
            "store.ndjson.maint.lock",
            "store.ndjson.metrics",
        ]
        assert store.metrics.snapshot()["compaction_errors"] == 1


def test_an_id_with_a_number_beyond_reason_is_no_number() -> None:
    seen = SeenIds()
    for _ in range(2):
        assert seen.add_id("0" * 16 + "-" + "9" * 5000)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), max_size=40))
def test_an_id_is_new_once(ids: list[tuple[str, int]]) -> None:
    seen, model = SeenIds(), set()
    for writer, number in ids:
        assert seen.add_id(f"{writer}-{number}") == ((writer, number) not in model)
        model.add((writer, number))
    assert seen.add_id("no id of papyra's")
    assert seen.add_id("no id of papyra's")


@given(
    ids=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), max_size=40),
    newest_first=st.booleans(),
)
def test_a_record_is_handed_out_once_whichever_way_its_id_is_found(
    *, ids: list[tuple[str, int]], newest_first: bool
) -> None:
    """Most ids are those expected next, and looked for in the bytes; all others are parsed."""
    lines: list[Line] = [
        (("s", at), seal(encode(event(number)), writer * 16, number))
        for at, (writer, number) in enumerate(ids)
    ]
    expected = [f"{writer * 16}-{number}" for writer, number in dict.fromkeys(ids)]
    found, streamed, scanned = Findings(), Findings(), Findings()

    positions = intact(lines, found, newest_first=newest_first)
    assert [place.record.id for place in positions] == expected
    assert [record.id for record in records_in(lines, streamed, strict=False)] == expected
    assert examine(lines, scanned)[0] == len(expected)
    copies = len(ids) - len(expected)
    assert [findings.found for findings in (found, streamed, scanned)] == [copies] * 3


@pytest.mark.parametrize("end", [b"", b"\n", b" ", b"\xff"])
def test_a_stranger_s_line_with_a_checksum_may_end_in_anything(end: bytes) -> None:
    """As in a stream of Redis', where whoever adds an entry says what its line is."""
    body = b'{"kind":"event","timestamp":1.5,"_id":"x-1"' + end
    line = body + b',"_crc":"%08x"}\n' % crc32(body)
    lines: list[Line] = [(("s", 0), line), (("s", 1), seal(encode(event(1)), "x", 2))]
    scanned = Findings()
    records, *_ = examine(lines, scanned)
    for read in (intact, partial(records_in, strict=False)):
        findings = Findings()
        assert len(list(read(lines, findings))) == records
        assert findings.listed == scanned.listed
        assert records + findings.found == 2


def test_a_checksum_and_the_next_id_vouch_for_no_line_that_papyra_did_not_make() -> None:
    body = b'["x","_id":"x-2"'
    line = body + b',"_crc":"%08x"}\n' % crc32(body)
    findings = Findings()
    assert examine([(("s", 0), seal(encode(event(1)), "x", 1)), (("s", 1), line)], findings)[0] == 1
    assert findings.found == 1


@pytest.mark.parametrize(("one", "other"), [("é", "?"), ("a\\b", "a\b"), ('"', "?")])
def test_writers_of_strangers_are_told_apart(one: str, other: str) -> None:
    lines: list[Line] = []
    for at, id_ in enumerate((f"{one}-1", f"{other}-2", f"{other}-2")):
        body = b'{"kind":"event","timestamp":1.5,"_id":%b' % json.dumps(id_).encode()
        lines.append((("s", at), body + b',"_crc":"%08x"}\n' % crc32(body)))
    findings = Findings()
    records = list(records_in(lines, findings, strict=False))
    assert [record.id for record in records] == [f"{one}-1", f"{other}-2"]
    assert [anomaly.type for anomaly in findings.listed] == ["duplicate_record"]
