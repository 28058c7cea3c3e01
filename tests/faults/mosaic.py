"""A file put together from pieces of lines, which knows where each of its bytes was written."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self

_BLANK: Final = b" \t\r\n\0"
_STRANGE: Final = -1


class Written(NamedTuple):
    """A line as it was written, newline included; *is_own* tells papyra's from 0.3.0's."""

    text: bytes
    is_own: bool


class Tile(NamedTuple):
    """The *data* that stood at *offset* of the written line of that number, or are strange."""

    line: int
    offset: int
    data: bytes

    @classmethod
    def strange(cls, data: bytes) -> Self:
        """Return bytes that were written as nothing."""
        return cls(_STRANGE, 0, data)


class Span(NamedTuple):
    """
    An object that stands somewhere in the file, whoever wrote its bytes.

    Attributes:
        start: Where it begins in the file.
        stop: Where it ends.
        value: What it says.
        line: The line that most of its bytes are of; None if all are strange.
        offset: Where in that line the first of these was.
        is_intact: All its bytes stand as they were written, one behind the other.
        goes_on: The byte behind it is the one that was written there, and no line's end.
        is_alone: It has a line of its own, but for blanks.
        is_first: Behind whatever ends before it in its line, nothing of an object has begun.
    """

    start: int
    stop: int
    value: dict[str, Any]
    line: Written | None
    offset: int
    is_intact: bool
    goes_on: bool
    is_alone: bool
    is_first: bool


class Mosaic:
    """
    The content of a file.

    Attributes:
        content: Its bytes.
    """

    def __init__(self, written: list[Written]) -> None:
        self.content = b""
        self._written = written
        self._tiles: list[Tile] = []
        self._starts: list[int] = []

    def add(self, tile: Tile) -> None:
        """Put *tile* behind the others."""
        if tile.data:
            self._starts.append(len(self.content))
            self._tiles.append(tile)
            self.content += tile.data

    def objects(self) -> Iterator[Span]:
        """Yield whatever could be taken for a record, wherever it begins."""
        text = self.content.decode("latin-1")  # one character a byte
        decoder = json.JSONDecoder()
        at = text.find("{")
        while at >= 0:
            with suppress(ValueError, RecursionError):
                _, stop = decoder.raw_decode(text, at)
                value = json.loads(self.content[at:stop])
                if isinstance(value.get("kind"), str):
                    yield self._span(at, stop, value)
            at = text.find("{", at + 1)

    def is_written(self, span: Span) -> bool:
        """Tell whether *span* is a line as it was written, but for its end."""
        if span.line is None or span.offset or not span.is_intact:
            return False
        return span.stop - span.start == len(span.line.text) - 1

    def whole_lines(self) -> Iterator[bytes]:
        """Yield the written lines that are whole, papyra's also where they are glued to a torn one."""
        written = {line.text for line in self._written}
        own = [line.text for line in self._written if line.is_own]
        for line in self.content.splitlines(keepends=True):
            if line in written:
                yield line
            else:
                yield from (text for text in own if line.endswith(text))

    def _span(self, start: int, stop: int, value: dict[str, Any]) -> Span:
        line, offset = self._most_of(start, stop)
        behind = self._origin(stop)
        last = self._origin(stop - 1)
        before = self.content[self.content.rfind(b"\n", 0, start) + 1 : start]
        end = self.content.find(b"\n", stop)
        around = before + self.content[stop : end if end >= 0 else None]
        head = before.rpartition(b"}")[2]
        return Span(
            start,
            stop,
            value,
            None if line == _STRANGE else self._written[line],
            offset,
            line != _STRANGE and self.content[start:stop] == self._text(line, offset, stop - start),
            last[0] != _STRANGE
            and behind == (last[0], last[1] + 1)
            and self.content[stop : stop + 1] != b"\n",
            not around.strip(_BLANK),
            b"{" not in head and b'"' not in head,
        )

    def _most_of(self, start: int, stop: int) -> tuple[int, int]:
        """Return the line that most bytes from *start* to *stop* were written in, and where there."""
        first = bisect_right(self._starts, start) - 1
        sizes: Counter[int] = Counter()
        offsets: dict[int, int] = {}
        for number in range(first, len(self._tiles)):
            tile, begin = self._tiles[number], self._starts[number]
            if begin >= stop:
                break
            sizes[tile.line] += min(stop, begin + len(tile.data)) - max(start, begin)
            offsets.setdefault(tile.line, tile.offset + max(0, start - begin))
        sizes[_STRANGE] = 0  # however many were overwritten
        line, _ = sizes.most_common(1)[0]
        return line, offsets.get(line, 0)

    def _text(self, line: int, offset: int, length: int) -> bytes:
        return self._written[line].text[offset : offset + length]

    def _origin(self, at: int) -> tuple[int, int]:
        """Return the line that the byte at *at* was written in, and where in it."""
        if at >= len(self.content):
            return _STRANGE, 0
        number = bisect_right(self._starts, at) - 1
        tile = self._tiles[number]
        return tile.line, tile.offset + at - self._starts[number] if tile.line != _STRANGE else 0
