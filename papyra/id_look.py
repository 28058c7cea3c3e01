"""
Tell whether any record may be in a store more than once, by the ids alone.

A stream asks before it yields its first record, so nothing is parsed and no checksum computed where lines
are as papyra writes them. Most batches hold the records of one writer, numbered without gaps: such a batch is
compared with the line ends that it must have, by the interpreter's own loops.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final

from papyra.identity import Ids, number_in
from papyra.record import END, ID, Record, has_checksum, id_in
from papyra.sifting import pieces_of

_MARK: Final = b',"_crc":"'
#: Bytes of a line behind its mark.
_BEHIND: Final = END - len(_MARK)
#: The end of a line of papyra's, from its id on.
_TAIL: Final = re.compile(rb',"_id":"([^"\\\x80-\xff]*)-([0-9]{1,40})","_crc":"[0-9a-f]{8}"\}\n')
#: Bytes of a line's end in which its id is looked for.
_MOST_SHOWN: Final = 72
_NO_RUN: Final = (0, -2)
_THOUSAND: Final = 1000
#: What a line of papyra's has at its end, from the last three digits of its id to the mark.
_ENDS: Final = [b'%03d"%b' % (number, _MARK) for number in range(_THOUSAND)]


def may_repeat(batches: Iterable[Sequence[bytes | int]]) -> bool:
    """
    Tell whether any id occurs more than once in the lines.

    False is exact. True may be wrong: a damaged line may show an id that no record has.
    """
    met = Ids()
    return any(
        not met.add_range(writer, first, last)
        for lines in batches
        for writer, first, last in _runs_in(lines)
    )


def ids_in(line: bytes | int) -> Iterator[tuple[str, int]]:
    """Yield the ids that papyra gave, of the records in *line*."""
    # The checksum vouches for what is before it, so most lines need not be parsed.
    text = id_in(line) if type(line) is bytes and has_checksum(line) else ""
    if text and text.isascii():
        if named := number_in(text):
            yield named
        return
    for piece in pieces_of(line):
        content = piece.content
        if isinstance(content, Record) and content.id and (named := number_in(content.id)):
            yield named


def _runs_in(lines: Sequence[bytes | int]) -> Iterator[tuple[str, int, int]]:
    """Yield writer, first and last number of ids that follow one another."""
    if run := _whole_run(lines):
        yield run
        return
    shown = _shown_ids(lines)
    if shown is None:
        yield from ((writer, number, number) for line in lines for writer, number in ids_in(line))
        return
    # Writer -> first and last number; the lines of many may take turns.
    runs: dict[bytes, tuple[int, int]] = {}
    for named, digits in shown:
        number = int(digits)
        first, last = runs.get(named, _NO_RUN)
        if number != last + 1:
            if last >= 0:
                yield named.decode("ascii"), first, last
            first = number
        runs[named] = first, number
    for named, (first, last) in runs.items():
        yield named.decode("ascii"), first, last


def _shown_ids(lines: Sequence[Any]) -> list[tuple[bytes, bytes]] | None:
    """Return the ids that lines show at their ends; None if any has another record, or none."""
    try:
        if b"".join(lines).count(_MARK) != len(lines):
            return None
        shown = _TAIL.findall(b"".join([line[-_MOST_SHOWN:] for line in lines]))
    except TypeError:  # one is too long to be held
        return None
    return shown if len(shown) == len(lines) else None


def _whole_run(lines: Sequence[bytes | int]) -> tuple[str, int, int] | None:
    """Return what `_runs_in` yields of lines that one writer numbered without gaps."""
    shown = _shown_ids(lines[:1])
    if shown is None:
        return None
    writer, number = shown[0][0], int(shown[0][1])
    ends = _line_ends(writer, number, len(lines))
    whole: Sequence[Any] = lines
    try:
        # Each ends with a mark behind the id that is expected, so it has no other if the sum is right.
        if all(map(bytes.endswith, whole, ends, repeat(0), repeat(-_BEHIND))) and b"".join(
            whole
        ).count(_MARK) == len(lines):
            return writer.decode("ascii"), number, number + len(lines) - 1
    except TypeError:  # one is too long to be held
        pass
    return None


def _line_ends(writer: bytes, number: int, count: int) -> list[bytes]:
    """Return what *count* lines of *writer* have up to their mark, the first with *number*."""
    beginning = b"%b%b-" % (ID, writer)
    stop = number + count
    ends = [b'%b%d"%b' % (beginning, n, _MARK) for n in range(number, min(stop, _THOUSAND))]
    number = max(number, _THOUSAND)
    while number < stop:
        thousands, low = divmod(number, _THOUSAND)
        most = b"%b%d" % (beginning, thousands)
        ends += [most + end for end in _ENDS[low : low + stop - number]]
        number += min(stop - number, _THOUSAND - low)
    return ends
