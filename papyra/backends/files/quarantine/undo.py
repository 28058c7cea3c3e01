"""
Put back the bytes that a recovery or compaction moved to the quarantine.

That works while the new file has only been appended to since: its beginning still has the checksum in the
manifest. Each file is put back by itself, and the checksum of its old contents is compared before it is
replaced. After a crash between two files, undoing once more puts back the rest.
"""

import os
from collections.abc import Iterator
from zlib import crc32

from papyra.backends.files.concurrent_swap import Replacement, chunks
from papyra.backends.files.paths import NAMES_UNSYNCED, Layout
from papyra.backends.files.quarantine.manifest import Chapter, Saved, ids, time_of
from papyra.backends.files.quarantine.writer import REMOVED, remove
from papyra.backends.files.read_view import OpenedFile
from papyra.errors import UndoError
from papyra.reports import Quarantined
from papyra.system.descriptors import Descriptors, open_file
from papyra.system.sync import sync_directory


def undo(layout: Layout, id_: str, *, dry_run: bool, timeout: float) -> int:
    """
    Put back the bytes saved under *id_*, and return their number; the maintenance lock is held.

    The directory is removed then, unless it holds bytes that its manifest does not mention.

    Raises:
        UndoError: if they cannot be put back; nothing was changed then.
        StoreLockedError: if another process held the store for more than *timeout* seconds.
    """
    saved = Saved(layout, id_)
    places = [(chapter, _find(layout, saved, chapter)) for chapter in saved.chapters]
    size = sum(chapter.saved for chapter, path in places if path is not None)
    if dry_run:
        return size
    for chapter, path in places:
        if path is not None:
            _put_back(layout, saved, chapter, path, timeout=timeout)
    if saved.is_whole:
        remove(layout, id_)
        layout.miss(sync_directory(layout.quarantine), NAMES_UNSYNCED)
    return size


def quarantined(layout: Layout) -> Iterator[Quarantined]:
    """Yield each directory of the quarantine, oldest first, and whether it can be put back."""
    for id_ in ids(layout):
        files: tuple[str, ...] = ()
        size, obstacle = 0, ""
        try:
            saved = Saved(layout, id_)
            files = tuple(chapter.file for chapter in saved.chapters)
            size = saved.size
            places = [_find(layout, saved, chapter) for chapter in saved.chapters]
            if not any(places):
                obstacle = "all that it says was removed is there: it was interrupted, or undone"
        except UndoError as error:
            obstacle = str(error)
        yield Quarantined(id_, time_of(id_), files, size, obstacle)


def _find(layout: Layout, saved: Saved, chapter: Chapter) -> str | None:
    """
    Return the file that the fragments of *chapter* go into; None if they are in it already.

    Raises:
        UndoError: if there is no such file.
    """
    end = chapter.end
    named = os.path.join(layout.directory, chapter.file)
    if not end["new_size"] and named != layout.path and not _size(named):
        return named  # a segment that was removed, because nothing stayed of it
    # The active file may be a segment by now.
    others = [slot.path for slot in reversed(layout.slots())] if named == layout.path else []
    for path in [named, *others]:
        is_back = any(
            _begins_with(path, end[f"{state}_size"], end[f"{state}_checksum"])
            for state in ("old", "undone")
        )
        is_new = _begins_with(path, end["new_size"], end["new_checksum"])
        # A segment of which nothing stayed was removed, so another file may have its inode now.
        is_there = end["new_size"] > 0 or named == layout.path
        is_itself = is_new and is_there and os.stat(path).st_ino == end["inode"]
        # A torn line is the beginning of a whole one, so an append may have written these bytes again.
        if is_back and not is_itself:
            return None
        if is_itself or (is_new and end["new_size"]):
            return path
    if segment := _became(layout, saved, chapter):
        return segment
    since = "rewritten since" if os.path.exists(named) else "dropped since, or removed"
    raise UndoError(
        f"{named}: it was {since}, so the bytes of {saved.id} cannot be put back into it; undo later"
        f" recoveries and compactions first, if there were any, or look into {saved.directory}"
    )


def _became(layout: Layout, saved: Saved, chapter: Chapter) -> str:
    """
    Return the path of the segment that the active file became, if nothing stayed in it; "" if unknown.

    Its contents do not tell, and an undo of a later operation gave it another inode.
    """
    number = chapter.end.get("last_number")
    if number is None or chapter.end["new_size"] or chapter.file != os.path.basename(layout.path):
        return ""
    segment = layout.segment(number + 1)
    later = [Saved(layout, id_) for id_ in ids(layout) if id_ > saved.id]
    names = {other.file for one in later for other in one.chapters}
    if names & {chapter.file, os.path.basename(segment)}:  # to be undone first
        return ""
    return segment if _size(segment) else ""


def _put_back(layout: Layout, saved: Saved, chapter: Chapter, path: str, *, timeout: float) -> None:
    end = chapter.end
    # Created if nothing had stayed of a segment: its number was never used again.
    with Descriptors() as owner:
        old = owner.open(path, os.O_RDONLY | os.O_CREAT)
        new = Replacement(layout, path, OpenedFile(owner, old, end["new_size"]))
        try:
            at = 0
            with saved.open(REMOVED) as removed:
                for fragment in saved.fragments(chapter):
                    for chunk in chunks(old, at, fragment["new_offset"]):
                        new.write(chunk)
                    at = fragment["new_offset"] + fragment.get("inserted", 0)
                    if "saved_at" in fragment:
                        start = fragment["saved_at"]
                        for chunk in chunks(removed.fileno(), start, start + fragment["length"]):
                            new.write(chunk)
            for chunk in chunks(old, at, end["new_size"]):
                new.write(chunk)
            if (new.size, new.checksum) != (end["undone_size"], end["undone_checksum"]):
                raise UndoError(
                    f"{saved.directory}: what was saved has been changed since; the store was left as it is;"
                    " put the directory back as it was, from a backup, and undo again"
                )
            new.sync()
            new.take_place(timeout=timeout)
        finally:
            new.discard()


def _begins_with(path: str, size: int, checksum: int) -> bool:
    """Tell whether the first *size* bytes of the file have the *checksum*."""
    if _size(path) < size or not os.path.exists(path):
        return False
    found = 0
    with open_file(path, os.O_RDONLY) as file:
        for chunk in chunks(file.fileno(), 0, size):
            found = crc32(chunk, found)
    return found == checksum


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
