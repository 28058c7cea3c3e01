"""
Read one directory of the quarantine, as far as its checksums vouch for it.

A manifest grows while files are rewritten, so one that ends early was interrupted. Its chapters on whole
files are true, and the other saved bytes never left the store. Every line of it has a checksum, and so
have the bytes that were taken out of each file. `undo` and the list of what is saved use it.
"""

import json
import os
import re
from calendar import timegm
from collections.abc import Iterator
from time import strptime
from typing import IO, Any, Final, NamedTuple
from zlib import crc32

from papyra.backends.files.concurrent_swap import chunks
from papyra.backends.files.paths import Layout
from papyra.backends.files.quarantine.writer import FORMAT, MANIFEST, REMOVED
from papyra.errors import UndoError
from papyra.format.codec import has_checksum
from papyra.system.descriptors import open_file

_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")


class Chapter(NamedTuple):
    """
    The part of a manifest about one file.

    Attributes:
        file: Its name.
        begin: The byte of the manifest at which the first fragment is noted.
        end: Sizes and checksums of the old file, the new one, the bytes that were taken out and the file that
            an undo makes. Also the inode of the new file, and the highest number of a segment at that time.
    """

    file: str
    begin: int
    end: dict[str, int]

    @property
    def saved(self) -> int:
        """The number of bytes that were taken out."""
        return self.end["saved_to"] - self.end["saved_from"]


class Saved:
    """
    Read one directory of the quarantine, and check it.

    Attributes:
        chapters: The chapters of the manifest on whole files.

    Raises:
        UndoError: if it is missing, or was changed since.
    """

    def __init__(self, layout: Layout, id_: str) -> None:
        self.id = id_
        self.directory: str = os.path.join(layout.quarantine, id_)
        if not _ID.fullmatch(id_) or not os.path.isdir(self.directory):
            is_harmless = not id_ or id_.isalpha() or _ID.fullmatch(id_)
            given = repr(id_)[:80] if is_harmless else "that was given"  # It may be a password.
            raise UndoError(
                f"{layout.quarantine}: nothing is saved under the id {given}; take an id that"
                " quarantined() or papyra recover --list shows"
            )
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
                        f"{self.directory}: another version of papyra saved it; undo it with that version"
                    )
        self._check_removed()

    def open(self, name: str) -> IO[bytes]:
        """Return one of its files."""
        path = os.path.join(self.directory, name)
        try:
            return open_file(path, os.O_RDONLY)
        except FileNotFoundError:
            raise UndoError(f"{path}: it is missing, so {self.id} cannot be put back") from None

    @property
    def size(self) -> int:
        """The bytes that are saved."""
        if not self.chapters and not os.path.lexists(os.path.join(self.directory, REMOVED)):
            return 0
        with self.open(REMOVED) as removed:
            return os.fstat(removed.fileno()).st_size

    @property
    def is_whole(self) -> bool:
        """Whether the manifest covers every byte that is saved."""
        return self.size == max((chapter.end["saved_to"] for chapter in self.chapters), default=0)

    def fragments(self, chapter: Chapter) -> Iterator[dict[str, Any]]:
        """Yield a note of each fragment that was taken out of one file or put in, in its order."""
        with self.open(MANIFEST) as manifest:
            manifest.seek(chapter.begin)
            for _, note in self._notes(manifest):
                if "end" in note:
                    return
                yield note

    def _notes(self, manifest: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield each note and the byte at which the next begins; stop at one that was interrupted."""
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
                f"{self.directory}: it was taken out of {file!r}, which is not a file of {layout.path};"
                " give the files the names that they had"
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
            f"{self.directory}: what was saved has been changed since ({what}); the store was left as it is;"
            " put the directory back as it was, from a backup, and undo again"
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
