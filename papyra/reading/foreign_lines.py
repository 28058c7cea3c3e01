"""
Take in lines that other tools wrote: `import_store` gives each an id and a checksum.

A line that `append` would refuse is refused here for the same reason, and the finding names it.
"""

import os
from collections.abc import Iterable, Iterator
from json import JSONDecoder
from typing import Any, Final

from papyra.format.codec import encode, has_checksum, parse, record_of, seal
from papyra.format.damaged_lines import core_of
from papyra.format.flaws import UNVOUCHED, Fragment
from papyra.reading.scanner import Line, fragments_of
from papyra.record import Record

#: The beginning of the ids that lines of other tools are given.
SEALED: Final = "sealed-"
_SHARED: Final = "it shares its line with a record; put it on a line of its own"


class Sealer:
    """Gives the lines of other tools an id and a checksum, as if they were appended now."""

    def __init__(self) -> None:
        self._writer = SEALED + os.urandom(8).hex()
        self._count = 0

    def read(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield *lines*, and those of other tools with an id and a checksum."""
        for place, line in lines:
            sealed = None
            if isinstance(line, bytes) and not has_checksum(line):
                sealed = self._seal(line)
            yield place, sealed or line

    def fragments_of(self, line: bytes | int) -> list[Fragment]:
        """Return the fragments of *line*, which was not sealed, and why it could not be."""
        fragments = fragments_of(line)
        if isinstance(line, int) or all(
            fragment.content is not UNVOUCHED for fragment in fragments
        ):
            return fragments
        reason = f"it cannot be sealed: {_SHARED if len(fragments) > 1 else _refusal(line)}"
        flaw = UNVOUCHED._replace(detail=reason)
        return [
            fragment._replace(content=flaw) if fragment.content is UNVOUCHED else fragment
            for fragment in fragments
        ]

    def made(self, record: Record) -> bool:
        """Tell whether *record* was sealed here."""
        return record.id is not None and record.id.startswith(f"{self._writer}-")

    def _seal(self, line: bytes) -> bytes | None:
        if any(isinstance(fragment.content, Record) for fragment in fragments_of(line)):
            return None
        try:
            body = _body(core_of(line))
        except ValueError:
            return None
        self._count += 1
        return seal(body, self._writer, self._count)


def _refusal(line: bytes) -> str:
    """Return why *line* cannot be sealed."""
    try:
        _body(core_of(line))
    except ValueError as error:
        return str(error)
    raise AssertionError(line)


def _body(core: bytes) -> bytes:
    """
    Return the record that another tool wrote as *core*, as `encode` does.

    Raises:
        ValueError: if it is not a JSON object with a string kind and a finite timestamp. Also if it
            has _id or _crc, or two equal keys. For what `append` refuses, it is a `RecordError`.
    """
    value = parse(core)
    if isinstance(value, dict) and ("_id" in value or "_crc" in value):
        raise ValueError("it has an _id or _crc, but no checksum at its end")
    record = record_of(value)
    body = encode(Record(record.kind, timestamp=record.timestamp, data=record.data))
    # Last: what is encoded nests no deeper than every parser follows.
    _keys.decode(core.decode())
    return body


def _refuse_repeated(members: list[tuple[str, Any]]) -> None:
    """Refuse an object that has two equal keys: every parser keeps one of their values."""
    keys = set()
    for key, _ in members:
        if key in keys:
            raise ValueError(f"two of its keys are {key!r:.80}; a reader would see one of them")
        keys.add(key)


#: Looks at keys alone. Integers are not converted, since that is limited in some interpreters.
_keys: Final = JSONDecoder(object_pairs_hook=_refuse_repeated, parse_int=len, parse_float=len)
