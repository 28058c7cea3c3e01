"""Hold Ctrl-C back while a command is at a point where it must not stop."""

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

    A library written in C may not expect one while it is loaded. For example, orjson ended the process
    with a segmentation fault in 3 of 155 tries. And the interval that a reset ended would not be shown
    anywhere. On Windows Ctrl-C is not held back.
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
    """Open a store as `papyra.open_store` does, and hold Ctrl-C back while orjson is loaded."""
    with interrupts_later():
        import_module("papyra.format.codec")  # This loads orjson; the counters need neither.
    return papyra.open_store(url, retention=retention, must_exist=must_exist)
