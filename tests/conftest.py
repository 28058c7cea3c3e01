"""What every test run checks before it starts."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

#: What the core's own tests import, and what pyproject.toml sets options of.
_NEEDED = ("papyra", "hypothesis", "pytest_timeout")
_NOT_INSTALLED = Path(__file__).parent / "programs" / "not_installed.py"


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run where the tests cannot work, and to test the source in place of the wheel."""
    if not hasattr(config, "workerinput"):  # else the process that started this worker has checked
        _check()

    from hypothesis import settings

    # A machine that is busy elsewhere makes no example wrong.
    settings.register_profile("papyra", deadline=None)
    settings.load_profile("papyra")


def _check() -> None:
    # Asked away from the source: the programs that tests start do not stand beside it either.
    command = [sys.executable, "-P", str(_NOT_INSTALLED), *_NEEDED]
    lacking = subprocess.check_output(command, cwd=tempfile.gettempdir(), text=True).strip()
    if lacking:
        raise pytest.UsageError(
            f"{sys.executable} has no {lacking}: run `make test`, which installs what the tests"
            " need into .venv; from then on .venv/bin/pytest works, too"
        )

    import papyra

    place = Path(papyra.__file__).parent
    if os.environ.get("PAPYRA_TEST_INSTALLED") and "site-packages" not in place.parts:
        raise pytest.UsageError(f"the wheel is to be tested, but papyra comes from {place}")
