"""
The names of a store's files: the active file, its segments and its side files.

All other modules of the file stores take their paths from `Layout`. It lists the directory and looks at names,
sizes and times; the contents of data files are for others. Names that 0.3.0 gave are in `legacy.file_order`.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Final, NamedTuple

from papyra.backends.files.legacy.file_order import (
    FIRST_CHARACTERS,
    Age,
    age_of_leftover,
    age_of_rotated,
    is_legacy_name,
)
from papyra.backends.files.neighbours import OWN, is_newer, without_neighbours
from papyra.backends.files.real_path import NOT_REGULAR, real_path
from papyra.errors import StoreIOError
from papyra.system.clock import monotonic
from papyra.system.descriptors import Descriptors, LockedDescriptors
from papyra.system.locks import LOCK_SHARED, try_lock
from papyra.system.os_errors import refusal, refusals

if TYPE_CHECKING:
    from papyra.reports import Anomaly

_TEMPORARY: Final = r"tmp\.[0-9a-f]{8}"
#: A rotated segment: renamed once, its number never used again.
_SEGMENT: Final = r"[0-9]{12}"
#: The first characters of the names of files with data. Otherwise each read would compare the names of the lock and
#: the counters with three expressions, which takes 3 % of a short one.
_DATA_BEGINNINGS: Final = frozenset("0123456789") | FIRST_CHARACTERS
#: Bytes of the longest ending, that of a segment or a temporary file, with its dot.
_LONGEST_ENDING: Final = 13
#: The consequence where a directory cannot be synced.
NAMES_UNSYNCED: Final = (
    "this file system does not sync directories: after a power cut a file that was new or renamed"
    ' may be missing, with sync="always", too'
)
#: The consequence where the file is a mount of its own.
MOUNTED_ALONE: Final = (
    "processes beyond the mount do not share locks and counters with this one, and a recovery, compaction"
    " or rotation fails; mount its directory instead"
)
#: The consequence where the mode or owner of a file cannot be set.
NOT_LIKE_THE_OLD: Final = (
    "this file system does not let a new file have the mode and owner of the one before;"
    " check that all users of the store may read and write the new files"
)
#: Seconds in which a directory may change twice and show one change: FAT counts time in steps of two seconds.
_STEP: Final = 2.0
#: Nanoseconds that divide the steps in which FAT and exFAT count time. A time of change that is a multiple of
#: it may be the modification time, which every program can set.
_COARSE: Final = 10_000_000


#: The state of a directory, see `_state_of`.
_State = tuple[int, ...]


class Slot(NamedTuple):
    """
    A file in the order of a store's data.

    Attributes:
        path: Where it is; the active file may be missing.
        is_legacy: Whether 0.3.0 rotated it, or left it.
        is_remains: Whether a killed repair of 0.3.0 left it: a record in it counts if no other file has it.
    """

    path: str
    is_legacy: bool = False
    is_remains: bool = False


class Layout:
    """
    Give the names of a store's files.

    Attributes:
        path: The active file; links are resolved once, here.
        directory: The directory of the active file.
        lock: The lock file: held by every append, and shared by a read as it starts. Its size is the
            generation: a process that replaces or renames `path` makes it larger first.
        maintenance_lock: Held by a compaction or recovery from beginning to end.
        quarantine: The directory of the bytes that were removed.
        metrics: The directory of the published counters.
        pending_warnings: Warnings that are to be logged once no lock is held.
    """

    __slots__ = (
        "_changed",
        "_listed",
        "_missed",
        "directory",
        "lock",
        "maintenance_lock",
        "metrics",
        "path",
        "pending_warnings",
        "quarantine",
    )

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = real_path(path)
        self.directory: str = os.path.dirname(self.path)
        self.lock: str = self.path + ".lock"
        self.maintenance_lock: str = self.path + ".maint.lock"
        self.quarantine: str = self.path + ".quarantine"
        self.metrics: str = self.path + ".metrics"
        # The consequences of what the file system lacks that were logged, or are about to be.
        self._missed: set[str] = set()
        self.pending_warnings: list[str] = []
        # The last state of the directory, and when it was first seen.
        self._changed: tuple[_State, float] = (), 0.0
        # The state in which it was listed, and the names that were found.
        self._listed: tuple[_State, list[tuple[str, str]]] = (), []

    @property
    def name(self) -> str:
        """The name that exporters give the store by default: the stem of its file."""
        return os.path.splitext(os.path.basename(self.path))[0]

    @property
    def owner(self) -> str:
        """The model for mode and owner of new side files: the active file, the newest segment, or the directory."""
        if os.path.exists(self.path):
            return self.path
        *before, _ = self.slots()
        return before[-1].path if before else self.directory

    def check_writable(self) -> None:
        """
        Raise if this user may not write the store, before any file is made beside it.

        The directory may still let this user make files, which the store's own program could not open.

        Raises:
            OSError: from the system.
        """
        model = self.owner
        if model != self.directory:
            with Descriptors() as opened, suppress(FileNotFoundError):
                opened.open(model, os.O_WRONLY | os.O_APPEND)

    def new_temporary(self) -> str:
        """Return the name for a file that will replace another."""
        return f"{self.path}.tmp.{os.urandom(4).hex()}"

    def stat(self) -> os.stat_result | None:
        """
        Return the status of the active file; None if it is missing.

        Raises:
            StoreIOError: if it is not a regular file, or the system refuses to look at it.
        """
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refusal(error, self.path, "the store cannot be looked at") from error
        if S_ISREG(status.st_mode):
            return status
        if S_ISDIR(status.st_mode):
            raise StoreIOError(errno.EISDIR, "it is a directory; name a file in it", self.path)
        raise StoreIOError(errno.EINVAL, NOT_REGULAR, self.path)

    def check_place(self) -> None:
        """
        Raise if no store can be at the path; change nothing.

        Raises:
            StoreIOError: if the directory is missing or is not a directory, or if the name is too long
                for the files beside it. Also if it is not a regular file, or if the system refuses to
                look at it.
        """
        longest = len(os.fsencode(os.path.basename(self.path))) + _LONGEST_ENDING
        with refusals(self.path, "there is no place for a store"):
            if not S_ISDIR(os.stat(self.directory).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.directory)
            if hasattr(os, "pathconf") and longest > os.pathconf(self.directory, "PC_NAME_MAX"):
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), self.path)
        self.stat()

    def miss(self, reason: str | None, consequence: str) -> None:
        """Have it logged, once, that the file system lacks something; without a *reason* it lacks nothing."""
        if reason and consequence not in self._missed:
            self._missed.add(consequence)
            self.pending_warnings.append(f"{self.path}: {consequence} ({reason})")

    def siblings(self) -> list[tuple[str, str]]:
        """
        Return path and ending of every file whose name is the store's, a dot and an ending; sorted.

        Another store of such a name, and its side files, are left out. A file that has a name of 0.3.0's and
        is not 0.3.0's comes with an empty ending: it does not belong to the store.
        """
        beginning = os.path.basename(self.path) + "."
        try:
            state = _state_of(self.directory)
            listed, found = self._listed
            if state and state == listed:
                return found
            now = monotonic()
            changed, since = self._changed
            if state != changed:
                since = now
                self._changed = state, now
            names = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise refusal(error, self.directory, "it cannot be listed") from error
        endings = [name.removeprefix(beginning) for name in names if name.startswith(beginning)]
        found = []
        for ending in without_neighbours(endings):
            path = f"{self.path}.{ending}"
            found.append((path, "" if is_legacy_name(ending) and is_newer(path) else ending))
        # Every read asks, and a directory may hold thousands of files, so the list is kept. A file system
        # counts time in steps: a directory that changed a moment ago may change again without a trace. Its
        # own time does not show how long ago that was, because its clock may be another machine's.
        if state and now - since > _STEP:
            self._listed = state, found
        return found

    def slots(self) -> list[Slot]:
        """Return the files that may hold data, oldest first; the active file is the last."""
        legacy: list[tuple[Age, Slot]] = []
        segments = []
        for path, ending in self.siblings():
            if ending[:1] not in _DATA_BEGINNINGS:
                continue
            if re.fullmatch(_SEGMENT, ending):
                segments.append(Slot(path))
            elif age := age_of_rotated(ending):
                legacy.append((age, Slot(path, is_legacy=True)))
            elif age := age_of_leftover(ending):
                legacy.append((age, Slot(path, is_legacy=True, is_remains=True)))
        legacy.sort()
        return [*(slot for _, slot in legacy), *segments, Slot(self.path)]

    def newest_numbered(self) -> str:
        """Return the newest file that only a rotating store has, or has left; "" if there is none."""
        for slot in reversed(self.slots()):
            if slot.path.removeprefix(self.path + ".")[0].isdigit():
                return slot.path
        return ""

    def exists(self) -> bool:
        """
        Tell whether the store has a file with data, the active file or any other.

        Raises:
            StoreIOError: as `stat`.
        """
        return self.stat() is not None or self.slots() != [Slot(self.path)]

    def segment(self, number: int) -> str:
        """Return the path of the rotated segment *number*."""
        return f"{self.path}.{number:012}"

    def last_number(self) -> int:
        """Return the highest number of the segments in the directory; 0 without any."""
        numbers = (int(ending) for _, ending in self.siblings() if re.fullmatch(_SEGMENT, ending))
        return max(numbers, default=0)

    def temporaries(self) -> list[str]:
        """Return the paths of temporary files, in use or not."""
        return [path for path, ending in self.siblings() if _is_temporary(path, ending)]

    def strays(self) -> "Iterator[Anomaly]":
        """Yield a finding for each file that an interruption left, or that papyra did not make."""
        # Imported here, because commands that only read published counters start faster without it.
        from papyra.reports import Anomaly  # noqa: PLC0415

        for path, ending in self.siblings():
            if ending in OWN or re.fullmatch(_SEGMENT, ending) or is_legacy_name(ending):
                continue
            if not _is_temporary(path, ending):
                detail = "papyra did not make this file; move it away if it is in the way"
                yield Anomaly("unexpected_file", path, 0, _size(path), detail)
            # In this order, because its writer may have finished and renamed it since it was listed.
            elif not self._maintained() and os.path.lexists(path):
                detail = "an interrupted rewrite left it, and all of its records are in other files"
                yield Anomaly("stale_temporary_file", path, 0, _size(path), detail)

    def _maintained(self) -> bool:
        """Tell whether a compaction or recovery is running; the lock is never created here."""
        with LockedDescriptors() as opened:
            try:
                descriptor = opened.open(self.maintenance_lock, os.O_RDONLY)
            except FileNotFoundError:
                return False
            return not try_lock(descriptor, LOCK_SHARED)


def _state_of(directory: str) -> _State:
    """
    Return a state that changes with every change of the names in *directory*; () if there is none to trust.

    The modification time alone does not: rsync -a, tar and cp -a set it to the time of their source, which is
    always the same. Programs cannot set the time of the last change of the entry. But Windows has none, FAT
    and exFAT show the modification time in its place, and other file systems show 0.
    """
    status = os.stat(directory)
    changed = status.st_ctime_ns
    if not changed % _COARSE or os.name == "nt":
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, changed


def _is_temporary(path: str, ending: str) -> bool:
    """Tell whether papyra made the file to replace another by it; it never makes directories or links so."""
    if not re.fullmatch(_TEMPORARY, ending):
        return False
    try:
        return S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:  # it was renamed or removed since it was listed
        return True


def _size(path: str) -> int:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0
