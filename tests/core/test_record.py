"""Records, and the lines that they are stored as."""

import json
import math
import sys
import zlib
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from papyra import Record, RecordError
from papyra.format import json_rules
from papyra.format.codec import decode, encode, id_in, seal
from papyra.format.unlimited_json import parse_unlimited

LINE = seal(
    encode(Record("event", timestamp=1.5, data={"actor": "local:42"})), "9f3c2a1b04d7e655", 42
)


class Twin(str):
    """A text that equals nothing but itself."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class Liar(float):
    """A float that says it is finite."""

    def __sub__(self, other: float) -> float:
        return 0.0


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
        ({"kind": "event", "timestamp": 10**309}, "timestamp"),
        ({"kind": "event", "timestamp": -(10**5000)}, "timestamp"),
        ({"kind": "event", "timestamp": Liar("nan")}, "timestamp"),
        ({"kind": "event", "timestamp": Liar("inf")}, "timestamp"),
        ({"kind": "event", "data": {"kind": 1}}, "data"),
        ({"kind": "event", "data": {"timestamp": 1}}, "data"),
        ({"kind": "event", "data": {"_id": 1}}, "data"),
        ({"kind": "event", "data": {"_crc": 1}}, "data"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else None,
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


def test_the_largest_timestamp_that_a_float_holds_is_taken() -> None:
    largest = int(sys.float_info.max)
    assert Record("event", timestamp=largest).timestamp == largest
    with pytest.raises(
        RecordError, match="must be a finite number of seconds, got an integer beyond"
    ):
        Record("event", timestamp=largest + 2**970)


class Field(str, Enum):  # noqa: UP042  a StrEnum's str() is its value
    USER = "user"


class AnyCase(str):
    """A text that equals others."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


def stored(data: dict[Any, Any]) -> dict[str, Any]:
    record = decode(seal(encode(Record("event", timestamp=1.0, data=data)), "w", 1))
    assert record is not None
    return record.data


def test_a_key_of_a_subclass_is_written_by_its_characters_and_changes_no_other() -> None:
    assert stored({Field.USER: 1, "b": {Field.USER: [1]}}) == {"user": 1, "b": {"user": [1]}}
    assert stored({"Field.USER": 2}) == {"Field.USER": 2}
    assert stored({"content-type": 1}) == {"content-type": 1}
    assert stored({AnyCase("Content-Type"): 2}) == {"Content-Type": 2}
    assert stored({"content-type": 3}) == {"content-type": 3}
    assert stored({AnyCase("Kind"): 1}) == {"Kind": 1}


@pytest.fixture
def _without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `pip install papyra` alone leaves it."""
    monkeypatch.setattr("papyra.format.codec.orjson", None)


@pytest.mark.usefixtures("_without_orjson")
def test_without_orjson_a_key_of_a_subclass_changes_no_other() -> None:
    test_a_key_of_a_subclass_is_written_by_its_characters_and_changes_no_other()


def test_the_keys_that_are_kept_are_bounded() -> None:
    text = json_rules.members({f"key {n}": n for n in range(3000)})
    assert json.loads(f"{{{text}}}") == {f"key {n}": n for n in range(3000)}
    assert len(json_rules._keys) <= 1024


@pytest.mark.parametrize("data", [{Twin("a"): 1, "a": 2}, {"x": {Twin("a"): 1, Twin("a"): 2}}])
def test_two_keys_of_the_same_characters_are_refused(data: dict[Any, Any]) -> None:
    with pytest.raises(RecordError, match="two of its keys have the same characters"):
        encode(Record("event", data=data))


def test_a_reserved_key_is_refused_by_its_characters() -> None:
    with pytest.raises(RecordError, match="reserved at its top level: _id"):
        encode(Record("event", data={Twin("_id"): 1}))


@pytest.fixture(params=[640, 4300, 0])
def limit(request: pytest.FixtureRequest) -> Iterator[int]:
    """A limit of digits that a program chose."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(request.param)
    yield request.param
    sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_same_integers_are_accepted_whatever_the_limit_of_digits(limit: int, sign: int) -> None:
    for number in (10**4300 - 1, 10**3000 + 7, 10**640, 10**639):
        for data in ({"x": sign * number}, {"x": [1, 2, 3, 4, 5, 6, 7, 8, 9, sign * number]}):
            assert stored(data) == data
    for data in ({"x": sign * 10**4300}, {"x": [*range(9), sign * 10**5000]}):
        with pytest.raises(RecordError, match=r"data\['x'\].*at most 4300 digits"):
            encode(Record("event", data=data))
    assert stored({"x": "9" * 5000}) == {"x": "9" * 5000}


def test_an_intact_line_is_read_whatever_the_limit_of_digits(limit: int) -> None:
    digits = b"123456789" * 1000
    line = seal(b'{"kind":"event","timestamp":1,"n":[%b,-%b]' % (digits, digits), "w", 1)
    record = decode(line)
    assert record is not None
    number, negative = record.data["n"]
    sys.set_int_max_str_digits(0)
    assert str(number).encode() == digits
    assert number == -negative


def test_an_intact_line_is_read_whatever_is_left_of_the_stack() -> None:
    data: dict[str, Any] = {}
    for _ in range(99):
        data = {"d": [data]}
    line = seal(encode(Record("event", timestamp=1.0, data=data)), "w", 1)

    def from_below(frames: int) -> Record | None:
        return from_below(frames - 1) if frames else decode(line)

    for frames in range(0, 900, 50):
        record = from_below(frames)
        assert record is not None
        assert record.data == data


@pytest.mark.usefixtures("_without_orjson")
def test_without_orjson_an_intact_line_is_read_whatever_is_left_of_the_stack() -> None:
    test_an_intact_line_is_read_whatever_is_left_of_the_stack()


@pytest.mark.parametrize("stamp", [b"1" + b"0" * 309, b"-1" + b"0" * 400, b"1e999"])
def test_an_intact_line_with_a_timestamp_beyond_the_floats_is_read(stamp: bytes) -> None:
    record = decode(seal(b'{"kind":"event","timestamp":%b' % stamp, "w", 1))
    assert record is not None
    assert abs(record.timestamp) > sys.float_info.max


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=values, indent=st.none() | st.integers(0, 2), ascii_=st.booleans())
def test_the_parser_without_limits_is_the_standard_one_s_equal(
    value: Any, indent: int | None, *, ascii_: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_)
    assert repr(parse_unlimited(text)) == repr(json.loads(text))


@given(text=st.text(alphabet='{}[]":,0123-.eE \\untrfalsNI\n\x01', max_size=12))
@example(text='{"a":01}')
@example(text="-")
@example(text='"\\u12"')
def test_the_parser_without_limits_refuses_what_the_standard_one_refuses(text: str) -> None:
    text = text.strip()
    try:
        expected = repr(json.loads(text))
    except ValueError:
        with pytest.raises(ValueError, match="JSON"):
            parse_unlimited(text)
    else:
        assert repr(parse_unlimited(text)) == expected
