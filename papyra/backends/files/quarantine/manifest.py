"""
What one directory of the quarantine says, as far as it can be believed.

A manifest grows while files are rewritten, so one that ends early was interrupted: what it says of
whole files is true, and the rest of what is saved never left the store. Every line of it has a
checksum, and so have the bytes that were taken out of each file.
"""

import json
import os
import re
from calendar import timegm
from collections.abc import Iterator
from time import strptime
from typing import IO, Any, Final, NamedTuple
from zlib import crc32

from papyra.backends.files.paths import Layout
from papyra.backends.files.quarantine.writer import FORMAT, MANIFEST, REMOVED
from papyra.backends.files.swap import chunks
from papyra.errors import UndoError
from papyra.format.codec import has_checksum
from papyra.system.descriptors import open_file

_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")


class Chapter(NamedTuple):
    """
    What a manifest says of one file.

    Attributes:
        file: Its name.
        begin: Where in the manifest its first piece stands.
        end: Sizes and checksums of the old and the new file and of what was taken out, the inode
            of the new one, the highest number of a segment at that time, and whether the old one can be had again byte for byte.
    """

    file: str
    begin: int
    end: dict[str, int]

    @property
    def saved(self) -> int:
        """How many bytes were taken out."""
        return self.end["saved_to"] - self.end["saved_from"]


class Saved:
    """
    One directory of the quarantine.

    Attributes:
        chapters: What it says of whole files.

    Raises:
        UndoError: if it is not there, or it was changed since.
    """

    def __init__(self, layout: Layout, id_: str) -> None:
        self.id = id_
        self.directory: str = os.path.join(layout.quarantine, id_)
        if not _ID.fullmatch(id_) or not os.path.isdir(self.directory):
            raise UndoError(f"{layout.quarantine}: nothing is saved under the id that was given")
        self.chapters: list[Chapter] = []
        if not os.listdir(self.directory):  # interrupted before anything was saved
            return
        begin, at, file = 0, 0, ""
        with self.open(MANIFEST) as manifest:
            for at, note in self._notes(manifest):
                if "file" in note:
                    file, begin = note["file"], at
                    self._check_name(layout, file)
                elif "end" in note:
                    self.chapters.append(Chapter(file, begin, note))
                elif note.get("papyra_quarantine", FORMAT) != FORMAT:
                    raise UndoError(
                        f"{self.directory}: another version of papyra made it; undo it with that"
                    )
        self._check_removed()

    def open(self, name: str) -> IO[bytes]:
        """Return one of its files."""
        path = os.path.join(self.directory, name)
        try:
            return open_file(path, os.O_RDONLY)
        except FileNotFoundError:
            raise UndoError(
                f"{path}: it is missing, so nothing of {self.id} can be put back"
            ) from None

    @property
    def size(self) -> int:
        """The bytes that are saved."""
        if not self.chapters and not os.path.lexists(os.path.join(self.directory, REMOVED)):
            return 0
        with self.open(REMOVED) as removed:
            return os.fstat(removed.fileno()).st_size

    @property
    def is_whole(self) -> bool:
        """Whether the manifest speaks of every byte that is saved."""
        return self.size == max((chapter.end["saved_to"] for chapter in self.chapters), default=0)

    def pieces(self, chapter: Chapter) -> Iterator[dict[str, Any]]:
        """Yield what was taken out of one file, and put in, in its order."""
        with self.open(MANIFEST) as manifest:
            manifest.seek(chapter.begin)
            for _, note in self._notes(manifest):
                if "end" in note:
                    return
                yield note

    def _notes(self, manifest: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield each note and where the next one begins; an interrupted one ends them."""
        at = manifest.tell()
        for line in manifest:
            if not line.endswith(b"\n") and not has_checksum(line[:-1] + b"\n"):
                return
            if not has_checksum(line):
                raise self._changed(f"line at byte {at} of {MANIFEST}")
            at += len(line)
            yield at, json.loads(line)

    def _check_name(self, layout: Layout, file: str) -> None:
        name = os.path.basename(layout.path)
        if os.path.basename(file) != file or not f"{file}.".startswith(f"{name}."):
            raise UndoError(
                f"{self.directory}: it was taken out of {file!r}, which is no file of"
                f" {layout.path}; give the files their names again"
            )

    def _check_removed(self) -> None:
        if not self.chapters:
            return
        with self.open(REMOVED) as removed:
            size = os.fstat(removed.fileno()).st_size
            for chapter in self.chapters:
                end, found = chapter.end, 0
                if end["saved_to"] <= size:
                    for chunk in chunks(removed.fileno(), end["saved_from"], end["saved_to"]):
                        found = crc32(chunk, found)
                if end["saved_to"] > size or found != end["saved_checksum"]:
                    raise self._changed(f"bytes from {chapter.file}")

    def _changed(self, what: str) -> UndoError:
        return UndoError(
            f"{self.directory}: what was saved has been changed since ({what}); the store was left as it is"
            " in the store"
        )


def ids(layout: Layout) -> list[str]:
    """Return the ids under which something is saved, oldest first."""
    try:
        return sorted(filter(_ID.fullmatch, os.listdir(layout.quarantine)))
    except FileNotFoundError:
        return []


def time_of(id_: str) -> float:
    """Return when something was saved under *id_*, in seconds since the epoch."""
    return float(timegm(strptime(id_.partition("-")[0], "%Y%m%dT%H%M%S")))
