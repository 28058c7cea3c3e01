"""
The contents of the lock file: the highest number of a segment ever used, and the generation.

Twelve digits and a newline are the number. Each byte behind them is one generation. A process that
replaces or renames the active file adds one, so that all others open the file at the path anew.
Callers hold the lock, exclusive where they write. Which number a segment gets is not decided here.
"""

import os
from typing import Final

from papyra.system.files import read_at, write_all
from papyra.system.sync import sync_data

_DIGITS: Final = 12
#: The highest number that a segment can have.
LAST_NUMBER: Final = 10**_DIGITS - 1
_NEW: Final = b"0" * _DIGITS + b"\n"
#: The size of a lock file that has only the number: a smaller one was made a moment ago.
FIRST_GENERATION: Final = len(_NEW)


def last_number_in(lock: int) -> int:
    """Return the highest number of a segment ever used."""
    noted = read_at(lock, _DIGITS, 0)
    # A power cut may leave NULs in a lock file that was never synced. Then no segment was ever
    # numbered: the number is synced before it is used.
    return int(noted) if noted.isdigit() else 0


def note_number(lock: int, number: int) -> None:
    """Note that *number* is used; `bump_generation`, which comes next, brings it to the disk."""
    os.lseek(lock, 0, os.SEEK_SET)
    write_all(lock, b"%0*d" % (_DIGITS, number))


def begin_generations(lock: int) -> int:
    """Write what a new lock file holds, and return the generation."""
    os.lseek(lock, 0, os.SEEK_SET)
    write_all(lock, _NEW)
    return os.lseek(lock, 0, os.SEEK_END)


def bump_generation(lock: int) -> None:
    """
    Have all writers open the active file anew.

    This is on the disk before the change that it announces. A crash between the two costs each writer
    one look. In the other order a writer would go on in a file that is never read.
    """
    if os.lseek(lock, 0, os.SEEK_END) < FIRST_GENERATION:
        begin_generations(lock)
    os.write(lock, b".")
    sync_data(lock)
