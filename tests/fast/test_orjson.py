"""The extra papyra[fast] changes the speed and nothing else."""

import math
import struct
import uuid
from enum import Enum, IntEnum
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from papyra import Record, RecordError, record
from papyra.format import codec
from papyra.format.codec import decode, encode, seal


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(),
    st.characters(categories=["Cs"]),
    st.sampled_from(
        [
            Colour.RED,
            Level.LOW,
            uuid.UUID(int=5),
            b"bytes",
            Text("text"),
            orjson.Fragment(b'"x"'),
            2**64,
            2**63 - 1,
            "\u2028\x00\x7f",
            -0.0,
            1e-7,
            1e22,
            5e-324,
        ]
    ),
)
keys = st.one_of(
    st.text(max_size=5), st.integers(), st.none(), st.just(Text("k")), st.just("\ud800")
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=12),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(st.text(max_size=5), inner, max_size=4),
    ),
    max_leaves=12,
)


def without_orjson(function: Any, *arguments: Any) -> Any:
    """Return what *function* comes to where the extra is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "orjson", None)
        return outcome(function, *arguments)


def outcome(function: Any, *arguments: Any) -> Any:
    """Return the result, or the path at which it was refused."""
    try:
        return function(*arguments)
    except RecordError as error:
        return f"refused: {error.path}"


def bits(value: Any) -> Any:
    """Return *value* with its floats as bits, so that equal means the same, -0.0 and all."""
    if isinstance(value, float):
        return "float", struct.pack("d", value)
    if isinstance(value, list):
        return [bits(item) for item in value]
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return type(value), value


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels):
        data = {"d": [data]}
    return data


@given(
    data=st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda k: k not in record.RESERVED), values
    )
)
@example(data={"x": [None, math.nan]})
def test_the_same_records_are_accepted_and_decode_equal(data: dict[str, Any]) -> None:
    accepted_alike(data)


@pytest.mark.parametrize("levels", [50, 99, 100, 101, 127, 600])
def test_the_same_depth_is_accepted(levels: int) -> None:
    accepted_alike(nested(levels))


def accepted_alike(data: dict[str, Any]) -> None:
    """Check *data* with and without orjson."""
    given = Record("event", timestamp=1.5, data=data)
    fast, plain = outcome(encode, given), without_orjson(encode, given)
    assert type(fast) is type(plain)
    if isinstance(fast, str):
        assert fast == plain
        return
    seen = []
    for body in (fast, plain):
        line = seal(body, "0" * 16, 1)
        for read in (decode(line), without_orjson(decode, line)):
            assert isinstance(read, Record)
            seen.append(bits(read.data))
    assert all(item == seen[0] for item in seen)


lines = st.one_of(
    st.binary(max_size=40),
    values.map(lambda value: repr(value).replace("'", '"').encode("utf-8", "replace")),
    st.sampled_from(
        [
            b"NaN",
            b"[Infinity, -Infinity]",
            b"18446744073709551616",
            b"-9223372036854775809",
            b"1e999",
            b'"\\ud800"',
            b'{"a":1,"a":2}',
            b"[1,]",
            b"01",
            b"\xef\xbb\xbf1",
            b'"\x7f\xc3\xa9"',
            b"0.1000000000000000055511151231257827",
            b"[" * 150 + b"]" * 150,
            b" 1",
            b"\t{}\r\n",
            b"{} x",
            b" ",
        ]
    ),
)


@given(text=lines)
def test_the_same_text_is_parsed_and_to_the_same(text: bytes) -> None:
    def parsed(text: bytes) -> Any:
        try:
            return bits(codec.parse(text))
        except ValueError:
            return "refused"

    assert parsed(text) == without_orjson(parsed, text)


def test_orjson_is_in_use() -> None:
    assert vars(codec)["orjson"] is orjson
    assert encode(Record("event", timestamp=1.5, data={"x": "é"})).endswith('é"'.encode())
