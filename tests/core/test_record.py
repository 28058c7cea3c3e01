"""Records, and the lines that they are stored as."""

import json
import math
import zlib
from typing import Any

import pytest

from papyra import Record, RecordError
from papyra.record import decode, encode, id_in, seal

LINE = seal(
    encode(Record("event", timestamp=1.5, data={"actor": "local:42"})), "9f3c2a1b04d7e655", 42
)


def test_a_line_is_json_that_ends_with_its_checksum() -> None:
    assert json.loads(LINE) == {
        "kind": "event",
        "timestamp": 1.5,
        "actor": "local:42",
        "_id": "9f3c2a1b04d7e655-42",
        "_crc": f"{zlib.crc32(LINE[:-20]):08x}",
    }
    assert list(json.loads(LINE)) == ["kind", "timestamp", "actor", "_id", "_crc"]
    assert LINE.endswith(b"\n")
    assert LINE.count(b"\n") == 1
    assert id_in(LINE) == "9f3c2a1b04d7e655-42"


def test_a_record_without_data_is_a_line_too() -> None:
    line = seal(encode(Record("k", timestamp=2)), "0" * 16, 1)
    assert line.startswith(b'{"kind":"k","timestamp":2,"_id":')
    assert decode(line) == Record("k", timestamp=2)


def test_every_single_bit_flip_is_noticed() -> None:
    served = []
    for place in range(len(LINE) * 8):
        flipped = bytearray(LINE)
        flipped[place // 8] ^= 1 << place % 8
        if decode(bytes(flipped)) is not None:
            served.append(place)
    assert served == []


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"kind": ""}, "kind"),
        ({"kind": "x" * 256}, "kind"),
        ({"kind": 5}, "kind"),
        ({"kind": "event", "timestamp": math.nan}, "timestamp"),
        ({"kind": "event", "timestamp": math.inf}, "timestamp"),
        ({"kind": "event", "timestamp": True}, "timestamp"),
        ({"kind": "event", "timestamp": False}, "timestamp"),
        ({"kind": "event", "timestamp": "1.0"}, "timestamp"),
        ({"kind": "event", "data": {"kind": 1}}, "data"),
        ({"kind": "event", "data": {"timestamp": 1}}, "data"),
        ({"kind": "event", "data": {"_id": 1}}, "data"),
        ({"kind": "event", "data": {"_crc": 1}}, "data"),
    ],
    ids=str,
)
def test_a_bad_kind_timestamp_or_reserved_key_is_refused_at_once(
    arguments: dict[str, Any], path: str
) -> None:
    with pytest.raises(RecordError) as raised:
        Record(**arguments)
    assert raised.value.path == path


def test_reserved_names_are_free_below_the_top_level() -> None:
    record = Record("event", data={"inner": {"kind": 1, "timestamp": 2, "_id": 3, "_crc": 4}})
    assert decode(seal(encode(record), "0" * 16, 1)) == record


def test_a_kind_that_is_no_text_is_refused_by_encode() -> None:
    with pytest.raises(RecordError, match="kind: a lone surrogate"):
        encode(Record("\ud800"))


def test_the_timestamp_is_now_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.25)
    assert Record("event").timestamp == 1_700_000_000.25
    assert Record("event", timestamp=5).timestamp == 5


def test_a_record_is_immutable_and_equal_by_what_it_says() -> None:
    record = Record("event", timestamp=1.0, data={"a": 1})
    with pytest.raises(AttributeError, match="immutable"):
        record.kind = "audit"
    with pytest.raises(AttributeError, match="immutable"):
        del record.data
    stored = decode(seal(encode(record), "0" * 16, 7))
    assert stored is not None
    assert stored.id == "0" * 16 + "-7"
    assert stored == record
    assert hash(stored) == hash(record)
    assert record != Record("event", timestamp=1.0, data={"a": 2})
    assert record != "event"
    assert repr(record) == "Record(kind='event', timestamp=1.0, data={'a': 1})"
    assert repr(stored).endswith(", id='0000000000000000-7')")
    match record:
        case Record(kind, timestamp, data):
            assert (kind, timestamp, data) == ("event", 1.0, {"a": 1})


@pytest.mark.parametrize(
    "content",
    [b"[1]", b"123", b'{"kind":"x"}', b'{"kind":1,"timestamp":2}', b'{"kind":"x","timestamp":NaN}'],
)
def test_a_line_that_is_no_record_is_not_decoded_however_good_its_checksum(content: bytes) -> None:
    body = content[:-1]
    assert decode(b'%b,"_crc":"%08x"}\n' % (body, zlib.crc32(body))) is None
