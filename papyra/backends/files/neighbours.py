"""
Tell which of the files that are named like a store belong to another store, whose name is longer.

`worker.1` may be a rotated file of `worker`, or a store of that name. The names of the files beside it tell,
and otherwise the file's first bytes. `Layout` asks once for each listing.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from papyra.errors import StoreIOError
from papyra.system.descriptors import Descriptors
from papyra.system.files import read_at

#: Endings of a store's own side files and directories, after its path and a dot.
OWN: Final = frozenset({"lock", "maint.lock", "quarantine", "metrics"})
#: A store makes `lock` or `metrics` before its file, so each file of a live store has one of these.
_SIDES: Final = (".maint.lock", ".lock", ".quarantine", ".metrics")
#: The beginning of a line that papyra wrote. 0.3.0 puts a blank behind each colon.
_BEGINNING: Final = re.compile(rb'\{"kind":"(?:[^"\\]|\\.)*+","timestamp":')
#: Bytes that hold that beginning, since a kind has at most 256 characters.
_HEAD: Final = 4096


def without_neighbours(endings: Sequence[str]) -> Sequence[str]:
    """
    Return *endings* without those of other stores and of the side files of these.

    Args:
        endings: The rest of each name after the store's path and a dot.
    """
    neighbours = {
        ending.removesuffix(next(filter(ending.endswith, _SIDES)))
        for ending in endings
        if ending.endswith(_SIDES) and ending not in OWN
    } - OWN
    if not neighbours:
        return endings
    return [ending for ending in endings if not _is_of(ending, neighbours)]


def is_newer(path: str) -> bool:
    """
    Tell whether the file at *path* begins with a line of this version, so that 0.3.0 did not rotate it.

    In a copy without side files this alone shows that the file belongs to another store.
    """
    with suppress(OSError, StoreIOError), Descriptors() as opened:
        head = read_at(opened.open(path, os.O_RDONLY), _HEAD, 0)
        return _BEGINNING.match(head) is not None
    return False


def _is_of(ending: str, neighbours: set[str]) -> bool:
    """Tell whether *ending* is one of *neighbours*, or begins with one and a dot."""
    while ending and ending not in neighbours:
        ending = ending.rpartition(".")[0]
    return bool(ending)
