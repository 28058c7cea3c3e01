"""The thread that syncs, and interrupts of those who ask for it."""

import sys
import threading
from functools import partial
from types import FrameType
from typing import Any

import pytest
from reentry import Nested

from papyra.backends.files import background_sync


class Store:
    """What waits for a sync, and notes it."""

    def __init__(self) -> None:
        self.source = "a store"
        self._is_dirty = False
        self._pending_warnings: list[str] = []
        self.synced = threading.Semaphore(0)

    def _sync_written(self) -> None:
        self._is_dirty = False
        self.synced.release()


class Interrupted(BaseException):
    """What a signal's handler raises."""


def interrupt(at: int) -> Any:
    """Return a trace function that raises as the *at*-th function of Python ends, whosever it is."""
    steps = 0

    def trace(_: FrameType, what: str, __: object) -> Any:
        nonlocal steps
        if what == "return":  # where signals are looked at; not in the middle of a line
            steps += 1
            if steps == at:
                sys.settrace(None)
                raise Interrupted
        return trace

    return trace


def test_an_interrupt_at_any_step_keeps_nobody_from_asking_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_sync, "INTERVAL", 0.0)
    syncer = background_sync._Syncer()
    first = Store()
    syncer.add(first)
    assert first.synced.acquire(timeout=30)
    before, at = sys.gettrace(), 0
    while True:
        at += 1
        store = Store()
        try:
            sys.settrace(interrupt(at))
            syncer.add(store)
            break
        except Interrupted:
            pass
        finally:
            sys.settrace(before)
        again = threading.Thread(target=syncer.add, args=(store,), daemon=True)
        again.start()
        again.join(30)
        assert not again.is_alive(), f"interrupted at step {at}, it waits for ever"
        assert store.synced.acquire(timeout=30)
    assert at > 2


def test_a_store_that_is_added_while_the_thread_is_being_started_is_synced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a finalizer, in the same thread: it would wait for itself."""
    monkeypatch.setattr(background_sync, "INTERVAL", 0.0)
    at, is_over = 0, False
    while not is_over:
        at += 1
        syncer, store, other = background_sync._Syncer(), Store(), Store()
        is_over = not Nested(partial(syncer.add, other)).runs_at(at, partial(syncer.add, store))
        syncer.add(other)
        assert store.synced.acquire(timeout=30)
        assert other.synced.acquire(timeout=30)
    assert at > 5
