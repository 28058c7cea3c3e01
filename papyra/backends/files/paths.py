"""What stands beside a store's file, and what does not belong there."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Final, NamedTuple

from papyra.backends.files.legacy.file_order import (
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
#: Bytes of the longest ending, that of a segment or a temporary file, with its dot.
_LONGEST_ENDING: Final = 13
#: What it means that a directory cannot be synced.
NAMES_UNSYNCED: Final = (
    "this file system does not sync directories: after a power cut a file that was new or renamed"
    ' may be missing, with sync="always", too'
)
#: What it means that the file is a mount of its own.
MOUNTED_ALONE: Final = (
    "other processes, beyond the mount, share neither locks nor counters with this one, and what"
    " rewrites or rotates the file fails; mount its directory instead"
)
#: What it means that mode or owner of a file cannot be set.
NOT_LIKE_THE_OLD: Final = (
    "this file system does not let a new file have the mode and owner of the one before:"
    " see to it that all who use the store may use the new ones"
)
#: Seconds in which a directory may change twice and show it once; FAT tells the time in steps of two.
_STEP: Final = 2.0
#: Nanoseconds of the steps in which FAT and exFAT tell the time, or a divisor of them. Where every time
#: is a multiple, the time of change may be nothing but the one that anybody can set.
_COARSE: Final = 10_000_000


#: What a directory is known by, see `_state_of`.
_State = tuple[int, ...]


class Slot(NamedTuple):
    """
    A file in the order of a store's data.

    Attributes:
        path: Where it is; the active one need not be there.
        is_legacy: 0.3.0 rotated it, or left it.
        is_remains: 0.3.0 left it: a record in it counts where no other file has it.
    """

    path: str
    is_legacy: bool = False
    is_remains: bool = False


class Layout:
    """
    The names of a store's files.

    Attributes:
        path: The active file; links are resolved once, here.
        directory: Where it stands.
        lock: Locked for every append, and shared for the start of a read. Its size is the
            generation: who replaces or renames `path` makes it larger first.
        maintenance_lock: Held by a compaction or recovery from beginning to end.
        quarantine: The directory of what was removed.
        metrics: The directory of the published counters.
        untold: What is to be logged once no lock is held.
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
        # What the file system was found not to have, and what of that is still to be logged.
        self._missed: set[str] = set()
        self.pending_warnings: list[str] = []
        # The state in which the directory was last seen, and when that was first.
        self._changed: tuple[_State, float] = (), 0.0
        # The state in which it was listed, and what was found.
        self._listed: tuple[_State, list[tuple[str, str]]] = (), []

    @property
    def name(self) -> str:
        """What exporters call the store, unless told otherwise: the stem of its file."""
        return os.path.splitext(os.path.basename(self.path))[0]

    @property
    def owner(self) -> str:
        """What new side files are made like: the active file, or the newest one, or the directory."""
        if os.path.exists(self.path):
            return self.path
        *before, _ = self.slots()
        return before[-1].path if before else self.directory

    def check_writable(self) -> None:
        """
        Raise if this user may not write the store, before anything is made beside it.

        The directory alone might let him: he would leave files that the store's program cannot open.

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
        Return what is known of the active file; None if there is none.

        Raises:
            StoreIOError: if it is not a regular file, or the system does not tell.
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
        Raise where no store can be; change nothing.

        Raises:
            StoreIOError: if its directory is missing or no directory, its name too long for what is
                made beside it, it is not a regular file, or the system does not tell.
        """
        longest = len(os.fsencode(os.path.basename(self.path))) + _LONGEST_ENDING
        with refusals(self.path, "there is no place for a store"):
            if not S_ISDIR(os.stat(self.directory).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.directory)
            if hasattr(os, "pathconf") and longest > os.pathconf(self.directory, "PC_NAME_MAX"):
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), self.path)
        self.stat()

    def miss(self, reason: str | None, consequence: str) -> None:
        """Have it logged, once, that the file system lacks something; without a *reason*, nothing is lacking."""
        if reason and consequence not in self._missed:
            self._missed.add(consequence)
            self.pending_warnings.append(f"{self.path}: {consequence} ({reason})")

    def siblings(self) -> list[tuple[str, str]]:
        """
        Return path and ending of everything named like the store and a dot more, sorted.

        Another store of such a name, and what is beside it, is left out. A file that is named like one of
        0.3.0's and is not one has no ending: it does not belong to the store.
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
        # Every read asks, and a directory may hold thousands. A file system tells the time in
        # steps: what changed a moment ago may change again without a trace. How long ago cannot
        # be had from its time, since its clock need not be this machine's.
        if state and now - since > _STEP:
            self._listed = state, found
        return found

    def slots(self) -> list[Slot]:
        """Return the files in which data may stand, oldest first; the active one is the last."""
        legacy: list[tuple[Age, Slot]] = []
        segments = []
        for path, ending in self.siblings():
            if re.fullmatch(_SEGMENT, ending):
                segments.append(Slot(path))
            elif age := age_of_rotated(ending):
                legacy.append((age, Slot(path, is_legacy=True)))
            elif age := age_of_leftover(ending):
                legacy.append((age, Slot(path, is_legacy=True, is_remains=True)))
        legacy.sort()
        return [*(slot for _, slot in legacy), *segments, Slot(self.path)]

    @property
    def has_legacy_set(self) -> bool:
        """Whether a set of files is there that 0.3.0 rotated."""
        return any(slot.is_legacy and not slot.is_remains for slot in self.slots())

    def newest_numbered(self) -> str:
        """Return the newest file that only a rotated set has, or left; "" if there is none."""
        for slot in reversed(self.slots()):
            if slot.path.removeprefix(self.path + ".")[0].isdigit():
                return slot.path
        return ""

    def exists(self) -> bool:
        """
        Tell whether data is there, in the active file or in any other.

        Raises:
            StoreIOError: as `stat`.
        """
        return self.stat() is not None or self.slots() != [Slot(self.path)]

    def segment(self, number: int) -> str:
        """Return the path of the rotated segment *number*."""
        return f"{self.path}.{number:012}"

    def last_number(self) -> int:
        """Return the highest number of a rotated segment that is there; 0 without any."""
        numbers = (int(ending) for _, ending in self.siblings() if re.fullmatch(_SEGMENT, ending))
        return max(numbers, default=0)

    def temporaries(self) -> list[str]:
        """Return the paths of temporary files, in use or not."""
        return [path for path, ending in self.siblings() if _is_temporary(path, ending)]

    def strays(self) -> "Iterator[Anomaly]":
        """Yield a finding for each file that an interruption left, or that is not papyra's."""
        # Here, since a command on published counters does without it, and it takes a while to load.
        from papyra.reports import Anomaly  # noqa: PLC0415

        for path, ending in self.siblings():
            if ending in OWN or re.fullmatch(_SEGMENT, ending) or is_legacy_name(ending):
                continue
            if not _is_temporary(path, ending):
                detail = "papyra made no such file; move it away if it is in the way"
                yield Anomaly("unexpected_file", path, 0, _size(path), detail)
            # In this order: whoever was writing it may be done, and it gone, since it was listed.
            elif not self._maintained() and os.path.lexists(path):
                detail = "nobody is writing it any more, and nothing is in it alone"
                yield Anomaly("stale_temporary_file", path, 0, _size(path), detail)

    def _maintained(self) -> bool:
        """Tell whether a compaction or recovery is under way; the lock is never created here."""
        with LockedDescriptors() as opened:
            try:
                descriptor = opened.open(self.maintenance_lock, os.O_RDONLY)
            except FileNotFoundError:
                return False
            return not try_lock(descriptor, LOCK_SHARED)


def _state_of(directory: str) -> _State:
    """
    Return what changes with every change of the names in *directory*; () if that cannot be known.

    Its own time does not: copying into it with rsync -a, tar or cp -a puts that back to what it was
    elsewhere, always the same. The time of the last change of its entry cannot be set by any program; but
    Windows has none, FAT and exFAT show the other one in its place, and others show 0.
    """
    status = os.stat(directory)
    changed = status.st_ctime_ns
    if not changed % _COARSE or os.name == "nt":
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, changed


def _is_temporary(path: str, ending: str) -> bool:
    """Tell whether papyra made the file, to replace another by it; it makes no directory or link."""
    if not re.fullmatch(_TEMPORARY, ending):
        return False
    try:
        return S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:  # it has taken its place, or was removed, since it was listed
        return True


def _size(path: str) -> int:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0
