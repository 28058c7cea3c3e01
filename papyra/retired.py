"""
Counters taken together: a sum of several store objects', and what those that are gone have left.

The file `retired` holds the latter, as JSON. It names the pages that are in it until they are
removed, so that whoever is interrupted in between counts nothing twice.
"""

import json
import os
import time
from contextlib import suppress
from typing import Final

from papyra.descriptors import open_file
from papyra.errors import NotPublishedError
from papyra.metrics import NAMES
from papyra.system import own_like, sync_data, sync_directory

_FORMAT: Final = 1


class Tally:
    """
    The counts of several store objects taken together.

    Attributes:
        amounts: What was counted since each was opened, in the order of `papyra.COUNTERS`.
        baseline: What of that was counted before the last resets, by name too.
        since: The earliest last reset, or opening, in seconds since the epoch.
        live: Store objects that are open now, and counted.
        exited: Store objects that were closed, or whose process is gone.
        unpublished: Store objects that append, but whose counts could not be published; they are
            not in the sums.
    """

    def __init__(self) -> None:
        self.amounts: list[int] = [0] * len(NAMES)
        self.baseline: list[int] = [0] * len(NAMES)
        self.since: float = float("inf")
        self.live = 0
        self.exited = 0
        self.unpublished = 0

    def add(self, amounts: list[int], baseline: list[int], since: float) -> None:
        """Add the counts of one book."""
        self.amounts = [a + b for a, b in zip(self.amounts, amounts, strict=True)]
        self.baseline = [a + b for a, b in zip(self.baseline, baseline, strict=True)]
        self.since = min(self.since, since)

    def totals(self) -> dict[str, int]:
        """Return what each counter came to since each store object was opened; a reset changes nothing."""
        return dict(zip(NAMES, self.amounts, strict=True))

    def snapshot(self) -> dict[str, int]:
        """Return each counter's rise since the last reset."""
        pairs = zip(NAMES, self.amounts, self.baseline, strict=True)
        return {name: total - base for name, total, base in pairs}


class Retired:
    """
    The file `retired`.

    Attributes:
        tally: The counts of all pages ever folded.
        folded: Names of pages that are in it, and perhaps not removed yet.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, "retired")
        self.tally: Tally = Tally()
        self.folded: list[str] = []
        try:
            with open_file(self._path, os.O_RDONLY) as file:
                content = json.load(file)
            self.tally.add(content["totals"], content["baseline"], content["since"])
            self.tally.exited = content["exited"]
            self.folded = content["folded"]
        except FileNotFoundError:
            return
        except (ValueError, LookupError, TypeError) as error:
            raise NotPublishedError(
                f"{self._path}: damaged ({type(error).__name__}); remove it to go on without the counts of"
                " processes that are gone"
            ) from error

    def save(self) -> None:
        """Replace the file, so that a crash leaves the old or the new one."""
        tally = self.tally
        content = {
            "papyra_retired": _FORMAT,
            "totals": tally.amounts,
            "baseline": tally.baseline,
            "since": tally.since if tally.since != float("inf") else time.time(),
            "exited": tally.exited,
            "folded": self.folded,
        }
        temporary = self._path + ".tmp"  # one at a time: the lock is held
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        with open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb") as file:
            own_like(temporary, self._directory, is_inside=True)
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()
            sync_data(file.fileno())
        os.replace(temporary, self._path)
        sync_directory(self._directory)
