"""What stands beside a store's file, and what does not belong there."""

import os
import re
from collections.abc import Iterator
from stat import S_ISDIR, S_ISREG
from typing import Final

from papyra.anomaly import Anomaly
from papyra.errors import StoreIOError
from papyra.refusal import refusal
from papyra.system import LOCK_SHARED, OPEN_FLAGS, try_lock

#: Side files and directories, after the store's path and a dot.
_OWN: Final = frozenset({"lock", "maint.lock", "quarantine", "metrics"})
_TEMPORARY: Final = re.compile(r"tmp\.[0-9a-f]+")
#: A rotated segment: renamed once, its number never used again.
_SEGMENT: Final = re.compile(r"[0-9]{12}")
#: Names of 0.3.0: rotated files, and temporary and quarantined ones with data in them.
_LEGACY: Final = re.compile(
    r"[1-9][0-9]{0,5}|(?:[1-9][0-9]*\.)?(?:compact\.tmp|recovered\.tmp|quarantine\.[0-9]+)"
)


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
    """

    __slots__ = ("directory", "lock", "maintenance_lock", "metrics", "path", "quarantine")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.realpath(os.fspath(path))
        self.directory = os.path.dirname(self.path)
        self.lock = self.path + ".lock"
        self.maintenance_lock = self.path + ".maint.lock"
        self.quarantine = self.path + ".quarantine"
        self.metrics = self.path + ".metrics"

    @property
    def owner(self) -> str:
        """What the owner of new side files is taken from: the store, else its directory."""
        return self.path if os.path.exists(self.path) else self.directory

    def new_temporary(self) -> str:
        """Return the name for a file that will replace another."""
        return f"{self.path}.tmp.{os.urandom(4).hex()}"

    def stat(self) -> os.stat_result | None:
        """
        Return what is known of the active file; None if there is none.

        Raises:
            StoreIOError: if it is no regular file, or the system does not tell.
        """
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refusal(error, self.path, "the store cannot be looked at") from error
        if S_ISREG(status.st_mode):
            return status
        what = "it is a directory; name a file in it"
        if not S_ISDIR(status.st_mode):
            what = "it is no regular file; name one"
        raise StoreIOError(None, what, self.path)

    def siblings(self) -> Iterator[tuple[str, str]]:
        """Yield path and ending of everything named like the store and a dot more, sorted."""
        beginning = os.path.basename(self.path) + "."
        try:
            names = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return
        except OSError as error:
            raise refusal(error, self.directory, "it cannot be listed") from error
        for name in names:
            if name.startswith(beginning):
                yield os.path.join(self.directory, name), name.removeprefix(beginning)

    def segments(self) -> list[str]:
        """Return the paths of rotated segments, oldest first, those of 0.3.0 before all."""
        legacy, own = [], []
        for path, ending in self.siblings():
            if _SEGMENT.fullmatch(ending):
                own.append(path)
            elif ending.isdecimal() and _LEGACY.fullmatch(ending):
                legacy.append((int(ending), path))
        return [path for _, path in sorted(legacy, reverse=True)] + own

    def temporaries(self) -> list[str]:
        """Return the paths of temporary files, in use or not."""
        return [path for path, ending in self.siblings() if _TEMPORARY.fullmatch(ending)]

    def strays(self) -> Iterator[Anomaly]:
        """Yield a finding for each file that an interruption left, or that is not papyra's."""
        maintained = self._maintained()
        for path, ending in self.siblings():
            if ending in _OWN or _SEGMENT.fullmatch(ending) or _LEGACY.fullmatch(ending):
                continue
            if not _TEMPORARY.fullmatch(ending):
                detail = "papyra made no such file; move it away if it is in the way"
                yield Anomaly("unexpected_file", path, 0, _size(path), detail)
            elif not maintained:
                detail = "nobody is writing it any more; all that is in it is in the store too"
                yield Anomaly("stale_temporary_file", path, 0, _size(path), detail)

    def _maintained(self) -> bool:
        """Tell whether a compaction or recovery is under way; the lock is never created here."""
        try:
            descriptor = os.open(self.maintenance_lock, os.O_RDONLY | OPEN_FLAGS)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(descriptor, LOCK_SHARED)
        finally:
            os.close(descriptor)


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0
