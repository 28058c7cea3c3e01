"""
Work out what a line contains that is not an intact, checksummed record.

Three kinds of such lines are whole all the same. The first are those of Papyra 0.3.0, which has no
checksums. The second have blanks, a carriage return, NUL bytes or a byte order mark around them.
The third are those that several records share. 0.3.0 appends to a torn line as if it were whole,
and so glues the next record to it. That record is there, and is read.
"""

import re
from collections.abc import Iterator
from typing import Final

from papyra.format.codec import BEGINNING, END, has_checksum, parse, record_of
from papyra.format.flaws import CHECKSUM, SHARED, UNVOUCHED, Flaw, Fragment, classify
from papyra.format.legacy_lines import LEGACY_BEGINNINGS, legacy_record
from papyra.format.unlimited_json import value_at
from papyra.record import Record

_BLANK: Final = b" \t\r\n\0"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BEGINNINGS: Final = re.compile(rb'\{"(?:kind":"|kind": |system_id": )')
_GOES_ON: Final = re.compile(rb"[ \t\r\n\0]*+[,\]}]")


_AROUND: Final = Flaw("nul_bytes", "NUL bytes beside a record, which is read")


def core_of(line: bytes) -> bytes:
    """Return *line* without blanks, NUL bytes and a byte order mark around its value."""
    return line.strip(_BLANK).removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANK)


def dissect(line: bytes) -> list[Fragment]:
    """
    Return the fragments of *line*, which has its newline, if any; [] for a blank line.

    Fragments come in order. A flaw without bytes says that two records share the line.
    """
    start = len(line) - len(line.lstrip(_BLANK))
    if line.startswith(_BYTE_ORDER_MARK, start):
        start += len(_BYTE_ORDER_MARK)
    core = line[start:].strip(_BLANK)
    if not core:
        if b"\0" in line:
            return [Fragment(0, len(line), Flaw("nul_bytes", "nothing but NUL bytes"))]
        return []
    whole = classify(core, terminated=line.endswith(b"\n"))
    start = len(line) - len(line[start:].lstrip(_BLANK))
    if isinstance(whole, Record):
        return _with_nuls_apart(line, [Fragment(start, start + len(core), whole)])
    fragments: list[Fragment] = []
    for fragment in _glued(core, start, terminated=line.endswith(b"\n")):
        if (
            fragments
            and isinstance(fragment.content, Record)
            and isinstance(fragments[-1].content, Record)
        ):
            fragments.append(Fragment(fragment.start, fragment.start, SHARED))
        fragments.append(fragment)
    if any(isinstance(fragment.content, Record) for fragment in fragments):
        return _with_nuls_apart(line, fragments)
    return [Fragment(0, len(line), whole)]


def _with_nuls_apart(line: bytes, fragments: list[Fragment]) -> list[Fragment]:
    """
    Return *fragments* with the bytes around them, so that they cover the whole line.

    NUL bytes beside a record are damage: a power cut leaves them where other records may have been.
    """
    first, last = fragments[0], fragments[-1]
    if isinstance(first.content, Record) and b"\0" in line[: first.start]:
        fragments.insert(0, Fragment(0, first.start, _AROUND))
    else:
        fragments[0] = first._replace(start=0)
    if isinstance(last.content, Record) and b"\0" in line[last.stop :]:
        fragments.append(Fragment(last.stop, len(line), _AROUND))
    else:
        fragments[-1] = fragments[-1]._replace(stop=len(line))
    return fragments


def _flaw_of(core: bytes, *, terminated: bool) -> Flaw:
    """Return the flaw of bytes beside a record of the same line."""
    flaw = classify(core, terminated=terminated)
    return UNVOUCHED if isinstance(flaw, Record) else flaw


def _glued(core: bytes, offset: int, *, terminated: bool) -> Iterator[Fragment]:
    """
    Yield the records that share the line, and the damage between them, in linear time.

    A record with a checksum proves itself. A record of 0.3.0 is taken only if it has the whole shape of
    those, to the blanks behind its colons. Neither is taken if an outer object goes on behind it. An
    object nested in a damaged line is not a record, however much it looks like one.
    """
    text = core.decode("latin-1")  # one character a byte: JSON's structure is ASCII
    damaged = 0
    begin = 0 if core.startswith(b"{") else _next_beginning(core, 0)
    while begin >= 0:
        at, end, record = _record_at(core, text, begin, damaged)
        if record is not None:
            if damaged < at:
                between = _flaw_of(core[damaged:at], terminated=True)
                yield Fragment(offset + damaged, offset + at, between)
            yield Fragment(offset + at, offset + end, record)
            damaged = end
        begin = end if record and core.startswith(b"{", end) else _next_beginning(core, end)
    if damaged < len(core):
        rest = _flaw_of(core[damaged:], terminated=terminated)
        yield Fragment(offset + damaged, offset + len(core), rest)


def _next_beginning(core: bytes, start: int) -> int:
    found = _BEGINNINGS.search(core, start)
    return found.start() if found else -1


def _record_at(core: bytes, text: str, begin: int, damaged: int) -> tuple[int, int, Record | None]:
    """
    Look for a record that begins at *begin*, or is the last whole object in the value that begins there.

    Returns:
        Its beginning and end. Without a record, the place from which to look next, because everything
        before breaks at the same byte, or is nested.
    """
    if begin == damaged and core.startswith(BEGINNING, begin):
        # If nothing is damaged, the next checksum is the record's own.
        end = core.find(CHECKSUM, begin) + END - 1
        if end >= END - 1 and (record := _proven(core[begin:end])):
            return begin, end, record
    _, end, is_whole, closed = value_at(text, begin)
    at = begin if is_whole else closed
    if at >= 0:
        stop = end if is_whole else at + len(core[at:end].rstrip(_BLANK))
        record = _proven(core[at:stop]) or legacy_record(core[at:stop])
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


def _is_nested(core: bytes, damaged: int, at: int, stop: int) -> bool:
    """Tell whether an object around the one at *at* goes on behind it."""
    if not _GOES_ON.match(core, stop):
        return False
    # If no part of an object precedes it, another program put those bytes between records. They are searched
    # in place, because a copy would make a line of many nested records cost the square of its length.
    return (
        core.find(b"{", damaged, at) >= 0
        or core.find(b'"', damaged, at) >= 0
        or core.startswith(LEGACY_BEGINNINGS, at)
    )
