"""
What is in a line that is no intact, checksummed record.

Three kinds of such lines are whole all the same: those of Papyra 0.3.0, which has no checksums;
those with blanks, a carriage return, NUL bytes or a byte order mark around them; and those that
several records share. 0.3.0 appends to a torn line as if it were whole, and so glues the next
record to it: that record is there, and is read.
"""

from collections.abc import Iterator
from json import JSONDecoder
from typing import Final, NamedTuple

from papyra.record import MAX_LINE, Record, has_checksum, parse, record_of

_BLANK: Final = b" \t\r\n\0"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
#: How a record can begin: papyra's and most of 0.3.0's, and those of 0.3.0 with kind at the end.
_BEGINNINGS: Final = (b'{"kind"', b'{"system_id"')
#: Beginnings that are tried in one line: damage must not cost the square of its length.
_MOST_BEGINNINGS: Final = 1000
#: What every record of 0.3.0 is called, and the key that all of them have.
_LEGACY_KINDS: Final = frozenset({"event", "audit", "dead_letter"})
_LEGACY_KEY: Final = "system_id"

_raw_decode = JSONDecoder().raw_decode


class Flaw(NamedTuple):
    """What is wrong: a type of anomaly, and what was seen."""

    type: str
    detail: str


class Piece(NamedTuple):
    """The bytes *start* to *stop* of a line, and the record or the flaw that they are."""

    start: int
    stop: int
    content: Record | Flaw


_SHARED: Final = Flaw("corrupted_line", "two records share the line")


def oversized(length: int) -> Flaw:
    """Return the flaw of a line that is too long to be held."""
    return Flaw("oversized_line", f"{length} bytes; no record has more than {MAX_LINE}")


def dissect(line: bytes) -> list[Piece]:
    """
    Return what *line*, newline included where it has one, consists of; [] for a blank one.

    Pieces come in order. A flaw of no bytes says that two records stand in one line.
    """
    start = len(line) - len(line.lstrip(_BLANK))
    if line.startswith(_BYTE_ORDER_MARK, start):
        start += len(_BYTE_ORDER_MARK)
    core = line[start:].strip(_BLANK)
    if not core:
        if b"\0" in line:
            return [Piece(0, len(line), Flaw("nul_bytes", "nothing but NUL bytes"))]
        return []
    whole = _judge(core, terminated=line.endswith(b"\n"))
    if isinstance(whole, Record):
        return [Piece(0, len(line), whole)]
    start += len(line[start:]) - len(line[start:].lstrip(_BLANK))
    pieces: list[Piece] = []
    for piece in _glued(core, start, terminated=line.endswith(b"\n")):
        if pieces and isinstance(piece.content, Record) and isinstance(pieces[-1].content, Record):
            pieces.append(Piece(piece.start, piece.start, _SHARED))
        pieces.append(piece)
    if any(isinstance(piece.content, Record) for piece in pieces):
        # What is around them belongs to them: every byte of the line is somebody's.
        pieces[0] = pieces[0]._replace(start=0)
        pieces[-1] = pieces[-1]._replace(stop=len(line))
        return pieces
    return [Piece(0, len(line), whole)]


def _judge(core: bytes, *, terminated: bool) -> Record | Flaw:
    """Return the record that *core* is, or what is wrong with it as a whole."""
    torn = core.startswith(b"{") and not core.endswith(b"}")
    try:
        value = parse(core)
        if isinstance(value, dict) and ("_id" in value or "_crc" in value):
            if has_checksum(core + b"\n"):
                return record_of(value)
            flaw = _checksum_flaw(core)
        else:
            return record_of(value)
    except UnicodeDecodeError as error:
        flaw = Flaw("invalid_utf8", f"byte {error.start} of the line is no UTF-8")
    except ValueError as error:
        flaw = Flaw("nul_bytes", "NUL bytes within") if b"\0" in core else _text_flaw(core, error)
    if torn or not terminated:
        return Flaw("truncated_line", f"it ends after {len(core)} bytes, before its record does")
    return flaw


def _text_flaw(core: bytes, error: ValueError) -> Flaw:
    if core[-19:-10] == b',"_crc":"' and not has_checksum(core + b"\n"):
        return _checksum_flaw(core)
    return Flaw("corrupted_line", f"{error}")


def _checksum_flaw(core: bytes) -> Flaw:
    if core[-19:-10] == b',"_crc":"' and core.endswith(b'"}'):
        return Flaw("checksum_mismatch", "its checksum is that of other bytes")
    return Flaw("missing_checksum", "it has an _id or _crc, but no checksum at its end")


def _glued(core: bytes, offset: int, *, terminated: bool) -> Iterator[Piece]:
    """
    Yield the records that share the line, and the damage between them.

    A record with a checksum proves itself. One of 0.3.0's is taken only if it has what all of
    0.3.0's have, and not where an outer object could go on behind it: the one nested in a torn
    line is no record, however much it looks like one.
    """
    text = core.decode("latin-1")  # one character a byte: JSON's structure is ASCII
    begin = damaged = 0
    for _ in range(_MOST_BEGINNINGS):
        end = _record_end(core, text, begin)
        if end:
            if damaged < begin:
                between = _judge(core[damaged:begin], terminated=True)
                yield Piece(offset + damaged, offset + begin, between)
            yield Piece(offset + begin, offset + end, record_of(parse(core[begin:end])))
            begin = damaged = end
        if not end or not core.startswith(b"{", begin):
            begin = _next_beginning(core, begin + 1)
            if begin < 0:
                break
    if damaged < len(core):
        rest = _judge(core[damaged:], terminated=terminated)
        yield Piece(offset + damaged, offset + len(core), rest)


def _next_beginning(core: bytes, start: int) -> int:
    places = [core.find(beginning, start) for beginning in _BEGINNINGS]
    return min((place for place in places if place >= 0), default=-1)


def _record_end(core: bytes, text: str, begin: int) -> int:
    """Return where the record that begins at *begin* ends; 0 if none does begin there."""
    try:
        value, end = _raw_decode(text, begin)
    except (ValueError, RecursionError):
        return 0
    if not isinstance(value, dict):
        return 0
    try:
        record_of(parse(core[begin:end]))
    except ValueError:
        return 0
    if has_checksum(core[begin:end] + b"\n"):
        return end
    unclaimed = "_id" not in value and "_crc" not in value
    legacy = value.get("kind") in _LEGACY_KINDS and _LEGACY_KEY in value and unclaimed
    nested = core[end:].lstrip(_BLANK).startswith((b",", b"]", b"}"))
    return end if legacy and not nested else 0
