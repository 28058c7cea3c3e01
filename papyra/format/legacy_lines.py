"""Which lines without a checksum Papyra 0.3.0 wrote: those with the whole shape of its records."""

import re
from typing import Final

from papyra.format.codec import parse, record_of
from papyra.record import Record

#: How a record of 0.3.0 begins, which wrote kind first or last. 0.3.0 put blanks behind its colons. papyra
#: does not, so no part of a line that papyra wrote begins like a record of 0.3.0.
LEGACY_BEGINNINGS: Final = (b'{"kind": ', b'{"system_id": ')
#: The beginning of a line that papyra wrote, even if the rest of it is missing.
_OWN_BEGINNING: Final = re.compile(rb'\{"kind":"(?:[^"\\]|\\.)*+","timestamp":')
#: The keys that each of 0.3.0's three kinds always has.
_LEGACY_KEYS: Final = {
    "event": {"system_id", "actor_address", "event_type", "payload", "timestamp"},
    "dead_letter": {"system_id", "target", "message_type", "payload", "timestamp"},
    "audit": {
        "system_id", "timestamp", "total_actors", "alive_actors", "stopping_actors",
        "restarting_actors", "registry_size", "registry_orphans", "registry_dead",
        "dead_letters_count",
    },
}  # fmt: skip


def is_legacy(core: bytes, value: object) -> bool:
    """
    Tell whether the *value* of *core*, which has no checksum, has the whole shape of one of 0.3.0's.

    A line that begins as papyra's do is never one, because its id and checksum were cut off.
    """
    if not isinstance(value, dict) or not isinstance(value.get("system_id"), str):
        return False
    kind = value.get("kind")
    keys = _LEGACY_KEYS.get(kind) if isinstance(kind, str) else None
    return keys is not None and keys <= value.keys() and not _OWN_BEGINNING.match(core)


def legacy_record(core: bytes) -> Record | None:
    """Return the record of 0.3.0 that *core* is, as 0.3.0 wrote it; None if it is not one."""
    if not core.startswith(LEGACY_BEGINNINGS):
        return None
    try:
        value = parse(core)
        is_one = is_legacy(core, value) and "_id" not in value and "_crc" not in value
        return record_of(value) if is_one else None
    except ValueError:
        return None
