"""
Work out what a line contains that is not an intact, checksummed record.

Three kinds of such lines are whole all the same: those of Papyra 0.3.0, which has no checksums;
those with blanks, a carriage return, NUL bytes (which are damage of their own) or a byte order mark
around them; and those that several records share. 0.3.0 appends to a torn line as if it were whole,
and so glues the next record to it: that record is there, and is read.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from papyra.record import BEGINNING, END, MAX_LINE, Record, has_checksum, parse, record_of
from papyra.unlimited_json import value_at

_BLANK: Final = b" \t\r\n\0"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
#: How a record begins: papyra's, and those of 0.3.0, which wrote kind first or last. 0.3.0 put blanks
#: behind its colons. papyra puts none, so nothing within a line of papyra's begins like one of 0.3.0's.
_ORIGINAL_BEGINNINGS: Final = (b'{"kind": ', b'{"system_id": ')
_BEGINNINGS: Final = re.compile(rb'\{"(?:kind":"|kind": |system_id": )')
#: What a line of papyra's begins with, whatever of it is missing.
_OWN_BEGINNING: Final = re.compile(rb'\{"kind":"(?:[^"\\]|\\.)*+","timestamp":')
#: The keys that each of 0.3.0's three kinds always has.
_ORIGINAL_KEYS: Final = {
    "event": {"system_id", "actor_address", "event_type", "payload", "timestamp"},
    "dead_letter": {"system_id", "target", "message_type", "payload", "timestamp"},
    "audit": {
        "system_id", "timestamp", "total_actors", "alive_actors", "stopping_actors",
        "restarting_actors", "registry_size", "registry_orphans", "registry_dead",
        "dead_letters_count",
    },
}  # fmt: skip
_CHECKSUM: Final = b',"_crc":"'
_GOES_ON: Final = re.compile(rb"[ \t\r\n\0]*+[,\]}]")


class Flaw(NamedTuple):
    """What is wrong: a type of anomaly, and what was seen."""

    type: str
    detail: str


class Piece(NamedTuple):
    """The bytes *start* to *stop* of a line, and the record or the flaw that they are."""

    start: int
    stop: int
    content: Record | Flaw


#: The flaw of a line with neither id nor checksum; an import that seals says more.
UNVOUCHED: Final = Flaw(
    "missing_checksum",
    "it has no _id and no _crc, and is not one of Papyra 0.3.0's records;"
    " if another tool wrote it, import it with --seal",
)
_AROUND: Final = Flaw("nul_bytes", "NUL bytes beside a record, which is read")
_SHARED: Final = Flaw("corrupted_line", "two records share the line")


def oversized(length: int) -> Flaw:
    """Return the flaw of a line that is too long to be held."""
    return Flaw("oversized_line", f"{length} bytes; no record has more than {MAX_LINE}")


def core_of(line: bytes) -> bytes:
    """Return *line* without what may stand around a value: blanks, NUL bytes, a byte order mark."""
    return line.strip(_BLANK).removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANK)


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
    start = len(line) - len(line[start:].lstrip(_BLANK))
    if isinstance(whole, Record):
        return _with_nuls_apart(line, [Piece(start, start + len(core), whole)])
    pieces: list[Piece] = []
    for piece in _glued(core, start, terminated=line.endswith(b"\n")):
        if pieces and isinstance(piece.content, Record) and isinstance(pieces[-1].content, Record):
            pieces.append(Piece(piece.start, piece.start, _SHARED))
        pieces.append(piece)
    if any(isinstance(piece.content, Record) for piece in pieces):
        return _with_nuls_apart(line, pieces)
    return [Piece(0, len(line), whole)]


def _with_nuls_apart(line: bytes, pieces: list[Piece]) -> list[Piece]:
    """
    Return *pieces* with what is around them: they have every byte of the line then.

    NUL bytes beside a record are damage: a power cut leaves them where other records may have been.
    """
    first, last = pieces[0], pieces[-1]
    if isinstance(first.content, Record) and b"\0" in line[: first.start]:
        pieces.insert(0, Piece(0, first.start, _AROUND))
    else:
        pieces[0] = first._replace(start=0)
    if isinstance(last.content, Record) and b"\0" in line[last.stop :]:
        pieces.append(Piece(last.stop, len(line), _AROUND))
    else:
        pieces[-1] = pieces[-1]._replace(stop=len(line))
    return pieces


def _judge(core: bytes, *, terminated: bool) -> Record | Flaw:
    """Return the record that *core* is, or what is wrong with it as a whole."""
    torn = core.startswith(b"{") and not core.endswith(b"}")
    try:
        value = parse(core)
        if isinstance(value, dict) and ("_id" in value or "_crc" in value):
            if has_checksum(core + b"\n"):
                return record_of(value, is_vouched_for=True)
            flaw = _checksum_flaw(core)
        else:
            is_original = _is_original(core, value)
            record = record_of(value)
            return record if is_original else UNVOUCHED
    except UnicodeDecodeError as error:
        flaw = Flaw("invalid_utf8", f"byte {error.start} of the line is not UTF-8")
    except ValueError as error:
        flaw = Flaw("nul_bytes", "NUL bytes within") if b"\0" in core else _text_flaw(core, error)
    if torn or not terminated:
        return Flaw("truncated_line", f"it ends after {len(core)} bytes, before its record does")
    return flaw


def _is_original(core: bytes, value: object) -> bool:
    """
    Tell whether the *value* of *core*, which has no checksum, has the whole shape of one of 0.3.0's.

    A line that begins as papyra's do is never one: its id and checksum were cut off.
    """
    if not isinstance(value, dict) or not isinstance(value.get("system_id"), str):
        return False
    kind = value.get("kind")
    keys = _ORIGINAL_KEYS.get(kind) if isinstance(kind, str) else None
    return keys is not None and keys <= value.keys() and not _OWN_BEGINNING.match(core)


def _text_flaw(core: bytes, error: ValueError) -> Flaw:
    if core[-19:-10] == _CHECKSUM and not has_checksum(core + b"\n"):
        return _checksum_flaw(core)
    return Flaw("corrupted_line", f"{error}")


def _checksum_flaw(core: bytes) -> Flaw:
    if core[-19:-10] == _CHECKSUM and core.endswith(b'"}'):
        return Flaw("checksum_mismatch", "its checksum is that of other bytes")
    return Flaw("missing_checksum", "it has an _id or _crc, but no checksum at its end")


def _flaw_of(core: bytes, *, terminated: bool) -> Flaw:
    """Return what is wrong with bytes beside a record of the same line."""
    flaw = _judge(core, terminated=terminated)
    return UNVOUCHED if isinstance(flaw, Record) else flaw


def _glued(core: bytes, offset: int, *, terminated: bool) -> Iterator[Piece]:
    """
    Yield the records that share the line, and the damage between them; in linear time.

    A record with a checksum proves itself. One of 0.3.0's is taken only if it has the whole shape of
    those, to the blanks behind its colons. Neither is taken where an outer object goes on behind it:
    what is nested in a damaged line is not a record, however much it looks like one.
    """
    text = core.decode("latin-1")  # one character a byte: JSON's structure is ASCII
    damaged = 0
    begin = 0 if core.startswith(b"{") else _next_beginning(core, 0)
    while begin >= 0:
        at, end, record = _record_at(core, text, begin, damaged)
        if record is not None:
            if damaged < at:
                between = _flaw_of(core[damaged:at], terminated=True)
                yield Piece(offset + damaged, offset + at, between)
            yield Piece(offset + at, offset + end, record)
            damaged = end
        begin = end if record and core.startswith(b"{", end) else _next_beginning(core, end)
    if damaged < len(core):
        rest = _flaw_of(core[damaged:], terminated=terminated)
        yield Piece(offset + damaged, offset + len(core), rest)


def _next_beginning(core: bytes, start: int) -> int:
    found = _BEGINNINGS.search(core, start)
    return found.start() if found else -1


def _record_at(core: bytes, text: str, begin: int, damaged: int) -> tuple[int, int, Record | None]:
    """
    Look for a record that begins at *begin*, or that is the last thing whole in what begins there.

    Returns:
        Where it begins and ends. If there is none, where the next look begins: everything before
        breaks at the same byte, or is nested.
    """
    if begin == damaged and core.startswith(BEGINNING, begin):
        # Where nothing is damaged the next checksum is the record's own.
        end = core.find(_CHECKSUM, begin) + END - 1
        if end >= END - 1 and (record := _proven(core[begin:end])):
            return begin, end, record
    _, end, is_whole, closed = value_at(text, begin)
    at = begin if is_whole else closed
    if at >= 0:
        stop = end if is_whole else at + len(core[at:end].rstrip(_BLANK))
        record = _proven(core[at:stop]) or _original(core[at:stop])
        if record and not _is_nested(core, damaged, at, stop):
            return at, stop, record
    # A string that ends with the quote of the next beginning: `"torn{"kind"`.
    return begin, max(begin + 1, end - 2), None


def _proven(core: bytes) -> Record | None:
    """Return the record that *core* is by its checksum."""
    if not has_checksum(core + b"\n"):
        return None
    try:
        return record_of(parse(core), is_vouched_for=True)
    except ValueError:
        return None


def _original(core: bytes) -> Record | None:
    """Return the record of 0.3.0's that *core* is, as that wrote it."""
    if not core.startswith(_ORIGINAL_BEGINNINGS):
        return None
    try:
        value = parse(core)
        is_one = _is_original(core, value) and "_id" not in value and "_crc" not in value
        return record_of(value) if is_one else None
    except ValueError:
        return None


def _is_nested(core: bytes, damaged: int, at: int, stop: int) -> bool:
    """Tell whether an object around the one at *at* goes on behind it."""
    if not _GOES_ON.match(core, stop):
        return False
    # Without any of an object before it, that is what another program put between records. A copy of what
    # stands before would make a line of many nested records cost the square of its length.
    return (
        core.find(b"{", damaged, at) >= 0
        or core.find(b'"', damaged, at) >= 0
        or core.startswith(_ORIGINAL_BEGINNINGS, at)
    )
