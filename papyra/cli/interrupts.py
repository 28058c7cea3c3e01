"""Ctrl-C while a command does what it must not come between."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import papyra

if TYPE_CHECKING:
    from papyra.backend import PersistenceBackend
    from papyra.retention import Retention


@contextmanager
def interrupts_later() -> Generator[None]:
    """
    Deliver Ctrl-C at the end of the block.

    A library written in C may not expect one while it is loaded: orjson ends the process then
    (a segmentation fault, in 3 of 155 tries). What a reset ended would be shown nowhere. On Windows
    nothing is held back.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def open_store(
    url: str, *, retention: "Retention | None" = None, must_exist: bool = False
) -> "PersistenceBackend":
    """Open a store as `papyra.open_store` does, with what that needs loaded undisturbed."""
    with interrupts_later():
        import_module("papyra.format.codec")  # which brings orjson; counters do without both
    return papyra.open_store(url, retention=retention, must_exist=must_exist)
