"""Records that stand in a store more than once: the last copy is the record, for every operation."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores import event, numbers

from papyra import JsonBackend, MemoryBackend, PapyraError, RotatingBackend, StoreIOError
from papyra.format.codec import encode, id_in, seal
from papyra.reading.duplicates import Repeats, look_through
from papyra.reading.findings import Findings
from papyra.reading.keep import KeepFilter
from papyra.reading.query import newest, query_of, read_all, stream
from papyra.reading.repeated_ids import may_repeat
from papyra.reading.scanner import Line, Lines, Moment, Source
from papyra.reading.seen_ids import SeenIds
from papyra.retention import Retention

ALL = query_of(None, None, None, strict=False)


def line(n: int, writer: str = "a") -> bytes:
    return seal(encode(event(n)), writer * 16, n)


def lines_of(sources: list[list[bytes]]) -> Lines:
    """Return what yields the lines of so many sources, as a store does."""
    placed: list[Line] = [
        ((f"s{at}", number), content)
        for at, contents in enumerate(sources)
        for number, content in enumerate(contents)
    ]

    def lines(*, newest_first: bool) -> Iterator[Line]:
        return iter(placed[::-1] if newest_first else placed)

    return lines


def source_of(lines: Lines) -> Source:
    return Source(lines, lambda: nullcontext(Moment(lines)), SeenIds)


ids = st.tuples(st.integers(0, 9), st.sampled_from("ab"))
#: Two records may share a line, and a line may be damaged.
contents = st.one_of(
    ids.map(lambda id_: line(*id_)),
    st.lists(ids, min_size=2, max_size=3).map(
        lambda some: b"".join(line(*id_)[:-1] for id_ in some) + b"\n"
    ),
    st.sampled_from([b"junk\n", b"\n", line(3)[:30] + b"\n"]),
)


@given(st.lists(st.lists(contents, max_size=12), max_size=4))
def test_every_look_finds_the_same_copies(sources: list[list[bytes]]) -> None:
    lines = lines_of(sources)
    source = source_of(lines)
    keep_all, backward = Retention(), Findings()
    expected = [record.id for record in newest(source, keep_all, ALL, 0, backward)]
    found, streamed, scanned = Findings(), Findings(), Findings()

    records = read_all(source, keep_all, ALL, 0, found)
    assert [record.id for record in records] == expected
    streamed_records = stream(source, keep_all, ALL, 0, streamed)
    assert [record.id for record in streamed_records] == expected
    assert look_through(source, scanned)[0] == len(expected)
    keep_filter = KeepFilter(None, 0, SeenIds)
    keep_filter.begin(lines)
    kept = []
    for place, content in lines(newest_first=False):
        assert isinstance(content, bytes)
        kept += [
            content[part.start : part.stop]
            for part in keep_filter(place, content)
            if part.anomaly is None and content.strip()
        ]
    for at in range(len(sources)):
        keep_filter.finish(f"s{at}")
    assert keep_filter.kept == len(kept) == len(expected)
    assert [part[part.index(b'"_id"') + 7 :].split(b'"')[0].decode() for part in kept] == expected
    # Where nobody reads from the end, findings come in the order of the store.
    assert scanned.listed == streamed.listed == keep_filter.findings.listed
    assert set(backward.listed) == set(found.listed) == set(scanned.listed)
    assert scanned.found == backward.found


def test_any_number_of_copies_is_counted() -> None:
    lines = lines_of([[line(1)] * 30, [line(2), line(1)] * 20, [line(2)] * 3, [line(3)]])
    repeats = Repeats()
    repeats.look(lines)
    reported = []
    for place, content in lines(newest_first=False):
        assert isinstance(content, bytes)
        reported.append(repeats.is_last(place[0], id_in(content)))
    assert reported == [*[False] * 30, *[False] * 39, True, False, False, True, None]
    assert all(repeats.is_as_expected(f"s{at}") for at in range(4))


def put(path: Path, *contents: bytes) -> None:
    path.write_bytes(b"".join(contents))


def test_a_copy_that_goes_meanwhile_leaves_the_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.ndjson"
    put(path, line(1), line(2), line(1))
    begin = KeepFilter.begin

    def cut(self: KeepFilter, lines: Lines) -> None:
        begin(self, lines)
        # The same inode and size, as when a stranger writes into the file.
        with path.open("r+b") as file:
            file.write(line(1) + line(2) + b"x" * (len(line(1)) - 1))

    monkeypatch.setattr(KeepFilter, "begin", cut)
    with JsonBackend(path) as store:
        with pytest.raises(PapyraError, match="it was left as it is; try again"):
            store.recover()
        assert path.read_bytes().startswith(line(1) + line(2))
        assert store.quarantined() == []


def test_a_line_that_goes_meanwhile_leaves_the_memory_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = KeepFilter.begin
    with MemoryBackend() as store:
        held, _ = store._held
        held += [line(1), line(2), line(1)]
        store._held = held, 3

        def cut(self: KeepFilter, lines: Lines) -> None:
            begin(self, lines)
            store._held = [line(1), line(2)], 2

        monkeypatch.setattr(KeepFilter, "begin", cut)
        with pytest.raises(PapyraError, match="it was left as it is; try again"):
            store.recover()
        assert numbers(store.read()) == [1, 2]


def test_an_older_copy_that_a_rotation_drops_meanwhile_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.ndjson"
    oldest = tmp_path / "store.ndjson.000000000001"
    put(oldest, line(1), line(2))
    put(tmp_path / "store.ndjson.000000000002", line(1), line(3))
    put(path, line(4), line(3))
    begin = KeepFilter.begin

    def drop(self: KeepFilter, lines: Lines) -> None:
        begin(self, lines)
        oldest.unlink()

    with RotatingBackend(path) as store:
        assert numbers(store.read()) == [2, 1, 4, 3]
        monkeypatch.setattr(KeepFilter, "begin", drop)
        assert store.recover().clean
        assert numbers(store.read(strict=True)) == [1, 4, 3]


def test_a_scan_of_a_file_that_is_rewritten_meanwhile_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.ndjson"
    sealed = tmp_path / "store.ndjson.000000000001"
    put(sealed, line(1), line(2), line(1))
    put(path, line(3))
    look = Repeats.look

    def recovered(self: Repeats, lines: Lines) -> None:
        look(self, lines)
        put(sealed, line(2), line(1))

    with RotatingBackend(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(Repeats, "look", recovered)
            with pytest.raises(StoreIOError, match="read it again"):
                store.scan()
        assert store.scan().clean
        assert numbers(store.read(strict=True)) == [2, 1, 3]


def test_a_scan_of_the_newest_file_that_is_rewritten_meanwhile_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.ndjson"
    put(path, line(1), line(2), line(1))
    look = Repeats.look

    def rewritten(self: Repeats, lines: Lines) -> None:
        look(self, lines)
        with path.open("r+b") as file:  # as a stranger does
            file.write(line(1) + line(2) + b"x" * (len(line(1)) - 1))

    with JsonBackend(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(Repeats, "look", rewritten)
            with pytest.raises(StoreIOError, match="read it again"):
                store.scan()
        assert numbers(store.read()) == [1, 2]


def test_a_copy_that_shares_its_line_is_one_for_a_scan_too() -> None:
    lines = lines_of([[line(1), line(2)[:-1] + line(1), line(3)]])
    findings = Findings()
    records, *_ = look_through(source_of(lines), findings)
    assert records == 3
    found = [(anomaly.type, anomaly.offset) for anomaly in findings.listed]
    assert ("duplicate_record", 0) in found


def test_a_damaged_line_that_shows_an_id_is_no_copy() -> None:
    damaged = line(2).replace(b"event", b"evens")
    repeats = Repeats()
    repeats.look(lines_of([[line(1), damaged, line(2)]]))
    assert not repeats.has(id_in(line(2)))


@pytest.mark.parametrize("max_records", [None, 9])
def test_a_line_with_the_next_id_and_a_right_checksum_that_is_no_record_is_taken_out(
    tmp_path: Path, max_records: int | None
) -> None:
    forged = seal(b'["kind":"event","timestamp":1700000000.0', "a" * 16, 2)
    path = tmp_path / "store.ndjson"
    path.write_bytes(line(1) + forged + line(3))
    with JsonBackend(path, retention=Retention(max_records=max_records)) as store:
        assert store.scan().records == 2
        report = store.recover() if max_records is None else store.compact()
        assert (report.found, report.remaining) == (1, ())
        assert path.read_bytes() == line(1) + line(3)


def test_a_clean_store_is_looked_at_no_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    lines_of_store = MemoryBackend._lines_of

    def counted(
        self: MemoryBackend, held: list[bytes], end: int, *, newest_first: bool
    ) -> Iterator[Line]:
        looks.append(newest_first)
        return lines_of_store(self, held, end, newest_first=newest_first)

    monkeypatch.setattr(MemoryBackend, "_lines_of", counted)
    with MemoryBackend(retention=Retention(max_records=9)) as store:
        store.append_many([event(n) for n in range(3)])
        store.scan()
        assert looks == [False]
        looks.clear()
        store.compact()
        assert looks == [True]  # for the cut
    with MemoryBackend() as store:
        store.append_many([event(n) for n in range(3)])
        looks.clear()
        store.read()
        assert looks == [False]


@given(st.lists(st.lists(contents, min_size=1, max_size=12), max_size=4))
def test_the_look_at_ids_never_misses_a_repeat(batches: list[list[bytes]]) -> None:
    findings = Findings()
    list(newest(source_of(lines_of(batches)), Retention(), ALL, 0, findings))
    assert may_repeat(batches) or not findings.duplicates


@pytest.mark.parametrize(
    "batch",
    [
        [line(1), line(2), line(1)],
        [line(1), line(1)[:-1] + line(2), b"junk\n"],  # as many marks as lines
        [line(1), line(1)[:-1]],
        [line(1), line(1)[:-1] + line(2)],
        [b"\xef\xbb\xbf" + line(1), b" " + line(1)],
        [line(n) for n in range(998, 1003)] + [line(1001)],
    ],
)
def test_a_repeat_is_seen_wherever_it_hides(batch: list[bytes]) -> None:
    assert may_repeat([batch])
    assert may_repeat([[content] for content in batch])


def test_ids_out_of_order_and_lines_too_long_to_be_held_are_no_repeats() -> None:
    assert not may_repeat([[line(5), line(6)], [17_000_000, line(1)], [line(2), line(1, "b")]])
    assert may_repeat([[line(5), line(6)], [17_000_000, line(6)]])


@pytest.mark.parametrize("place", range(0, 200, 7))
def test_a_repeat_is_seen_at_any_place_in_a_run(place: int) -> None:
    batch = [line(n) for n in range(900, 1100)]
    assert not may_repeat([batch])
    batch[place] = line(900 + (place + 100) % 200)
    assert may_repeat([batch])
    batch[place] = line(900 + place, "b")
    assert not may_repeat([batch])
    assert may_repeat([batch, [line(900 + place, "b")]])


@pytest.mark.parametrize("turn", [1, 3, 31, 32, 33, 100, 500])
def test_writers_that_take_turns_repeat_nothing_until_one_does(turn: int) -> None:
    batch = [
        line(at + n, writer)
        for at in range(0, 1000, turn)
        for writer in "abc"
        for n in range(min(turn, 1000 - at))
    ]
    assert not may_repeat([batch, [line(1000, writer) for writer in "abc"]])
    assert may_repeat([[*batch, line(777, "b")]])
    assert may_repeat([batch, [line(777, "b")]])
