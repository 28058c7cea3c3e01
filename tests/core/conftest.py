"""Every kind of store."""

import faulthandler
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import FILE_KINDS, KINDS, FileKind, Kind

from papyra import PersistenceBackend
from servers import missing

#: Seconds after which a call that waits for ever is ended, and the test run with it.
_HANGS = 100.0


@pytest.fixture
def nothing_hangs() -> Iterator[None]:
    """End the tests where a thread waits for itself, or two for each other: no timeout gets through there."""
    faulthandler.dump_traceback_later(_HANGS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    """One kind of store, in a directory of the test's own."""
    return KINDS[request.param](tmp_path)


@pytest.fixture(params=list(FILE_KINDS))
def file_kind(request: pytest.FixtureRequest, tmp_path: Path) -> FileKind:
    """One kind of store made of files, in a directory of the test's own."""
    return FILE_KINDS[request.param](tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        missing("no right to mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def backend(kind: Kind) -> Iterator[PersistenceBackend]:
    """An open store of each kind; a test that does not damage it leaves it clean."""
    with kind.open() as store:
        yield store
        if not store.closed:
            assert store.scan().anomalies == ()
