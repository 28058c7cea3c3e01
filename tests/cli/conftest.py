"""A working directory for the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from children import subject_to_permissions
from cli.shell import OURS, Shell


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
    """What to put before a command so that file modes hold for it."""
    return subject_to_permissions()
