"""Tells records that have no id apart, by their contents."""

from hashlib import blake2b
from itertools import chain

from papyra.record import Record


def fingerprint(record: Record) -> int:
    """Return a number of eight bytes that is made of everything in *record* but its id."""
    try:
        content = repr((record.kind, record.timestamp, record.data))
    except (ValueError, RecursionError):  # more digits or levels than this interpreter shows
        content = _shown((record.kind, record.timestamp, record.data))
    return int.from_bytes(blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _shown(value: object) -> str:
    """Return what tells *value* from every other, however deep it nests and long its integers are."""
    shown: list[str] = []
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            shown.append(f"{{{len(value)}")
            rest += chain.from_iterable(value.items())
        elif isinstance(value, (list, tuple)):
            shown.append(f"[{len(value)}")
            rest += value
        else:
            shown.append(hex(value) if type(value) is int else repr(value))
    return ",".join(shown)
