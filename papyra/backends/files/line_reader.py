"""
Read the lines of a file from the front or from the back, holding a few blocks at a time.

Views, rewrites and the active file call it. It knows nothing of records, and compares nothing with a checksum.
"""

import errno
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final

from papyra.errors import StoreIOError
from papyra.format.codec import MAX_LINE
from papyra.system.files import read_at

#: A line's file and first byte, and the line; for a line that is too long to be held, its length.
FileLine = tuple[tuple[str, int], bytes | int]

_BLOCK: Final = 256 * 1024
#: The size of the first block from the back, which mostly holds the newest ten records.
_FIRST_BLOCK: Final = 8 * 1024


def forward(descriptor: int, size: int, source: str) -> Iterator[FileLine]:
    """Yield the lines in the first *size* bytes, each with its newline, oldest first."""
    for offset, lines, is_long in _batches(descriptor, size, source):
        for line in lines:
            yield (source, offset), len(line) if is_long and len(line) > MAX_LINE else line
            offset += len(line)  # noqa: PLW2901  where the next one begins


def batches(descriptor: int, size: int, source: str) -> Iterator[Sequence[bytes | int]]:
    """Yield the same lines, as many at once as come with one read."""
    for _, lines, is_long in _batches(descriptor, size, source):
        yield [len(line) if len(line) > MAX_LINE else line for line in lines] if is_long else lines


def _batches(descriptor: int, size: int, source: str) -> Iterator[tuple[int, list[Any], bool]]:
    """
    Yield lines, where the first begins, and whether any may be too long to be held.

    In place of a line that was not held comes a range of its length.
    """
    at = offset = 0  # where to read next, and where the line in `rest` begins
    rest = b""
    while at < size:
        block = _read(descriptor, min(_BLOCK, size - at), at, source)
        at += len(block)
        is_long = len(rest) + len(block) > MAX_LINE
        lines = BytesIO(rest + block if rest else block).readlines()
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        if lines:
            yield offset, lines, is_long
            offset = at - len(rest)
        if len(rest) > MAX_LINE:
            end = _line_end(descriptor, size, at, source)
            yield offset, [range(end - offset)], True
            at = offset = end
            rest = b""
    if rest:
        yield offset, [rest], False


def backward(descriptor: int, size: int, source: str) -> Iterator[FileLine]:
    """Yield the lines in the first *size* bytes, each with its newline, newest first."""
    begin = size  # of the bytes that were read
    rest = b""  # the end of a line that begins before them
    length = _FIRST_BLOCK
    while begin > 0:
        start = max(0, begin - length)
        data = _read(descriptor, begin - start, start, source) + rest
        length = min(length * 4, _BLOCK)
        begin = start
        # The newline at the very end closes the last line; it does not begin one.
        first = data.find(b"\n", 0, len(data) - 1) + 1 if start else 0
        if start and not first:
            rest = data
            if len(rest) > MAX_LINE:
                begin = _line_begin(descriptor, start, source)
                yield (source, begin), start + len(rest) - begin
                rest = b""
            continue
        rest = data[:first]
        offset = start + len(data)
        for line in reversed(BytesIO(data[first:]).readlines()):
            offset -= len(line)
            yield (source, offset), line if len(line) <= MAX_LINE else len(line)


def last_line(descriptor: int, size: int, source: str) -> FileLine:
    """Return the last line of a file that is not empty."""
    return next(backward(descriptor, size, source))


def _read(descriptor: int, count: int, offset: int, source: str) -> bytes:
    block = read_at(descriptor, count, offset)
    while len(block) < count:
        more = read_at(descriptor, count - len(block), offset + len(block))
        if not more:
            raise StoreIOError(
                errno.EIO, "another program cut the file while it was read; read it again", source
            )
        block += more
    return block


def _line_end(descriptor: int, size: int, at: int, source: str) -> int:
    """Return where the line that runs through *at* ends, its newline included."""
    while at < size:
        block = _read(descriptor, min(_BLOCK, size - at), at, source)
        newline = block.find(b"\n")
        if newline >= 0:
            return at + newline + 1
        at += len(block)
    return size


def _line_begin(descriptor: int, at: int, source: str) -> int:
    """Return where the line that runs through the byte before *at* begins."""
    while at > 0:
        start = max(0, at - _BLOCK)
        newline = _read(descriptor, at - start, start, source).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        at = start
    return 0
