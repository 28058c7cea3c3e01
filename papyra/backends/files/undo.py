"""
Putting back what a recovery or compaction moved to the quarantine.

That works while the new file has only been appended to since: its beginning still has the checksum
that the manifest says. Each file is put back for itself, and its old checksum is compared before it
is replaced; a crash between two files is mended by undoing once more.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple
from zlib import crc32

from papyra.backends.files.layout import Layout
from papyra.backends.files.quarantine import FORMAT, MANIFEST, REMOVED
from papyra.backends.files.replacing import Replacement, chunks
from papyra.errors import UndoError
from papyra.reports import Quarantined
from papyra.system import OPEN_FLAGS, sync_directory

_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")


class _Chapter(NamedTuple):
    """
    What a manifest says of one file.

    Attributes:
        begin: Where in the manifest its first piece stands.
        end: The sizes and checksums of the old and the new file, and the new one's inode.
    """

    file: str
    begin: int
    end: dict[str, int]


class _Saved:
    """
    One directory of the quarantine.

    Raises:
        UndoError: if it is not there, or no manifest of papyra's is in it.
    """

    def __init__(self, layout: Layout, id_: str) -> None:
        self._layout = layout
        self.id = id_
        self.directory = os.path.join(layout.quarantine, id_)
        self.chapters: list[_Chapter] = []
        if not _ID.fullmatch(id_) or not os.path.isdir(self.directory):
            raise UndoError(f"{layout.quarantine}: nothing is saved under the id {id_!r}")
        begin, at, file = 0, 0, ""
        with self.open(MANIFEST) as manifest:
            for at, note in _notes(manifest):
                if "file" in note:
                    file, begin = note["file"], at
                elif "end" in note:
                    self.chapters.append(_Chapter(file, begin, note))
                elif "papyra_quarantine" in note:
                    self._check_header(note)

    def _check_header(self, note: dict[str, Any]) -> None:
        if note["papyra_quarantine"] != FORMAT:
            raise UndoError(
                f"{self.directory}: another version of papyra made it; undo it with that"
            )
        self.saved: float = note["saved"]

    def open(self, name: str) -> BinaryIO:
        """Return one of its files."""
        path = os.path.join(self.directory, name)
        return open(os.open(path, os.O_RDONLY | OPEN_FLAGS), "rb")

    @property
    def size(self) -> int:
        """The bytes that are saved."""
        return os.path.getsize(os.path.join(self.directory, REMOVED))

    def pieces(self, chapter: _Chapter) -> Iterator[dict[str, Any]]:
        """Yield what was taken out of one file, and put in, in its order."""
        with self.open(MANIFEST) as manifest:
            manifest.seek(chapter.begin)
            for _, note in _notes(manifest):
                if "end" in note:
                    return
                yield note

    def find(self, chapter: _Chapter) -> str | None:
        """
        Return the file that the pieces of *chapter* go into; None if they are in it already.

        Raises:
            UndoError: if there is none.
        """
        end = chapter.end
        named = os.path.join(self._layout.directory, chapter.file)
        if _begins_with(named, end["old_size"], end["old_checksum"]) and not (
            # A torn line is the beginning of a whole one: an append may have brought it back.
            os.stat(named).st_ino == end["inode"]
            and _begins_with(named, end["new_size"], end["new_checksum"])
        ):
            return None
        if not end["new_size"] and named != self._layout.path and not _size(named):
            return named  # of a sealed file nothing stayed, so it was removed
        # The active file may be a segment by now.
        others = [slot.path for slot in reversed(self._layout.slots())]
        for path in [named, *others] if named == self._layout.path else [named]:
            if _begins_with(path, end["new_size"], end["new_checksum"]) and (
                end["new_size"] or os.stat(path).st_ino == end["inode"]
            ):
                return path
        raise UndoError(
            f"{named}: it was rewritten or dropped since, so what {self.id} took out has no place"
            f" there any more; undo what came later first, or look into {self.directory}"
        )


def undo(layout: Layout, id_: str, *, dry_run: bool, timeout: float) -> int:
    """
    Put back what is saved under *id_*, and return the number of bytes; the maintenance lock is held.

    Raises:
        UndoError: if it cannot be put back; nothing was changed then.
        StoreLockedError: when somebody held the store for more than *timeout* seconds.
    """
    saved = _Saved(layout, id_)
    size = saved.size
    places = [(chapter, saved.find(chapter)) for chapter in saved.chapters]
    if dry_run:
        return size
    for chapter, path in places:
        if path is not None:
            _put_back(layout, saved, chapter, path, timeout=timeout)
    shutil.rmtree(saved.directory)
    sync_directory(layout.quarantine)
    return size


def _put_back(
    layout: Layout, saved: _Saved, chapter: _Chapter, path: str, *, timeout: float
) -> None:
    end = chapter.end
    # Created where of a sealed file nothing had stayed; its number is nobody else's.
    old = os.open(path, os.O_RDONLY | os.O_CREAT | OPEN_FLAGS, 0o600)
    new = Replacement(layout, path, old, end["new_size"])
    try:
        at = 0
        with saved.open(REMOVED) as removed:
            for piece in saved.pieces(chapter):
                for chunk in chunks(old, at, piece["new_offset"]):
                    new.write(chunk)
                at = piece["new_offset"] + piece.get("inserted", 0)
                if "saved_at" in piece:
                    start = piece["saved_at"]
                    for chunk in chunks(removed.fileno(), start, start + piece["length"]):
                        new.write(chunk)
        for chunk in chunks(old, at, end["new_size"]):
            new.write(chunk)
        if end["exact"] and (new.size, new.checksum) != (end["old_size"], end["old_checksum"]):
            raise UndoError(
                f"{saved.directory}: somebody changed what was saved; nothing was changed"
            )
        new.sync()
        new.take_place(timeout=timeout)
    finally:
        new.discard()


def quarantined(layout: Layout) -> Iterator[Quarantined]:
    """Yield what is saved, oldest first, and whether it can be put back."""
    try:
        ids = sorted(filter(_ID.fullmatch, os.listdir(layout.quarantine)))
    except FileNotFoundError:
        return
    for id_ in ids:
        saved = _Saved(layout, id_)
        obstacle = ""
        try:
            places = [saved.find(chapter) for chapter in saved.chapters]
            if not any(places):
                obstacle = "nothing was removed: it was interrupted, and all that is saved is there"
        except UndoError as error:
            obstacle = str(error)
        files = tuple(chapter.file for chapter in saved.chapters)
        yield Quarantined(id_, saved.saved, files, saved.size, obstacle)


def _notes(manifest: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each note and where the next one begins; an interrupted one ends them."""
    at = manifest.tell()
    for line in manifest:
        at += len(line)
        if not line.endswith(b"\n"):
            return
        yield at, json.loads(line)


def _begins_with(path: str, size: int, checksum: int) -> bool:
    """Tell whether the first *size* bytes of the file have the *checksum*."""
    if _size(path) < size or not os.path.exists(path):
        return False
    found = 0
    with open(os.open(path, os.O_RDONLY | OPEN_FLAGS), "rb") as file:
        for chunk in chunks(file.fileno(), 0, size):
            found = crc32(chunk, found)
    return found == checksum


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
