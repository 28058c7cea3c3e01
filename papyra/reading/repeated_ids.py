"""
Tell whether any record may be in a store more than once, by the ids alone.

A stream asks before it yields its first record. So lines that papyra wrote are not parsed here, and their
checksums are not computed. Most lines follow others of their writer, numbered without gaps. Such a run is
compared with the line ends that it must have, by the interpreter's own loops.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final

from papyra.format.codec import END, ID, has_checksum, id_in
from papyra.reading.scanner import fragments_of
from papyra.reading.seen_ids import Ids, number_in
from papyra.record import Record

#: The bytes before a checksum.
MARK: Final = b',"_crc":"'
#: Bytes of a line behind its mark.
_BEHIND: Final = END - len(MARK)
#: The end of a line of papyra's, from its id on.
_TAIL: Final = re.compile(rb',"_id":"([^"\\\x80-\xff]*)-([0-9]{1,40})","_crc":"[0-9a-f]{8}"\}\n')
#: The same for the names that papyra gives its writers, which is found faster.
_USUAL_TAIL: Final = re.compile(rb',"_id":"([0-9a-f]{16})-([0-9]{1,40})","_crc":".{8}"\}\n')
#: Bytes of a line's end, newline included, in which its id is looked for.
MOST_SHOWN: Final = 72
#: The length of a run from which comparing lines is cheaper than taking out their ids.
_SHORT_RUN: Final = 32
_THOUSAND: Final = 1000
#: The ends of lines that papyra wrote, from the last three digits of the id to the mark.
_ENDS: Final = [b'%03d"%b' % (number, MARK) for number in range(_THOUSAND)]


def may_repeat(batches: Iterable[Sequence[bytes | int]]) -> bool:
    """
    Tell whether any id occurs more than once in the lines.

    False is exact. True may be wrong, because a damaged line may show an id that no record has.
    """
    known = Ids()
    return any(
        not known.add_range(writer, first, last)
        for lines in batches
        for writer, first, last in _runs_in(lines)
    )


def show_ids(ends: Sequence[bytes]) -> bool:
    """Tell whether the ends of lines, each of which has one mark, show all ids that are in the lines."""
    return _have_one_mark_each(ends) and _shown_ids(ends) is not None


def ids_in(line: bytes | int) -> Iterator[tuple[str, int]]:
    """Yield the ids that papyra gave, of the records in *line*."""
    # The checksum vouches for the bytes before it, so most lines need not be parsed.
    text = id_in(line) if type(line) is bytes and has_checksum(line) else ""
    if text and text.isascii():
        if named := number_in(text):
            yield named
        return
    for fragment in fragments_of(line):
        content = fragment.content
        if isinstance(content, Record) and content.id and (named := number_in(content.id)):
            yield named


def _runs_in(lines: Sequence[bytes | int]) -> Iterator[tuple[str, int, int]]:
    """Yield writer, first and last number of ids that follow one another."""
    rest = lines
    if _have_one_mark_each(lines):
        while rest and (found := _run_at_start(rest)):
            writer, first, count = found
            yield writer, first, first + count - 1
            rest = rest[count:]
        if (shown := _shown_ids(rest)) is not None:
            yield from _runs_of(shown)
            return
    yield from ((writer, number, number) for line in rest for writer, number in ids_in(line))


def _have_one_mark_each(lines: Sequence[Any]) -> bool:
    """Tell whether there are as many marks as lines; then a line with an id at its end has no other."""
    try:
        return b"".join(lines).count(MARK) == len(lines)
    except TypeError:  # one is too long to be held
        return False


def _runs_of(shown: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, int, int]]:
    """Yield the runs of ids whose writers may take turns."""
    of_writer: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for writer, digits in shown:
        of_writer[writer].append(digits)
    for writer, all_digits in of_writer.items():
        name = writer.decode("ascii")
        numbers = list(map(int, all_digits))
        first, count = numbers[0], len(numbers)
        if numbers == list(range(first, first + count)):
            yield name, first, first + count - 1
        else:
            yield from ((name, number, number) for number in numbers)


def _shown_ids(lines: Sequence[Any]) -> list[tuple[bytes, bytes]] | None:
    """Return the ids that lines show at their ends; None if any line does not show one."""
    tails = b"".join([line[-MOST_SHOWN:] for line in lines])
    shown: list[tuple[bytes, bytes]] = _USUAL_TAIL.findall(tails)
    if len(shown) != len(lines):
        shown = _TAIL.findall(tails)
    return shown if len(shown) == len(lines) else None


def _run_at_start(lines: Sequence[Any]) -> tuple[str, int, int] | None:
    """
    Return the writer, the first number and the length of the run that *lines* begin with.

    None if that is not clear, or if the run is too short to be compared and more lines follow.
    """
    shown = _shown_ids(lines[:1])
    if shown is None:
        return None
    writer, number = shown[0][0], int(shown[0][1])

    def is_behind_it(at: int) -> bool:
        (end,) = _line_ends(writer, number + at, 1)
        return not lines[at].endswith(end, 0, -_BEHIND)

    # A few lines tell how long the run seems to be; then all its lines tell whether it is.
    count = bisect_left(range(len(lines)), x=True, key=is_behind_it)
    if count < min(_SHORT_RUN, len(lines)):
        return None
    ends = _line_ends(writer, number, count)
    if not all(map(bytes.endswith, lines, ends, repeat(0), repeat(-_BEHIND))):
        return None
    return writer.decode("ascii"), number, count


def _line_ends(writer: bytes, number: int, count: int) -> list[bytes]:
    """Return the ends of *count* lines of *writer* up to their marks, from *number* on."""
    beginning = b"%b%b-" % (ID, writer)
    stop = number + count
    ends = [b'%b%d"%b' % (beginning, n, MARK) for n in range(number, min(stop, _THOUSAND))]
    number = max(number, _THOUSAND)
    while number < stop:
        thousands, low = divmod(number, _THOUSAND)
        most = b"%b%d" % (beginning, thousands)
        ends += [most + end for end in _ENDS[low : low + stop - number]]
        number += min(stop - number, _THOUSAND - low)
    return ends
