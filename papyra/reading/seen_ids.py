"""Tells which records a pass over lines has met before, by their ids."""

from bisect import bisect_right
from json.encoder import encode_basestring_ascii as quoted
from typing import ClassVar, Final

from papyra.format.codec import ID
from papyra.record import Record

#: The most digits of a number in an id: papyra gives shorter ones, and Python refuses to read thousands of digits.
_MOST_DIGITS: Final = 100


class SeenIds:
    """
    The records met so far, by their ids. One without an id is always new.

    A writer numbers its records without gaps. So a store of a hundred million records is a few
    ranges, in whichever direction and order its lines come.

    Attributes:
        next_end: The bytes before the checksum of the line that is most likely to come next: the id
            after the one that was met last.
    """

    __slots__ = (
        "_ending",
        "_firsts",
        "_lasts",
        "_number",
        "_writer",
        "_writers",
        "next_end",
    )

    def __init__(self) -> None:
        # Writer -> the ranges' first numbers, and their last ones; both ascending.
        self._writers: dict[str, tuple[list[int], list[int]]] = {}
        self.next_end: bytes | tuple[()] = ()  # with which nothing ends
        # It is made of both; the number goes into the last range once its record is met.
        self._ending = b""
        self._number = 0
        # The writer of the id that was met last, and the writer's ranges.
        self._writer = ""
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, record: Record, line: bytes | int) -> bool:
        """Take in the *record* in *line*; return False if it was there."""
        if record.id is not None:
            return self.add_id(record.id)
        return self._add_without_id(record, line)

    def _add_without_id(self, record: Record, line: bytes | int) -> bool:  # noqa: ARG002  subclasses need them
        """Take in a *record* without an id; return False if it was there."""
        return True

    def add_next(self) -> None:
        """Take in the record whose line ended with `next_end`."""
        number = self._number
        self._lasts[-1] = number
        self._number = number = number + 1
        self.next_end = b'%b%d"' % (self._ending, number)

    def add_id(self, id_: str) -> bool:
        """Take in *id_*; return False if it was there. An id that papyra did not give is always new."""
        named = number_in(id_)
        if named is None:
            return True
        writer, number = named
        firsts, lasts = self._firsts, self._lasts
        if writer != self._writer or not lasts:
            self._firsts, self._lasts = self._writers.setdefault(writer, ([], []))
            firsts, lasts = self._firsts, self._lasts
            self._writer = writer
            self._ending = b"%b%b-" % (ID, quoted(writer)[1:-1].encode("ascii"))
        elif len(firsts) == 1 and number == firsts[0] - 1:
            firsts[0] = number  # lines come newest first; `next_end` stays as it is
            return True
        is_new = _insert(firsts, lasts, number, number)
        # Only a number right behind the last range is sure to be new, and to join that range.
        self._number = number = lasts[-1] + 1
        self.next_end = b'%b%d"' % (self._ending, number)
        return is_new


class Ids:
    """A set of ids, each as writer and number; numbers that follow one another take no memory."""

    __slots__ = ("_writers",)

    def __init__(self) -> None:
        self._writers: dict[str, tuple[list[int], list[int]]] = {}

    def add(self, id_: tuple[str, int]) -> bool:
        """Take in *id_*; return False if it was there."""
        writer, number = id_
        return self.add_range(writer, number, number)

    def add_range(self, writer: str, first: int, last: int) -> bool:
        """Take in *writer*'s ids from *first* to *last*; return False if any was there."""
        return _insert(*self._writers.setdefault(writer, ([], [])), first, last)

    def __contains__(self, id_: tuple[str, int]) -> bool:
        ranges = self._writers.get(id_[0])
        if ranges is None:
            return False
        firsts, lasts = ranges
        before = bisect_right(firsts, id_[1]) - 1
        return before >= 0 and id_[1] <= lasts[before]

    def __bool__(self) -> bool:
        return bool(self._writers)

    def __eq__(self, other: object) -> bool:
        return self._writers == other._writers if isinstance(other, Ids) else NotImplemented

    __hash__: ClassVar[None]  # type: ignore[assignment]  # it changes


def number_in(id_: str) -> tuple[str, int] | None:
    """Return writer and number of an *id_* that papyra gave; None for every other."""
    writer, dash, digits = id_.rpartition("-")
    # Digits as papyra writes them, because others are another id that would give the same number.
    if not digits.isascii() or not digits.isdecimal() or len(digits) > _MOST_DIGITS:
        return None
    if not dash or (digits[0] == "0" and digits != "0"):
        return None
    return writer, int(digits)


def _insert(firsts: list[int], lasts: list[int], first: int, last: int) -> bool:
    """Put the numbers from *first* to *last* into the ranges; return False if any is in them already."""
    after = bisect_right(firsts, last)  # the first range that begins beyond them
    before = after - 1
    if before >= 0 and first <= lasts[before]:
        return False
    joins_before = before >= 0 and lasts[before] + 1 == first
    joins_after = after < len(firsts) and firsts[after] - 1 == last
    if joins_before and joins_after:
        lasts[before] = lasts.pop(after)
        del firsts[after]
    elif joins_before:
        lasts[before] = last
    elif joins_after:
        firsts[after] = first
    else:
        firsts.insert(after, first)
        lasts.insert(after, last)
    return True
