"""
Files and directories as POSIX promises them, no better: what is there, and what of that is on the disk.

A file's bytes are on the disk after a sync of the file, a name after a sync of its directory.
Everything else is pending: a power cut may keep any part of it.
"""

from collections.abc import Mapping

#: Path below the root, and a file's bytes; None for a directory.
Tree = dict[str, bytes | None]
#: A file that was stretched, written to, or cut: the offset, and the bytes or None for the end.
Change = tuple[int, bytes | None]


class File:
    """
    A file, whatever it is called.

    Attributes:
        content: What a reader sees.
        durable: What is on the disk.
        pending: What happened to it since.
    """

    def __init__(self) -> None:
        self.content = self.durable = b""
        self.pending: list[Change] = []

    def change(self, change: Change) -> None:
        """Write to it, or cut it."""
        self.content = changed(self.content, change)
        self.pending.append(change)

    def sync(self) -> None:
        """Bring it onto the disk."""
        self.durable = self.content
        self.pending = []


class Directory:
    """
    A directory.

    Attributes:
        entries: What a reader sees.
        durable: The names that are on the disk.
        pending: Names that came and went since; together where one call does both.
    """

    def __init__(self) -> None:
        self.entries: dict[str, File | Directory] = {}
        self.durable: dict[str, File | Directory] = {}
        self.pending: list[dict[str, File | Directory | None]] = []

    def change(self, changes: dict[str, "File | Directory | None"]) -> None:
        """Add names, or remove them."""
        self.entries = renamed(self.entries, changes)
        self.pending.append(changes)

    def sync(self) -> None:
        """Bring the names onto the disk."""
        self.durable = self.entries
        self.pending = []


#: What a directory holds, by name.
Entries = dict[str, File | Directory]


def changed(content: bytes, change: Change) -> bytes:
    """Return *content* with one change."""
    offset, data = change
    if data is None:
        return content[:offset].ljust(offset, b"\0")
    return content[:offset].ljust(offset, b"\0") + data + content[offset + len(data) :]


def renamed(entries: Entries, changes: dict[str, File | Directory | None]) -> Entries:
    """Return *entries* with the names of one call."""
    return {name: thing for name, thing in (entries | changes).items() if thing is not None}


def tree_of(top: Directory, entries: Mapping[int, Entries], contents: Mapping[int, bytes]) -> Tree:
    """
    Return all below *top*.

    By their `id`, *entries* and *contents* say what is in a directory or file; what they do not
    name is as a reader sees it.
    """
    tree: Tree = {}
    waiting = [("", top)]
    while waiting:
        path, directory = waiting.pop()
        for name, thing in entries.get(id(directory), directory.entries).items():
            if isinstance(thing, File):
                tree[path + name] = contents.get(id(thing), thing.content)
            else:
                tree[path + name] = None
                waiting.append((f"{path}{name}/", thing))
    return tree
