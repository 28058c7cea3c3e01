"""List the entries that recoveries and compactions moved out of the stream, into a second one."""

from collections.abc import Iterator
from typing import Final

from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.reading import SAVED
from papyra.reports import Quarantined

#: Why no entry can be put back.
NO_WAY_BACK: Final = "a stream cannot take an entry back into its old place; redis-cli XRANGE {key} - + shows what was saved"


def saved(link: Link) -> Iterator[Quarantined]:
    """Yield one row for each recovery and compaction that saved something, oldest first."""
    key = link.keys.quarantine
    obstacle = NO_WAY_BACK.format(key=key)
    found: dict[str, tuple[float, int]] = {}
    start = b"-"
    while True:
        page = link.run(SAVED, start)
        for entry, recovery, size in page:
            id_ = recovery.decode(errors="replace")
            first, before = found.get(id_, (int(entry.partition(b"-")[0]) / 1000, 0))
            found[id_] = first, before + size
        if not page:
            break
        start = b"(" + page[-1][0]
    for id_, (first, size) in found.items():
        yield Quarantined(id_, first, (link.keys.records,), size, obstacle)
