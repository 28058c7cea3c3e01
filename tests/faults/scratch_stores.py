"""Where the stores stand that faults are tried on."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from faults.outcome import UnavailableError

from papyra import JsonBackend, RotatingBackend
from papyra.backends.files.store import FileBackend

#: Both stores made of files; the rotating one with files that hold a few records each.
KINDS = ("json", "rotating")


def opened(kind: str, path: Path, **options: Any) -> FileBackend:
    """Return the store of *kind* at *path*."""
    if kind == "json":
        return JsonBackend(path, **options)
    return RotatingBackend(path, **{"max_bytes": 600} | options)


def url(kind: str, path: Path, *, max_bytes: int = 4000, max_files: int | None = None) -> str:
    """Return what a process of its own opens the store with."""
    if kind == "json":
        return f"json:{path}"
    more = "" if max_files is None else f"&max_files={max_files}"
    return f"rotating:{path}?max_bytes={max_bytes}{more}"


def data_files(path: Path) -> list[Path]:
    """Return the store's files with records, oldest first."""
    return [*sorted(path.parent.glob(path.name + "." + "[0-9]" * 12)), path]


#: In memory where there is such a place: thousands of small stores are synced again and again.
_FAST: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextmanager
def scratch(*, on_disk: bool = False) -> Iterator[Path]:
    """Give a directory that is gone afterwards."""
    place = None if on_disk else _FAST
    with tempfile.TemporaryDirectory(prefix="papyra-faults-", dir=place) as directory:
        yield Path(directory)


@contextmanager
def mounted(*words: str) -> Iterator[Path]:
    """
    Give a file system of its own; *words* go to mount, before the directory.

    Raises:
        UnavailableError: where this user may not mount.
    """
    with scratch() as directory:
        place = directory / "disk"
        place.mkdir()
        if (
            shutil.which("mount") is None
            or subprocess.run(
                ["mount", *words, place], check=False, stderr=subprocess.DEVNULL
            ).returncode
        ):
            raise UnavailableError("no right to mount a file system")
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)
