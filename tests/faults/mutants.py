"""
The store with one protective step taken out: what the crash explorer must notice.

A mutant is what it lacks, and replaces functions of papyra's; no source is changed.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from papyra.backends.files import active_file, concurrent_swap, generation
from papyra.backends.files.active_file import ActiveFile
from papyra.backends.files.background_sync import _Syncer
from papyra.backends.files.concurrent_swap import Replacement
from papyra.backends.files.quarantine import writer
from papyra.backends.files.quarantine.writer import Quarantine
from papyra.backends.files.store import FileBackend
from papyra.reports import Anomaly
from papyra.system.files import read_at
from papyra.system.sync import sync_directory

#: Takes a thing, the name of one of its attributes, and what replaces it.
Replace = Callable[[Any, str, Any], None]


class Mutant(NamedTuple):
    """
    One step that is missing.

    Attributes:
        apply: Takes it out.
        crash: What shows it: "kill" or "power cut".
        task: While this is done.
    """

    apply: Callable[[Replace], None]
    crash: str
    task: str


def _nothing(*_: object, **__: object) -> None:
    """Stand in for a step."""


def _appends_unsynced(replace: Replace) -> None:
    replace(FileBackend, "_sync_active", _nothing)


def _names_of_new_files_unsynced(replace: Replace) -> None:
    replace(active_file, "sync_directory", _nothing)


def _torn_lines_unsealed(replace: Replace) -> None:
    begin = ActiveFile.begin

    def unsealed(self: ActiveFile, **limits: Any) -> tuple[int, bytes, list[Anomaly]]:
        end, _, findings = begin(self, **limits)
        return end, b"", findings

    replace(ActiveFile, "begin", unsealed)


def _open_lines_cut_off(replace: Replace) -> None:
    begin = ActiveFile.begin

    def cut(self: ActiveFile, **limits: Any) -> tuple[int, bytes, list[Anomaly]]:
        end, prefix, findings = begin(self, **limits)
        if prefix:
            end = read_at(self.descriptor, end, 0).rfind(b"\n") + 1
            os.ftruncate(self.descriptor, end)
        return end, b"", findings

    replace(ActiveFile, "begin", cut)


def _new_files_unsynced(replace: Replace) -> None:
    replace(Replacement, "sync", lambda self: self._file.flush())


def _new_names_unsynced(replace: Replace) -> None:
    replace(concurrent_swap, "sync_directory", _nothing)


def _quarantine_unsynced(replace: Replace) -> None:
    replace(writer, "sync_data", _nothing)


def _quarantine_without_its_name(replace: Replace) -> None:
    replace(writer, "sync_directory", _nothing)


def _quarantine_after_the_replacement(replace: Replace) -> None:
    finish, take_place = Quarantine.finish, Replacement.take_place
    late: list[Callable[[], None]] = []

    def taken(self: Replacement, *, timeout: float) -> None:
        take_place(self, timeout=timeout)
        while late:  # an undo takes a place, and saves nothing
            late.pop()()

    replace(Quarantine, "finish", lambda self, **files: late.append(partial(finish, self, **files)))
    replace(Replacement, "take_place", taken)


def _old_file_removed_first(replace: Replace) -> None:
    replace_ = Replacement._replace

    def removing(self: Replacement, target: str, lock: int) -> None:
        os.unlink(target)
        replace_(self, target, lock)

    replace(Replacement, "_replace", removing)


def _segment_numbers_unsynced(replace: Replace) -> None:
    replace(generation, "sync_data", _nothing)


def _new_active_file_before_the_segments_name(replace: Replace) -> None:
    rotate, sync = ActiveFile.rotate, sync_directory
    waiting: list[str] = []

    def rotated(self: ActiveFile, segment: str) -> None:
        waiting.append("the first sync of this rotation")
        rotate(self, segment)

    replace(active_file, "sync_directory", lambda path: waiting.pop() if waiting else sync(path))
    replace(ActiveFile, "rotate", rotated)


def _seconds_unsynced(replace: Replace) -> None:
    replace(FileBackend, "_sync_written", _nothing)


def _dropped_unsynced(replace: Replace) -> None:
    replace(ActiveFile, "_sync_last", _nothing)


def _end_unsynced(replace: Replace) -> None:
    replace(_Syncer, "end", _nothing)


MUTANTS: Final[dict[str, Mutant]] = {
    "appends are not synced": Mutant(_appends_unsynced, "power cut", "append:json:always"),
    "what a second brought is not synced": Mutant(
        _seconds_unsynced, "power cut", "second:json:interval"
    ),
    "what a dropped store wrote last is not synced": Mutant(
        _dropped_unsynced, "power cut", "unclosed:json:interval"
    ),
    "what a program wrote last is not synced at its end": Mutant(
        _end_unsynced, "power cut", "unclosed:rotating:interval"
    ),
    "names of new files are not synced": Mutant(
        _names_of_new_files_unsynced, "power cut", "append:json:always"
    ),
    "torn lines are not sealed": Mutant(_torn_lines_unsealed, "kill", "append:json:always"),
    "a last line without newline is cut off": Mutant(
        _open_lines_cut_off, "kill", "append:json:always"
    ),
    "a new file is not synced before it replaces the old one": Mutant(
        _new_files_unsynced, "power cut", "compact:json:always"
    ),
    "a new file's name is not synced": Mutant(
        _new_names_unsynced, "power cut", "compact:json:always"
    ),
    "the quarantine is not synced": Mutant(
        _quarantine_unsynced, "power cut", "recover:json:always"
    ),
    "the quarantine's names are not synced": Mutant(
        _quarantine_without_its_name, "power cut", "recover:json:always"
    ),
    "the quarantine is written after the replacement": Mutant(
        _quarantine_after_the_replacement, "kill", "recover:json:always"
    ),
    "the old file is removed before the new one is there": Mutant(
        _old_file_removed_first, "kill", "compact:json:always"
    ),
    "a file is not synced before it is sealed": Mutant(
        _appends_unsynced, "power cut", "rotate:rotating:none"
    ),
    "a segment's number is not synced before it is used": Mutant(
        _segment_numbers_unsynced, "power cut", "drop:rotating:always"
    ),
    "a segment's name is not synced before there is a new active file": Mutant(
        _new_active_file_before_the_segments_name, "power cut", "rotate:rotating:always"
    ),
}
