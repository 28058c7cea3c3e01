"""
The names of Papyra 0.3.0's files, and how old the records in them are.

`Layout` asks for the age of each name and sorts by it. Files and their contents are not looked at here.
"""

import re
from typing import Final

# `re` compiles these texts when a name is first looked at: a command that only reads counters looks at none.
#: A file that 0.3.0 rotated. It renamed all of them at every rotation, so 1 is the newest.
_ROTATED: Final = r"[1-9][0-9]{0,5}"
#: A file that a killed repair or compaction of 0.3.0 left: perhaps the only copy of its records.
_LEFTOVER: Final = r"(?:([1-9][0-9]{0,5})\.)?(?:quarantine\.([0-9]+)|(compact)\.tmp|recovered\.tmp)"
_LEGACY: Final = f"{_ROTATED}|{_LEFTOVER}"
#: The characters that such a name can begin with.
FIRST_CHARACTERS: Final = frozenset("123456789cqr")

#: A key that sorts files, oldest first.
Age = tuple[int, int, int]


def is_legacy_name(ending: str) -> bool:
    """Tell whether 0.3.0 may have made a file of that name; *ending* follows the store's path and a dot."""
    return re.fullmatch(_LEGACY, ending) is not None


def age_of_rotated(ending: str) -> Age | None:
    """Return the age of a file that 0.3.0 rotated; None if the name is not that of one."""
    return (2, -int(ending), 0) if re.fullmatch(_ROTATED, ending) else None


def age_of_leftover(ending: str) -> Age | None:
    """
    Return the age of a file that a repair or compaction left; None if the name is not that of one.

    A repair moves the oldest file away first, and a compaction deletes it first. Both then put the newest
    of the new files in place first, so what they left is older than what is in place. A repair that moves
    nothing away replaces the newest file first. The part that it left of file N belongs between the old
    file N and the new file N - 1.
    """
    match = re.fullmatch(_LEFTOVER, ending)
    if match is None:
        return None
    number, moved_at, is_compacted = match.groups()
    age = -int(number or 0)
    if moved_at is not None:
        return 0, int(moved_at), age
    return (2, age, 1) if number and not is_compacted else (1, age, 0)
