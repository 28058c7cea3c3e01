"""What a program made of a directory, system call by system call."""

import os
import re
import sys
from collections.abc import Callable
from typing import Final

from faults.inodes import Change, Directory, File, Tree, tree_of
from faults.trace import Call


class _Open:
    """An open file: descriptors made by dup share it."""

    def __init__(self, thing: File | Directory, *, appends: bool) -> None:
        self.thing = thing
        self.offset = 0
        self.appends = appends


class Disk:
    """
    What a program made of the directory *root*, call by call; what is elsewhere is not followed.

    Attributes:
        top: The directory *root*.
        renames: Every name below *root* that a rename gave.
    """

    def __init__(self, root: str) -> None:
        self.root: Final = os.fsencode(root) + b"/"
        self.top = Directory()
        self.renames: list[str] = []
        self._open: dict[int, _Open] = {}

    def apply(self, call: Call) -> None:
        """Do what *call* did."""
        if handler := _HANDLERS.get(call.name):
            handler(self, call)
        else:
            paths = b" ".join(part for part in call.arguments if isinstance(part, bytes))
            known = call.arguments and str(call.arguments[0]).isdigit()
            descriptor = call.number(0) if known else -1
            assert self.root not in paths, f"{call.name} is not followed"
            assert descriptor not in self._open, f"{call.name} is not followed"

    def is_changed_by(self, call: Call) -> bool:
        """Tell whether *call* is on something here, and changes it or brings it onto the disk."""
        if call.name in {"write", "ftruncate", "fsync", "fdatasync"}:
            return call.number(0) in self._open
        if call.name == "openat":
            there = self._is_here(call.data(1), call.arguments[0])
            return there and "O_CREAT" in str(call.arguments[2])
        paths = [part for part in call.arguments if isinstance(part, bytes)]
        return any(self._is_here(path, call.arguments[0]) for path in paths)

    @property
    def highest(self) -> int:
        """The highest number that a rename gave to a sealed segment; 0 without any."""
        endings = [name.rpartition(".")[2] for name in self.renames]
        return max((int(ending) for ending in endings if _SEGMENT.fullmatch(ending)), default=0)

    def write_of(self, call: Call) -> tuple[File, Change] | None:
        """Return the file that *call* writes to, and what; None if it writes to none here."""
        if call.name != "write" or call.number(0) not in self._open:
            return None
        opened = self._open[call.number(0)]
        assert isinstance(opened.thing, File)
        offset = len(opened.thing.content) if opened.appends else opened.offset
        return opened.thing, (offset, call.data(1)[: call.result])

    def poke(self, path: str, offset: int, word: int) -> None:
        """Store *word*, of 64 bits, in a mapped file."""
        directory, name = self._find(os.fsencode(path))
        thing = directory.entries[name]
        assert isinstance(thing, File)
        thing.change((offset, word.to_bytes(8, sys.byteorder)))

    def sync(self) -> None:
        """Bring everything onto the disk."""
        for thing in self.things():
            thing.sync()

    def things(self) -> list[File | Directory]:
        """Return all files and directories that a reader sees, or may see after a power cut."""
        found: dict[int, File | Directory] = {id(self.top): self.top}
        waiting = [self.top]
        while waiting:
            directory = waiting.pop()
            named = [*directory.entries.values(), *directory.durable.values()]
            named += (thing for change in directory.pending for thing in change.values() if thing)
            for thing in named:
                if id(thing) not in found:
                    found[id(thing)] = thing
                    if isinstance(thing, Directory):
                        waiting.append(thing)
        return list(found.values())

    def tree(self) -> Tree:
        """Return what a reader sees."""
        return tree_of(self.top, {}, {})

    def _find(self, path: bytes, at: str | bytes = "AT_FDCWD") -> tuple[Directory, str]:
        """Return the directory that *path* is in and its name there."""
        directory = self.top
        if not path.startswith(b"/") and str(at).isdigit():
            opened = self._open[int(str(at))].thing
            assert isinstance(opened, Directory)
            directory = opened
        *parents, name = os.fsdecode(path.removeprefix(self.root)).split("/")
        for parent in parents:
            child = directory.entries[parent]
            assert isinstance(child, Directory)
            directory = child
        return directory, name

    def _is_here(self, path: bytes, at: str | bytes) -> bool:
        inside = not path.startswith(b"/") and str(at).isdigit() and int(str(at)) in self._open
        return path.startswith(self.root) or inside

    def _openat(self, call: Call) -> None:
        at, path, flags = call.arguments[0], call.data(1), str(call.arguments[2])
        self._open.pop(call.result, None)
        if path + b"/" == self.root:
            self._open[call.result] = _Open(self.top, appends=False)
        if not self._is_here(path, at):
            return
        directory, name = self._find(path, at)
        thing = directory.entries.get(name)
        if thing is None:
            thing = File()
            directory.change({name: thing})
        if "O_TRUNC" in flags and isinstance(thing, File) and thing.content:
            thing.change((0, None))
        self._open[call.result] = _Open(thing, appends="O_APPEND" in flags)

    def _close(self, call: Call) -> None:
        self._open.pop(call.number(0), None)

    def _dup(self, call: Call) -> None:
        if "F_DUPFD" in str(call.arguments[1]) and call.number(0) in self._open:
            self._open[call.result] = self._open[call.number(0)]

    def _lseek(self, call: Call) -> None:
        if opened := self._open.get(call.number(0)):
            opened.offset = call.result

    def _write(self, call: Call) -> None:
        if found := self.write_of(call):
            file, change = found
            file.change(change)
            self._open[call.number(0)].offset = change[0] + call.result

    def _truncate(self, call: Call) -> None:
        if self._is_here(call.data(0), ""):
            directory, name = self._find(call.data(0))
            thing = directory.entries[name]
            assert isinstance(thing, File)
            thing.change((call.number(1), None))

    def _ftruncate(self, call: Call) -> None:
        if opened := self._open.get(call.number(0)):
            assert isinstance(opened.thing, File)
            opened.thing.change((call.number(1), None))

    def _sync(self, call: Call) -> None:
        if opened := self._open.get(call.number(0)):
            opened.thing.sync()

    def _mkdir(self, call: Call) -> None:
        if self._is_here(call.data(0), ""):
            directory, name = self._find(call.data(0))
            directory.change({name: Directory()})

    def _rename(self, call: Call) -> None:
        if not self._is_here(call.data(0), ""):
            return
        directory, old = self._find(call.data(0))
        target, new = self._find(call.data(1))
        assert target is directory, "a rename into another directory is not followed"
        directory.change({old: None, new: directory.entries[old]})
        self.renames.append(new)

    def _unlink(self, call: Call) -> None:
        if self._is_here(call.data(0), ""):
            directory, name = self._find(call.data(0))
            directory.change({name: None})

    def _unlinkat(self, call: Call) -> None:
        if self._is_here(call.data(1), call.arguments[0]):
            directory, name = self._find(call.data(1), call.arguments[0])
            directory.change({name: None})


_SEGMENT: Final = re.compile(r"[0-9]{12}")
_HANDLERS: Final[dict[str, Callable[[Disk, Call], None]]] = {
    "openat": Disk._openat,
    "close": Disk._close,
    "fcntl": Disk._dup,
    "lseek": Disk._lseek,
    "write": Disk._write,
    "truncate": Disk._truncate,
    "ftruncate": Disk._ftruncate,
    "fsync": Disk._sync,
    "fdatasync": Disk._sync,
    "mkdir": Disk._mkdir,
    "rename": Disk._rename,
    "unlink": Disk._unlink,
    "rmdir": Disk._unlink,
    "unlinkat": Disk._unlinkat,
}
