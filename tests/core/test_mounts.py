"""A single file that is mounted: its locks and counters are on one side alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from children import program

from papyra.system.files import is_mounted
from servers import missing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the table of mounts is Linux's")


def mounted(tmp_path: Path, inner: Path) -> list[str]:
    """Return what a program logs and prints whose store at *inner* is another directory's file."""
    outer = tmp_path / "outer.ndjson"
    outer.touch()
    inner.touch()
    unshare = shutil.which("unshare") or missing("no unshare: apt-get install util-linux")
    if os.geteuid():
        missing("mounts need root")
    mount = 'mount --bind "$0" "$1" && exec "$2" "$3" "$1"'
    done = subprocess.run(
        [unshare, "-m", "sh", "-c", mount, outer, inner, *program("mounted_store")],
        check=False,
        capture_output=True,
        text=True,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        missing(done.stderr)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(outer.read_bytes().splitlines()) == 6
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["inner", "in ner"])
def test_a_file_that_is_mounted_alone_is_warned_of_once_for_each_object(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    inner = tmp_path / name / "store.ndjson"
    reported = mounted(tmp_path, inner)
    assert reported[0] == (
        f"{inner}: processes beyond the mount do not share locks and counters with this one, and a"
        " recovery, compaction or rotation fails; mount its directory instead"
        " (the file itself is mounted, alone)"
    )
    assert reported.count(reported[0]) == 2
    refused = [line for line in reported if line != reported[0]]
    assert len(refused) == 2
    assert "mount its directory" in refused[0]


def test_a_file_of_a_directory_is_not_mounted(tmp_path: Path) -> None:
    path = tmp_path / "store.ndjson"
    path.touch()
    assert not is_mounted(str(path))
    assert not is_mounted(str(tmp_path / "missing"))
    assert is_mounted("/proc")
