"""What is found in lines that are not intact: those of 0.3.0, and damaged ones."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from stores import event, numbers

from papyra import Record, open_store
from papyra.format import damaged_lines, unlimited_json
from papyra.format.codec import encode, seal
from papyra.format.damaged_lines import dissect
from papyra.format.flaws import Flaw

SAMPLES = Path(__file__).parent.parent / "data" / "papyra-0.3.0" / "json"
SEALED = seal(encode(event(1)), "9f3c2a1b04d7e655", 1)
OTHER = seal(encode(event(2)), "9f3c2a1b04d7e655", 2)
LEGACY_DATA = {
    "system_id": "local", "actor_address": "local:1", "event_type": "Started", "payload": {"n": 1},
}  # fmt: skip
COUNTS = {
    "total_actors": 2, "alive_actors": 2, "stopping_actors": 0, "restarting_actors": 0,
    "registry_size": 1, "registry_orphans": [], "registry_dead": [], "dead_letters_count": 0,
}  # fmt: skip
AUDIT_DATA = {"system_id": "local", **COUNTS}
DEAD_LETTER_DATA = {
    "system_id": "local", "target": None, "message_type": "str", "payload": "text",
}  # fmt: skip


def line_of(value: dict[str, Any], **options: Any) -> bytes:
    """Return *value* as 0.3.0 wrote a line."""
    return json.dumps(value, **options).encode() + b"\n"


LEGACY = line_of({"kind": "event", **LEGACY_DATA, "timestamp": 5.5})
KIND_LAST = line_of({"system_id": "local", "timestamp": 5.5, **COUNTS, "kind": "audit"})
DEAD_LETTER = line_of({"kind": "dead_letter", **DEAD_LETTER_DATA, "timestamp": 5.5})
#: 0.3.0's keys and values, as papyra writes them.
OWN_WITH_LEGACY_DATA = seal(encode(Record("event", timestamp=5.5, data=LEGACY_DATA)), "w", 3)


def contents(line: bytes) -> list[Any]:
    """Return, for each piece of *line*, the type of its flaw, or its record's kind and data."""
    return [
        piece.content.type
        if isinstance(piece.content, Flaw)
        else (piece.content.kind, piece.content.data)
        for piece in dissect(line)
    ]


ONE = ("event", {"n": 1})
TWO = ("event", {"n": 2})
OLD = ("event", LEGACY_DATA)
OLD_AUDIT = ("audit", AUDIT_DATA)


def checksummed(body: bytes) -> bytes:
    """Return a line that has the checksum of its bytes, whatever they are."""
    return b'%b,"_crc":"%08x"}\n' % (body, crc32(body))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (SEALED, [ONE]),
        (SEALED[:-1], [ONE]),
        (SEALED[:-1] + b"\r\n", [ONE]),
        (b"\xef\xbb\xbf" + SEALED, [ONE]),
        (b"\0\0" + SEALED[:-1] + b"\0\0\n", ["nul_bytes", ONE, "nul_bytes"]),
        (SEALED[:-1] + b" \0", [ONE, "nul_bytes"]),
        (b"\0\xef\xbb\xbf" + SEALED, ["nul_bytes", ONE]),
        (b"\0" + LEGACY, ["nul_bytes", OLD]),
        (b"\0" + SEALED[:-1] + SEALED, ["nul_bytes", ONE, "corrupted_line", ONE]),
        (b"\0x" + SEALED[:-1] + b"x\0\n", ["corrupted_line", ONE, "corrupted_line"]),
        (b" \t" + SEALED, [ONE]),
        (LEGACY, [OLD]),
        (KIND_LAST, [OLD_AUDIT]),
        (LEGACY[:-1] + b"\r\n", [OLD]),
        (b"\xef\xbb\xbf" + LEGACY, [OLD]),
        (DEAD_LETTER, [("dead_letter", DEAD_LETTER_DATA)]),
        (DEAD_LETTER[:-1], [("dead_letter", DEAD_LETTER_DATA)]),
    ],
)
def test_a_whole_record_is_read_whatever_is_around_it(line: bytes, expected: list[Any]) -> None:
    assert contents(line) == expected


@pytest.mark.parametrize("line", [b"\n", b"", b"\r\n", b"  \t \n"])
def test_a_blank_line_is_nothing(line: bytes) -> None:
    assert contents(line) == []


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        (SEALED[:50], "truncated_line"),
        (SEALED[:50] + b"\n", "truncated_line"),
        (LEGACY[:20] + b"\n", "truncated_line"),
        (b"no record", "truncated_line"),
        (b"no record\n", "corrupted_line"),
        (b"[1]\n", "corrupted_line"),
        (b"123\n", "corrupted_line"),
        (b'{"kind":"x"}\n', "corrupted_line"),
        (b'{"kind":"x","timestamp":1}\n', "missing_checksum"),
        (b'{"kind":"x","timestamp":1}', "missing_checksum"),
        (LEGACY.replace(b"actor_address", b"actor_addresses"), "missing_checksum"),
        (DEAD_LETTER.replace(b"dead_letter", b"event"), "missing_checksum"),
        (LEGACY.replace(b'"local"', b"5"), "missing_checksum"),
        (LEGACY.replace(b"5.5", b"1" + b"0" * 309), "corrupted_line"),
        (LEGACY.replace(b"5.5", b"1e999"), "corrupted_line"),
        (
            OWN_WITH_LEGACY_DATA[: OWN_WITH_LEGACY_DATA.index(b',"_id"')] + b"}\n",
            "missing_checksum",
        ),
        (b'{"kind":1,"timestamp":2}\n', "corrupted_line"),
        (b'{"kind":"x","timestamp":"2"}\n', "corrupted_line"),
        (b'{"kind":"x","timestamp":true}\n', "corrupted_line"),
        (b'{"kind":"x","timestamp":1}x\n', "truncated_line"),
        (b'x{"kind":"x","timestamp":1}\n', "corrupted_line"),
        (b"[" * 100_000 + b"\n", "corrupted_line"),
        (SEALED.replace(b"1700000001", b"1700000002"), "checksum_mismatch"),
        (SEALED[:-20] + b"}\n", "missing_checksum"),
        (LEGACY[:-2] + b', "_crc": "00000000"}\n', "missing_checksum"),
        (SEALED.replace(b"event", b"\xff\xfe\xff\xfe\xff"), "invalid_utf8"),
        (b"\x89PNG\xff\n", "invalid_utf8"),
        (b"\0\0\0\n", "nul_bytes"),
        (checksummed(b'{"timestamp":1'), "corrupted_line"),
        (checksummed(b'{"kind":"event","timestamp":NaN'), "corrupted_line"),
        (checksummed(b'{"kind":"event","timestamp":1,"x":"\xff"'), "invalid_utf8"),
        (checksummed(b'{"kind":"event","timestamp":1,"_id":5'), "corrupted_line"),
        (checksummed(b'{"kind":"event","timestamp":1,"_id":["a"]'), "corrupted_line"),
        (SEALED.replace(b"event", b"\0\0\0\0\0"), "nul_bytes"),
    ],
)
def test_damage_has_a_type(line: bytes, flaw: str) -> None:
    assert contents(line) == [flaw]
    assert [(piece.start, piece.stop) for piece in dissect(line)] == [(0, len(line))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (SEALED[:-1] + OTHER, [ONE, "corrupted_line", TWO]),
        (SEALED[:-1] + LEGACY, [ONE, "corrupted_line", OLD]),
        (LEGACY[:-1] + KIND_LAST, [OLD, "corrupted_line", OLD_AUDIT]),
        (LEGACY[:-1] + OTHER[:30] + b"\n", [OLD, "truncated_line"]),
        (LEGACY[:-1] + b"\x0b" + KIND_LAST, [OLD, "corrupted_line", OLD_AUDIT]),
        (LEGACY[:-1] + b"\0\0" + KIND_LAST, [OLD, "nul_bytes", OLD_AUDIT]),
        (LEGACY[:-1] + b"junk\n", [OLD, "corrupted_line"]),
        (SEALED[:-1] + b"X" + OTHER, [ONE, "corrupted_line", TWO]),
        (b'{"kind":"x","timestamp":1}' + SEALED, ["missing_checksum", ONE]),
        (
            b"[" + SEALED[:-1] + b", " + OTHER[:-1] + b"]\n",
            [
                "corrupted_line",
                ONE,
                "corrupted_line",
                TWO,
                "corrupted_line",
            ],
        ),
    ],
)
def test_records_that_share_a_line_are_all_read(line: bytes, expected: list[Any]) -> None:
    assert contents(line) == expected


@pytest.mark.parametrize("torn", [SEALED, LEGACY, KIND_LAST], ids=["papyra", "0.3.0", "kind last"])
@pytest.mark.parametrize(
    "record", [SEALED, LEGACY, KIND_LAST], ids=["papyra", "0.3.0", "kind last"]
)
def test_a_record_glued_to_a_torn_one_is_read_wherever_that_was_torn(
    torn: bytes, record: bytes
) -> None:
    (whole,) = contents(record)
    for cut in range(1, len(torn) - 1):
        got = contents(torn[:cut] + record)
        assert got[-1] == whole, cut
        assert all(isinstance(item, str) for item in got[:-1]), (cut, got)


def test_what_is_nested_in_a_torn_line_of_papyra_s_is_never_a_record() -> None:
    """Wherever it was torn, whatever of 0.3.0's it wraps, and whatever then stands behind it."""
    inner = {"kind": "event", **LEGACY_DATA, "timestamp": 5.5}
    sealed = json.loads(SEALED)
    for data in (
        {"message": {"kind": "event", "timestamp": 5}},
        {"message": inner},
        {"message": json.loads(KIND_LAST), "after": 1},
        {"list": [inner, inner]},
        {"message": {"deeper": [[inner]]}},
        {"text": LEGACY.decode(), "message": inner},
    ):
        line = seal(encode(Record("dead_letter", timestamp=1.0, data=data)), "0" * 16, 1)
        for cut in range(1, len(line) - 1):
            for behind in (b"", b"\n", b"\0\0\n", b"junk\n"):
                got = contents(line[:cut] + behind)
                assert not any(isinstance(content, tuple) for content in got), (data, cut)
    # One of papyra's own, sealed, proves itself, but not where the outer object goes on behind it: it
    # is served only where the very byte behind it is damaged, since it could be glued there.
    for data in ({"message": sealed, "after": 1}, {"list": [sealed, sealed]}):
        line = seal(encode(Record("dead_letter", timestamp=1.0, data=data)), "0" * 16, 1)
        for place in range(len(line) - 1):
            damaged = line[:place] + bytes([line[place] ^ 4]) + line[place + 1 :]
            if line[:place].endswith(SEALED[-19:-1]):
                continue
            assert not any(isinstance(c, tuple) for c in contents(damaged)), damaged


def test_an_object_nested_in_a_torn_line_of_0_3_0_s_is_not_a_record() -> None:
    for behind in (b"}", b",", b" ]", b', "timest'):
        torn = b'{"kind": "dead_letter", "payload": [' + LEGACY[:-1] + behind + b"\n"
        assert not any(isinstance(content, tuple) for content in contents(torn))


def test_an_object_that_ends_a_torn_line_of_0_3_0_s_cannot_be_told_from_one_glued_to_it() -> None:
    """What is left to pretend: 0.3.0 glues records to torn lines, and has no checksums."""
    torn = b'{"kind": "dead_letter", "payload": ' + LEGACY
    assert contents(torn) == ["truncated_line", OLD]


@pytest.mark.parametrize("line", [SEALED, LEGACY], ids=["papyra", "0.3.0"])
@pytest.mark.parametrize("between", [b"", b"\x0b", b"torn{"])
def test_any_number_of_records_that_share_a_line_are_read(line: bytes, between: bytes) -> None:
    whole = contents(line)[0]
    got = contents(between.join([line[:-1]] * 5000) + b"\n")
    assert [content for content in got if isinstance(content, tuple)] == [whole] * 5000


@pytest.mark.parametrize(
    "piece",
    [
        b'{"kind":"', b'{"kind": ', b'{"kind":"x",', b'{"kind":"\x01', b'{"kind": "x", "a":', b"[",
        b'{"kind":{"system_id": ', b'"{"kind":"', b',"_crc":"', b'{"kind":"a","_crc":"00000000"}',
        b'{"kind": "x", "timestamp": 1},',
    ],
    ids=repr,
)  # fmt: skip
def test_a_damaged_line_is_looked_at_once(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work, in characters that are looked at, is a small multiple of the length of the line."""
    looked_at = 0
    real = unlimited_json.value_at

    def counted(text: str, start: int) -> Any:
        nonlocal looked_at
        found = real(text, start)
        looked_at += found.end - start
        return found

    monkeypatch.setattr(damaged_lines, "value_at", counted)
    line = piece * 20_000 + SEALED
    dissect(line)
    assert looked_at <= 3 * len(line)


@pytest.mark.parametrize("piece", [b'{"kind": ', b'{"system_id": [', b'{"kind":"x","a":'], ids=repr)
def test_what_a_look_has_passed_is_not_looked_at_again(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand objects that begin within each other all break at the same byte."""
    line = piece * 10_000 + b"\x01" + SEALED
    left = 3 * len(line)
    real = unlimited_json.value_at

    def counted(text: str, start: int) -> Any:
        nonlocal left
        found = real(text, start)
        left -= found.end - start
        assert left >= 0
        return found

    monkeypatch.setattr(damaged_lines, "value_at", counted)
    assert contents(line)[-1] == ONE


def test_pieces_cover_a_glued_line_and_stand_in_order() -> None:
    line = SEALED[:40] + OTHER[:-1] + LEGACY
    pieces = dissect(line)
    assert pieces[0].start == 0
    assert pieces[-1].stop == len(line)
    assert all(a.stop == b.start for a, b in pairwise(pieces))


@pytest.mark.parametrize(
    ("name", "events", "audits", "dead_letters", "anomalies"),
    [
        ("blank_line", 5, 2, 3, []),
        ("crlf", 5, 2, 3, []),
        ("empty", 0, 0, 0, []),
        ("garbage_middle_line", 5, 2, 3, ["corrupted_line"]),
        ("healthy", 5, 2, 3, []),
        ("healthy_default_clock_monotonic_timestamps", 5, 2, 3, []),
        ("last_newline_missing_complete_record", 5, 2, 3, []),
        ("nan_payload", 0, 0, 2, []),
        ("torn_tail", 5, 2, 3, ["truncated_line"]),
        ("torn_tail_then_append", 6, 2, 3, ["truncated_line"]),
    ],
)
def test_every_record_that_0_3_0_wrote_is_read(
    tmp_path: Path, name: str, events: int, audits: int, dead_letters: int, anomalies: list[str]
) -> None:
    path = tmp_path / "store.ndjson"
    content = (SAMPLES / f"{name}.ndjson").read_bytes()
    path.write_bytes(content)

    with open_store(f"json:{path}") as store:
        for kind, number in (("event", events), ("audit", audits), ("dead_letter", dead_letters)):
            assert len(store.read(kind=kind)) == number
        records = store.read()
        assert store.read(limit=len(records) + 1) == records or name == "nan_payload"
        assert [anomaly.type for anomaly in store.scan().anomalies] == anomalies
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["store.ndjson"]


def test_what_0_3_0_wrote_is_read_as_it_was_given(tmp_path: Path) -> None:
    lines = (SAMPLES / "healthy.ndjson").read_bytes().splitlines()
    path = tmp_path / "store.ndjson"
    path.write_bytes(b"\n".join(lines))
    with open_store(f"json:{path}") as store:
        for record, line in zip(store.read(), lines, strict=True):
            assert {
                "kind": record.kind,
                "timestamp": record.timestamp,
                **record.data,
            } == json.loads(line)
            assert record.id is None


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.ndjson")), ids=lambda path: path.stem)
def test_a_store_of_0_3_0_is_written_and_recovered_and_loses_nothing(
    tmp_path: Path, sample: Path
) -> None:
    path = tmp_path / "store.ndjson"
    path.write_bytes(sample.read_bytes())
    with open_store(f"json:{path}") as store:
        before = [record.timestamp for record in store.read()]
        store.append(event(1))
        found = [record.timestamp for record in store.read()]
        assert found == [*before, event(1).timestamp]
        store.recover()
        assert store.scan().clean
        assert [record.timestamp for record in store.read(strict=True)] == found


def test_an_unterminated_record_gets_its_newline_and_a_torn_one_is_sealed(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    for tail, readable in ((SEALED[:-1], [1, 7]), (SEALED[:-30], [7]), (b"\0" * 9, [7])):
        path.write_bytes(tail)
        with open_store(f"json:{path}") as store:
            store.append(event(7))
            assert path.read_bytes().startswith(tail + b'\n{"kind"')
            assert numbers(store.read()) == readable
