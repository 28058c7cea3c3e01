"""Read the stream page by page, as lines."""

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Final

from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.reading import LINE_ENDS, PAGE
from papyra.format.codec import END, MAX_LINE
from papyra.reading.repeated_ids import MARK, MOST_SHOWN, show_ids
from papyra.reading.scanner import Line, Moment

#: The only field of papyra's entries: the line, without its newline.
FIELD: Final = b"line"
#: Entries of the first page, and of the largest. A caller that wants the newest ten gets them in one page.
_FIRST_PAGE: Final = 16
_LARGEST_PAGE: Final = 1000
#: Bytes after which a page ends.
_PAGE_BYTES: Final = 1024 * 1024


class Entries(Moment):
    """The read view of a stream: its entries up to the newest one at the first look."""

    def __init__(self, link: Link) -> None:
        super().__init__(self._iterate)
        self._link = link
        self._newest = ""

    def batches(self) -> Iterator[Sequence[bytes | int]]:
        """
        Iterate over the ends of the lines, oldest first, many at once and without their places.

        A line comes whole if its end does not show its id, or if it may hold more than one.
        """
        self._newest = self._newest or newest_entry(self._link)
        start, is_last = "-", not self._newest
        while not is_last:
            joined, others, after, is_last = self._link.run(
                LINE_ENDS,
                start,
                self._newest,
                _LARGEST_PAGE,
                _PAGE_BYTES,
                MARK,
                END - 1,
                MOST_SHOWN - 1,
            )
            oldest, start = start, _text(after)
            ends = [end + b"\n" for end in joined.split(b"\n")] if joined else []
            if show_ids(ends):
                yield ends
                yield list(map(line_of, others))
            else:  # Otherwise an id that begins before the end of its line would be passed over.
                newest = start.removeprefix("(")
                page = lines(self._link, newest_first=False, oldest=oldest, newest=newest)
                yield [line for _, line in page]

    def _iterate(self, *, newest_first: bool) -> Iterator[Line]:
        """Iterate as `lines` does; leave out an entry that a compaction drops between two looks."""
        if not self._newest and not newest_first:
            self._newest = newest_entry(self._link)
            if not self._newest:
                return
        its = lines(self._link, newest_first=newest_first, newest=self._newest)
        with closing(its):
            for line in its:
                if not self._newest:  # The first page shows it, which saves a command.
                    self._newest = str(line[0][1])
                yield line
                break
            yield from its


def newest_entry(link: Link) -> str:
    """Return the id of the newest entry; "" if there is none."""
    newest = link.ask("XREVRANGE", link.keys.records, "+", "-", "COUNT", 1)
    return _text(newest[0][0]) if newest else ""


def lines(
    link: Link, *, newest_first: bool, field: bytes = FIELD, oldest: str = "-", newest: str = ""
) -> Generator[Line]:
    """
    Yield the id of every entry that is in the stream now, and the line in its only *field*.

    Entries that are added later are not seen, and one that a compaction drops meanwhile may not be. With
    *newest*, the id of an entry, the entries behind it are not seen either. *oldest* is the first id to look at.
    """
    key = link.keys.records
    if newest_first:
        command, start, end = "XREVRANGE", newest or "+", oldest
    else:
        newest = newest or newest_entry(link)
        if not newest:
            return
        command, start, end = "XRANGE", oldest, newest
    count = _FIRST_PAGE
    while True:
        page, is_last = link.run(PAGE, command, start, end, count, _PAGE_BYTES)
        for id_, fields in page:
            yield (key, _text(id_)), line_of(fields, field)
        if is_last:
            return
        start = f"({_text(page[-1][0])}"
        count = min(4 * count, _LARGEST_PAGE)


def line_of(fields: list[bytes], field: bytes = FIELD) -> bytes | int:
    """
    Return the line of an entry, or its length if it is too long.

    An entry that papyra did not write comes as a JSON list of its fields, which is not a record.
    """
    if len(fields) == 2 and fields[0] == field and fields[1].strip():  # noqa: PLR2004  name and value
        size = len(fields[1]) + 1
        # Another program may have put in a newline. JSON takes it for a blank; it is never within a string.
        return fields[1].replace(b"\n", b" ") + b"\n" if size <= MAX_LINE else size
    size = sum(map(len, fields))
    if size >= MAX_LINE:
        return size
    shown = json.dumps([field.decode(errors="backslashreplace") for field in fields]).encode()
    return shown + b"\n" if len(shown) < MAX_LINE else len(shown) + 1


def _text(id_: bytes) -> str:
    return id_.decode("ascii")
