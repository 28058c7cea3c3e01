"""
The counts of closed store objects and of exited processes: folded from their pages into the file `retired`.

`papyra.metrics.multiprocess` folds when a program publishes its counters or gives them up, and when it reads or
resets all of them. The file is JSON. It names the folded pages until they are removed, so that a process that is
interrupted in between counts nothing twice.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from papyra.errors import NotPublishedError
from papyra.metrics.mmap_page import Page, open_page
from papyra.metrics.totals import CounterTotals
from papyra.system.descriptors import open_file
from papyra.system.files import own_like
from papyra.system.sync import sync_data, sync_directory

_FORMAT: Final = 1
_TOKEN: Final = 8
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
#: Names that `fold_some` looks at. If one page in that many has no owner, as many are folded as come.
#: So the pages without an owner are hardly ever more than a fifteenth of the others.
_SOME: Final = 16


class Retired:
    """
    The file `retired`; it is read when the object is made.

    Attributes:
        counter_totals: The counts of all pages ever folded.
        folded: Names of pages that are counted in it, and perhaps not removed yet.
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
                f"{self._path}: damaged ({flaw_of(error)}); remove it to go on without the counts of"
                " exited processes"
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
        temporary = self._path + ".tmp"  # one name is enough, because the caller holds the lock
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        with open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb") as file:
            own_like(temporary, self._directory, is_inside=True)
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()
            sync_data(file.fileno())
        os.replace(temporary, self._path)
        sync_directory(self._directory)


def pages(directory: str, *, writable: bool) -> Iterator[tuple[str, Page, bool]]:
    """Yield the pages that are not folded yet: the name, the page, and whether its owner lives."""
    for name in _page_names(os.listdir(directory), Retired(directory).folded):
        page, alive = open_page(os.path.join(directory, name), writable=writable)
        if page is not None:
            yield name, page, alive


def fold(directory: str) -> None:
    """Add all pages without an owner to `retired` and remove them; the caller holds the exclusive lock."""
    _fold(directory, os.listdir(directory))


def fold_some(directory: str, own: str = "") -> None:
    """
    Fold those pages without an owner that are among a few names; the caller holds the exclusive lock.

    The names are chosen by chance, each as likely as any other, and so the cost does not grow with their number.

    Args:
        directory: Where the counters are published.
        own: The name of one page more, if it is there.
    """
    names = os.listdir(directory)
    start = int.from_bytes(os.urandom(8), "little") % max(1, len(names))
    some = names[start : start + _SOME] + names[: max(0, start + _SOME - len(names))]
    if own and os.path.exists(os.path.join(directory, own)):
        some.append(own)
    _fold(directory, set(some))


def _fold(directory: str, names: Iterable[str]) -> None:
    retired = Retired(directory)
    gone = [name for name in retired.folded if os.path.exists(os.path.join(directory, name))]
    dead = []
    for name in _page_names(names, retired.folded):
        page, alive = open_page(os.path.join(directory, name), writable=False)
        if alive:
            continue
        if page is None:
            gone.append(name)  # it was never finished, so nothing was counted in it
            continue
        dead.append(name)
        retired.counter_totals.add(*page.read())
        retired.counter_totals.exited += 1
    if dead:
        retired.folded = [*dead, *gone]
        retired.save()
    for name in (*dead, *gone):
        os.unlink(os.path.join(directory, name))


def _page_names(names: Iterable[str], folded: list[str]) -> list[str]:
    return sorted(name for name in names if _is_page_name(name) and name not in folded)


def _is_page_name(name: str) -> bool:
    """Tell whether *name* is that of a page: a process id and eight hexadecimal digits."""
    pid, _, token = name.partition("-")
    return (
        pid.isascii() and pid.isdigit() and len(token) == _TOKEN and _HEXADECIMAL.issuperset(token)
    )


def flaw_of(error: Exception) -> str:
    """Say what is wrong with a side file of the counters whose content raised *error*."""
    match error:
        case UnicodeDecodeError():
            return "not UTF-8"
        case json.JSONDecodeError():
            return "not valid JSON"
        case _:
            return "not the content that papyra writes"
