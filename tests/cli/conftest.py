"""A working directory for the command line."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.shell import OURS, Shell

from servers import missing


@pytest.fixture(autouse=True, scope="session")
def _no_variables_of_ours() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in OURS:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An empty working directory and a home, both of this test alone."""
    directory, home = tmp_path / "work", tmp_path / "home"
    directory.mkdir()
    home.mkdir()
    return Shell(directory.resolve(), home)


@pytest.fixture
def unprivileged() -> list[str]:
    """
    What to put before a command so that file modes hold for it: nothing, but for root.

    Root without two of its capabilities, not another user: that one could not read a Python
    that lies in root's home.
    """
    if not hasattr(os, "geteuid"):
        missing("no file modes")
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv") or missing("no setpriv: apt-get install util-linux")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--"]
