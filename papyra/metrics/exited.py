"""
What the store objects that are gone have left, in the file `retired`.

It is JSON, and names the pages that are in it until they are removed, so that a process that is
interrupted in between counts nothing twice.
"""

import json
import os
import time
from contextlib import suppress
from typing import Final

from papyra.errors import NotPublishedError
from papyra.metrics.totals import CounterTotals
from papyra.system.descriptors import open_file
from papyra.system.files import own_like
from papyra.system.sync import sync_data, sync_directory

_FORMAT: Final = 1


class Retired:
    """
    The file `retired`.

    Attributes:
        counter_totals: The counts of all pages ever folded.
        folded: Names of pages that are in it, and perhaps not removed yet.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, "retired")
        self.counter_totals: CounterTotals = CounterTotals()
        self.folded: list[str] = []
        try:
            with open_file(self._path, os.O_RDONLY) as file:
                content = json.load(file)
            self.counter_totals.add(content["totals"], content["baseline"], content["since"])
            self.counter_totals.exited = content["exited"]
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
        counter_totals = self.counter_totals
        content = {
            "papyra_retired": _FORMAT,
            "totals": counter_totals.amounts,
            "baseline": counter_totals.baseline,
            "since": counter_totals.since if counter_totals.since != float("inf") else time.time(),
            "exited": counter_totals.exited,
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
