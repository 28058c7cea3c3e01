"""Warnings, and log handlers that use the store which the warning is about."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stores import FileKind, Rotating, counts, event

from papyra import Record, open_store
from papyra.system import log

#: More warnings than this of one call are taken for one after the other without end.
_ENDLESS = 20


@contextmanager
def handling(handle: Callable[[str], object]) -> Iterator[list[str]]:
    """Call *handle* with each of papyra's warnings; the list has them all."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())
            assert len(messages) < _ENDLESS
            handle(messages[-1])

    logger, handler = logging.getLogger("papyra"), Handler()
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def test_a_handler_that_appends_to_the_store_which_drops_files_for_it_ends(
    tmp_path: Path,
) -> None:
    """Each line is larger than a file: each append drops one, and warns of it."""
    with open_store(f"{Rotating(tmp_path).url}?max_bytes=10&max_files=2") as store:
        store.append(event(1))
        store.append(event(2))
        with handling(lambda message: store.append(Record("log", data={"m": message}))) as reported:
            store.append(event(3))
            store.append(event(4))
        assert len(reported) == 2
        assert "(and" not in reported[0]
        assert reported[1].endswith("(and 1 more that a log handler caused)")
        assert store.metrics.snapshot() == counts(records_written=6)


def test_a_handler_that_reads_the_damaged_store_ends(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        file_kind.put(store, b"no record\n")
        with handling(lambda _: store.read()) as reported:
            store.read()
            store.read()
        assert len(reported) == 2
        assert store.metrics.snapshot() == counts(
            records_written=1, records_read=4, anomaly_detected=4
        )


def test_what_a_handler_causes_elsewhere_is_logged(file_kind: FileKind) -> None:
    with file_kind.open() as store, open_store("memory:") as other:
        store.append(event(1))
        file_kind.put(store, b"no record\n")
        other.append_soon(event(2, bad=float("nan")))
        with handling(lambda _: other.append(event(3))) as reported:
            store.read()
        assert len(reported) == 2
        assert reported[1].startswith("memory: a record given to append_soon()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_childs_warnings_are_logged_though_a_thread_of_its_parent_was_logging_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new thread there may have the ident of that one."""
    logs, ended = threading.Event(), threading.Event()

    def stay(_: str) -> None:
        if threading.current_thread() is thread:
            logs.set()
            ended.wait()

    thread = threading.Thread(target=log.warn, args=("it leaks",))
    with handling(stay) as reported:
        thread.start()
        logs.wait()
        ident = thread.ident
        child = os.fork()
        if child == 0:
            try:
                monkeypatch.setattr(log, "get_ident", lambda: ident)
                log.warn("it leaks")
            finally:
                os._exit(len(reported))
        ended.set()
        thread.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        assert reported == ["it leaks"]
