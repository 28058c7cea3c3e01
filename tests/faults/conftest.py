"""Chance that can be had again."""

import logging
import os
import random

import pytest


@pytest.fixture(autouse=True)
def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin the random numbers anew, and tell with a failure how to have the same ones."""
    value = os.environ.get("PAPYRA_SEED") or os.urandom(4).hex()
    print(f"PAPYRA_SEED={value} tries the same")
    random.seed(value)
    # A thousand damages are told a thousand times.
    monkeypatch.setattr(logging.getLogger("papyra"), "disabled", True)
