"""What a child process is told of the fork, whatever stands in the way of telling it."""

import gc
import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from children import run_program
from reentry import interrupted
from stores import FileKind, Kind, counts, event, numbers

from papyra import (
    ForkedStoreError,
    JsonBackend,
    MemoryBackend,
    PersistenceMetrics,
    StoreIOError,
    open_counters,
    open_store,
)
from papyra.aio.backend import AsyncBackend
from papyra.metrics.publishing import publish
from papyra.system import forks

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    # The connection of the half of a store, which nobody is left to close.
    pytest.mark.filterwarnings(
        "ignore:.*sqlite3.Connection:pytest.PytestUnraisableExceptionWarning"
    ),
]


def in_child(function: Callable[[], Any]) -> Any:
    """Return what *function* returns in a forked child, or the name of the error that it raises."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer: Any = "nothing was returned"
        with suppress(BaseException):
            try:
                answer = function()
            except Exception as error:  # noqa: BLE001  the parent is told of it
                answer = type(error).__name__
            os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    return answer


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Python was told of errors that nobody can catch, as in a hook of a fork."""
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: reported.append(what.exc_value))
    return reported


def appended(store: Any, number: int) -> str:
    return str(store.append(event(number)))


def assert_refused_in_child(store: Any) -> None:
    """Assert that a child stores nothing with its parent's *store*, which has one record."""
    assert in_child(lambda: appended(store, 2)) == ForkedStoreError.__name__
    store.append(event(3))
    assert numbers(store.read()) == [1, 3]


def test_a_store_that_could_not_be_opened_hides_no_fork_from_another(file_kind: FileKind) -> None:
    with pytest.raises(StoreIOError) as kept:  # its traceback keeps the half of a store
        open_store(f"{file_kind.url.partition(':')[0]}:{file_kind.path.parent}/no/such/directory")
    with file_kind.open() as store:
        store.append(event(1))
        assert_refused_in_child(store)
    assert "directory" in str(kept.value)


def test_a_store_that_another_thread_makes_hides_no_fork_from_another(file_kind: FileKind) -> None:
    begun, ended = Event(), Event()

    class Slow(JsonBackend):
        def __init__(self, path: Path) -> None:
            begun.set()  # it reads its settings
            ended.wait()
            super().__init__(path)

    thread = Thread(target=Slow, args=(file_kind.path,), daemon=True)
    thread.start()
    begun.wait()
    try:
        with file_kind.open() as store:
            store.append(event(1))
            assert_refused_in_child(store)
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What registered for being told of a fork, whole or not."""
    registered: list[Any] = []

    def noted(thing: Any) -> None:
        registered.append(thing)
        forks.forget_in_child(thing)

    for module in ("metrics.persistence", "metrics.own_page", "primitives", "aio.backend"):
        monkeypatch.setattr(f"papyra.{module}.forget_in_child", noted)
    return registered


def half_made(make: Callable[[], object], things: list[Any]) -> int:
    """Return how many things knew of a fork where their making ended half way, line by line."""

    def stop() -> None:
        raise KeyboardInterrupt

    def attempt(at: int, is_whole: list[bool]) -> None:
        with suppress(KeyboardInterrupt):
            is_whole.append(not interrupted(make, at, stop))

    at, found = 0, 0
    whole: list[bool] = []
    while True not in whole:
        at += 1
        things.clear()
        whole.clear()
        # In a thread of its own: Python 3.11 keeps an interrupt that a trace function raised at an `except`, and
        # every later error of the thread would show it.
        thread = threading.Thread(target=attempt, args=(at, whole))
        thread.start()
        thread.join()
        if not whole:
            found += len(things)
        for thing in things:
            thing._after_fork()
    things.clear()
    gc.collect()  # halves of stores end here, and not within what another test does
    return found


def test_a_half_made_store_stands_a_fork_wherever_its_making_ended(
    kind: Kind, things: list[Any]
) -> None:
    assert half_made(kind.open, things) > 2


def test_half_made_counters_and_pages_stand_a_fork(tmp_path: Path, things: list[Any]) -> None:
    directory = str(tmp_path / "store.ndjson.metrics")

    def make() -> None:
        publish(directory, str(tmp_path), PersistenceMetrics(), timeout=1.0)

    assert half_made(make, things) > 2


@pytest.mark.skipif(os.name == "nt", reason="nothing is published without flock")
def test_counters_that_are_closed_count_as_exited_while_a_child_lives(file_kind: FileKind) -> None:
    store = file_kind.open()
    store.append(event(1))
    page = store.metrics._storage  # as a thread holds it that was publishing meanwhile
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        there.send(b"I was told")
        there.recv(1)  # until the parent is done
        os._exit(0)
    there.close()
    try:
        here.recv(10)
        store.close()
        counter_totals = open_counters(file_kind.url).read()
    finally:
        here.close()
        os.waitpid(child, 0)
    del page
    assert counter_totals.snapshot() == counts(records_written=1)
    assert (counter_totals.live, counter_totals.exited) == (0, 1)


def test_a_half_made_store_for_asyncio_stands_a_fork(things: list[Any]) -> None:
    assert half_made(lambda: AsyncBackend(MemoryBackend()), things) > 2


class Failing(MemoryBackend):
    """A store that survives a fork, and whose own part of that fails."""

    def _let_go_in_child(self) -> None:
        raise RuntimeError("its hook fails")


def test_a_store_whose_own_hook_fails_is_refused_in_the_child_and_the_others_know(
    kind: Kind, unraisable: list[Any]
) -> None:
    before, failing = PersistenceMetrics(), Failing()
    before.increment("read_errors")
    failing.append(event(1))
    with kind.open() as store:
        store.append(event(1))

        def child() -> Any:
            with pytest.raises(ForkedStoreError, match="open it in the child"):
                failing.append(event(2))
            ((error, *_),) = [group.exceptions for group in unraisable]
            return (
                str(error),
                failing.metrics.snapshot(),
                store.metrics.snapshot(),
                before.snapshot(),
            )

        assert in_child(child) == ("its hook fails", counts(write_errors=1), counts(), counts())
        assert failing.append(event(2)).endswith("-2")
        assert not unraisable


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "TimeoutError"])
def test_an_interrupt_as_a_child_is_told_keeps_no_store_from_knowing(
    tmp_path: Path, error: str
) -> None:
    """As by Ctrl-C, which the child gets as well, or by a handler that raises; at each line."""
    path = os.pathsep.join(filter(None, sys.path))
    done = run_program(
        "interrupted_in_child", tmp_path, error, check=False, more={"PYTHONPATH": path}
    )
    assert (done.stdout, done.stderr) == ("1 True\n", "")
