"""
The line that a record is stored as, and the way back.

    {"kind":"event","timestamp":1795450857.78,...data...,"_id":"9f3c2a1b04d7e655-42","_crc":"2eab5604"}

`encode` makes the part that does not depend on the place in the store, outside any lock. `seal` adds
the id, which the commit queue gives under its lock, and the checksum of all bytes before its comma.
`decode` takes intact lines only; `papyra.format.damaged_lines` tells what is wrong with the others. A
line whose checksum is right was acknowledged once: it is read whatever this interpreter's limits of
digits and depth are.
"""

import re
from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder
from json.encoder import encode_basestring_ascii as quoted
from json.scanner import make_scanner
from typing import Any, Final, cast
from zlib import crc32

from papyra.errors import RecordError
from papyra.format.json_rules import (
    MAX_DEPTH,
    MAX_DIGITS,
    are_plain,
    find_fault,
    members,
    members_by_character,
)
from papyra.format.unlimited_json import parse_unlimited
from papyra.record import (
    Record,
    is_time,
    refuse_reserved,
    restore,
    set_data,
    set_id,
    set_kind,
    set_timestamp,
)

try:
    import orjson
except ImportError:  # the extra papyra[fast]: speed alone, the same records are accepted
    orjson = None  # type: ignore[assignment]  # mypy cannot say "module or None"

_NO_SUBCLASSES: Final = 0 if orjson is None else orjson.OPT_PASSTHROUGH_SUBCLASS
#: The longest line, in bytes, newline included; longer ones are neither written nor held by a reader.
MAX_LINE: Final = 16 * 1024 * 1024
#: The most bytes that `seal` adds.
_SEAL: Final = 80

#: The beginning of a line that papyra wrote.
BEGINNING: Final = b'{"kind":"'
_STAMP: Final = re.compile(
    rb'\{"kind":"(?:[^"\\]|\\.)*+","timestamp":(-?[0-9]++(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?)[,}]'
)
#: The bytes before a record's id.
ID: Final = b',"_id":"'
#: Length of the end of a checksummed line, newline included.
END: Final = len(b',"_crc":"01234567"}\n')


def encode(record: Record) -> bytes:
    """
    Return the line of *record* up to its id, the closing brace left out.

    Raises:
        RecordError: if *record* is not a Record, or JSON cannot hold it, or it is too long.
    """
    if not isinstance(record, Record):
        raise RecordError("record", f"must be a papyra.Record, got {type(record).__name__}")
    body = _encode_fast(record) or _encode(record)
    if len(body) > 2 * MAX_DEPTH and (
        body.count(b"{") + body.count(b"[") > MAX_DEPTH
        or (len(body) > MAX_DIGITS and _LONG_NUMBER in body.translate(_DIGITS))
    ):
        _raise_fault(record)
    if len(body) > MAX_LINE - _SEAL:
        raise RecordError(
            "record",
            f"must be at most {MAX_LINE - _SEAL} bytes as a line, got {len(body)}; split it",
        )
    return body


def _encode(record: Record) -> bytes:
    try:
        text = members(record.data)
        stamp = record.timestamp
        number = float.__repr__(stamp) if isinstance(stamp, float) else int.__repr__(stamp)
    except (AttributeError, TypeError, ValueError, RecursionError):
        _raise_fault(record)
        # The record is valid: a key is of a subclass, or Python's limit of digits is low.
        text = members_by_character(record.data)
        stamp = record.timestamp
        number = float.__repr__(stamp) if isinstance(stamp, float) else int.__repr__(stamp)
    body = f'{{"kind":{quoted(record.kind)},"timestamp":{number}{"," if text else ""}{text}'
    # The escape of a surrogate; a lone one is not text. One character is found faster than three.
    if "\\" in body and "\\ud" in body:
        _raise_fault(record)
    return body.encode("ascii")


def _encode_fast(record: Record) -> bytes | None:
    """Return the line that orjson makes of *record*; None if the standard library must decide."""
    if orjson is None:
        return None
    data = record.data
    try:
        if type(data) is not dict or not are_plain(data.values()):
            return None
        line = {"kind": record.kind, "timestamp": record.timestamp, **data}
        if len(line) != len(data) + 2:  # a key of a subclass that says it equals "kind"
            return None
        return orjson.dumps(line, option=_NO_SUBCLASSES)[:-1]
    except (orjson.JSONEncodeError, RecursionError):
        return None


def _raise_fault(record: Record) -> None:
    """Raise why *record* cannot be stored, if it cannot."""
    if not isinstance(record.data, dict):
        raise RecordError(
            "data", f"must be a JSON object (a dict), got {type(record.data).__name__}"
        )
    refuse_reserved(record.data)
    for value, path in (
        (str.__str__(record.kind), "kind"),
        (record.timestamp, "timestamp"),
        (record.data, "data"),
    ):
        if fault := find_fault(value, path):
            raise fault


def seal(body: bytes, writer: str, number: int) -> bytes:
    """Return the line of an encoded record: with its id, its checksum and its newline."""
    line = b'%b,"_id":"%b-%d"' % (body, writer.encode(), number)
    return line + _end_of(line)


def _end_of(body: bytes) -> bytes:
    """Return the end of a line that has *body* before its checksum."""
    return b',"_crc":"%08x"}\n' % crc32(body)


def has_checksum(line: bytes) -> bool:
    """Tell whether *line*, whole and with its newline, ends with the checksum of its bytes."""
    return line.endswith(_end_of(line[:-END]))


def id_in(line: bytes) -> str:
    """Return the id of a checksummed *line*; "" for a line that `seal` did not make."""
    start = line.rfind(ID, -_SEAL - len(ID), -END)
    if start < 0 or not line.startswith(BEGINNING):
        return ""
    id_ = line[start + len(ID) : -END]
    if not id_.endswith(b'"') or id_.find(b'"') < len(id_) - 1 or b"\\" in id_:
        return ""
    return id_[:-1].decode("ascii", "replace")


class StandIn(Record):
    """
    A record in place of one that `decode` could not read, for callers that need only its place.

    Attributes:
        reason: Why it could not be read.
    """

    __slots__ = ("reason",)

    reason: str


def stand_in(line: bytes, reason: str) -> StandIn:
    """Return a stand-in for the record of *line*; its timestamp is infinite if the line does not show one."""
    stamp = _STAMP.match(line)
    record = object.__new__(StandIn)
    set_kind(record, "")
    set_timestamp(record, float(stamp.group(1)) if stamp else float("inf"))
    set_data(record, {})
    set_id(record, id_in(line))
    object.__setattr__(record, "reason", reason)
    return record


class NotParsedError(ValueError):
    """A line that `seal` made, by its checksum and its form, is not JSON: it cannot be read."""


def decode(line: bytes) -> Record | None:
    """
    Return the record of an intact, checksummed *line*; None for every other line.

    Raises:
        NotParsedError: if the line is intact and papyra's, and its record cannot be read.
    """
    body = line[:-END]
    if not line.endswith(_end_of(body)):
        return None
    try:
        return record_of(parse(body + b"}"), is_vouched_for=True)
    except ValueError as error:
        if id_in(line):
            raise NotParsedError(str(error)) from error
        return None


# JSONDecoder.raw_decode calls this; typeshed knows it as a class that takes itself.
_scan = cast("Callable[[str, int], tuple[Any, int]]", make_scanner(cast("Any", JSONDecoder())))
#: Every digit becomes a 0, so that a run of digits is found by one search.
_DIGITS: Final = bytes(ord("0") if byte in b"0123456789" else 1 for byte in range(256))
#: The characters that JSON allows around a value.
_BLANKS: Final = " \t\n\r"
_LONG_NUMBER: Final = b"0" * (MAX_DIGITS + 1)


def parse(text: bytes) -> Any:  # noqa: ANN401  JSON is whatever it says
    """
    Return the JSON value that *text* is, however deep it nests and long its integers are.

    Raises:
        ValueError: when it is not one.
        RecursionError: when the caller has used up the stack.
    """
    # orjson turns integers over 64 bit into floats, and refuses NaN, which 0.3.0 wrote.
    if orjson is not None and b"0000000000000000000" not in text.translate(_DIGITS):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    string = text.decode()
    try:
        value, end = _scan(string, 0)
    except StopIteration as stop:
        if string[:1] in _BLANKS and string.strip(_BLANKS):
            return parse(string.strip(_BLANKS).encode())  # as orjson does
        raise ValueError(f"a JSON value is expected at character {stop.value}") from None
    except JSONDecodeError:
        raise
    except (ValueError, RecursionError):  # more digits or levels than this interpreter takes
        return parse_unlimited(string)
    if end != len(string) and string[end:].strip(_BLANKS):
        raise ValueError(f"something follows the JSON value at character {end}")
    return value


def record_of(value: Any, *, is_vouched_for: bool = False) -> Record:  # noqa: ANN401  JSON is whatever it says
    """
    Make the record of a parsed line; its dict becomes the record's data.

    Args:
        value: The JSON value of the line.
        is_vouched_for: Its checksum is right, so it was acknowledged: a timestamp may be beyond the
            floats, as earlier versions took it, and compares as infinite.

    Raises:
        ValueError: when it is not an object with a string kind and a finite timestamp.
    """
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  the line is wrong
    kind = value.pop("kind", None)
    timestamp = value.pop("timestamp", None)
    id_ = value.pop("_id", None)
    if not isinstance(kind, str):
        raise ValueError("it has no string kind")  # noqa: TRY004  the line is wrong
    if not is_time(timestamp) and not (is_vouched_for and _is_beyond(timestamp)):
        raise ValueError("it has no finite timestamp")
    if id_ is not None and not isinstance(id_, str):
        raise ValueError("its _id is not a string")
    value.pop("_crc", None)
    return restore(kind, timestamp, value, id_)


def _is_beyond(value: object) -> bool:
    """Tell whether *value* is a number beyond the floats."""
    return type(value) is int or (type(value) is float and value - value != 0 and value == value)  # noqa: PLR0124  NaN is not
