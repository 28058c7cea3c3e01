"""What every test run checks before it starts."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import papyra

# A machine that is busy elsewhere makes no example wrong.
settings.register_profile("papyra", deadline=None)
settings.load_profile("papyra")


def pytest_configure() -> None:
    """Refuse to test the source tree where the wheel is to be tested."""
    place = Path(papyra.__file__).parent
    if os.environ.get("PAPYRA_TEST_INSTALLED") and "site-packages" not in place.parts:
        raise pytest.UsageError(f"the wheel is to be tested, but papyra comes from {place}")
