"""The instrument strikes where real signals do, and finds what it is there to find."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import CodeType
from typing import Any

import pytest
from faults.interrupt_points import each_point
from faults.outcome import UnavailableError
from faults.redis_interrupts import serving
from faults.scratch_stores import scratch
from faults.striking import Strike, armed

from papyra.backends.files.concurrent_swap import Replacement
from papyra.backends.files.quarantine.writer import Quarantine
from papyra.backends.redis.import_lease import Claim
from papyra.backends.redis.scripts.import_lease import CLAIM, LEAVE
from papyra.backends.redis.shared_counters import SharedCounters
from papyra.metrics.mmap_page import Page
from papyra.metrics.storage import LocalCounterStorage
from papyra.system.descriptors import Descriptors, FileLock
from servers import missing

pytestmark = pytest.mark.faults


@pytest.fixture
def strike() -> Iterator[Strike]:
    try:
        with armed() as ready:
            yield ready
    except UnavailableError as reason:
        missing(str(reason))


def expression(code: CodeType, offset: int) -> tuple[object, ...]:
    """Return the function and where in the source the instruction comes from: two may share a call."""
    return (code.co_qualname, *list(code.co_positions())[offset // 2])


def struck_in(strike: Strike, call: Callable[[], object]) -> set[tuple[object, ...]]:
    """Return where each point of *call* is."""
    found, tick = set(), 1
    while (one := strike(lambda: call(), tick)).ticks:  # noqa: PLW0108  its entry is a point, too
        tick = one.ticks[0] + 1
        if one.positions[0] is not None:
            found.add(expression(*one.positions[0]))
    return found


class AlarmError(Exception):
    """What a real signal's handler raises."""


def seen(call: Callable[[], object], n: int) -> set[tuple[object, ...]]:
    """Return where the handlers of *n* real signals of a timer ran, in functions of *call*."""
    positions = set()

    def handle(_: int, frame: Any) -> None:
        if not frame.f_code.co_qualname.startswith("seen"):
            positions.add(expression(frame.f_code, frame.f_lasti))
        raise AlarmError

    chance = random.Random(1)
    before = signal.signal(signal.SIGALRM, handle)
    try:
        for _ in range(n):
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 6e-5))
                    for _ in range(20):
                        call()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except AlarmError:
                pass
    finally:
        signal.signal(signal.SIGALRM, before)
    return positions


def calls_of_all_kinds() -> None:
    """Call Python and C, jump back, enter blocks, yield, raise."""

    def generated() -> Iterator[int]:
        yield 3
        yield 1
        yield 2

    class Made:
        def __init__(self) -> None:
            self.value = len("abc")

        def __enter__(self) -> int:
            return self.value

        def __exit__(self, *_: object) -> None:
            self.value = 0

    for number in sorted(generated(), key=lambda n: -n):
        with Made() as left:
            while left > number:
                left -= 1  # noqa: PLW2901  a jump back is wanted
            try:
                int(f"{number}: {max(left, 1)}")
            except ValueError as error:
                str(error)


def test_real_signals_strike_nowhere_else(strike: Strike) -> None:
    known = struck_in(strike, calls_of_all_kinds)
    assert len(known) > 12
    found = seen(calls_of_all_kinds, 3000)
    assert len(found) > 10
    assert found <= known


def test_it_strikes_after_each_call_of_c_and_never_before_its_result_is_noted(
    strike: Strike,
) -> None:
    noted: list[int] = []

    def note() -> None:
        noted.append(1)

    def calling() -> None:
        note()

    tick, outcomes = 1, []
    while (one := strike(calling, tick)).ticks:
        tick = one.ticks[0] + 1
        outcomes.append((len(noted), one.error is not None))
        noted.clear()
    # At the beginning; after the call; at the end, too late for the function.
    assert outcomes == [(0, True), (1, True), (1, True)]


def test_it_strikes_twice(strike: Strike) -> None:
    def twice() -> None:
        try:
            len("")
        finally:
            len("")

    assert len(strike(twice, 1).ticks) == 1
    assert len(strike(twice, 1, 1).ticks) == 2


def _exit_in_python(patch: pytest.MonkeyPatch) -> None:
    def leave(self: FileLock, *_: object) -> None:
        self.close()

    patch.setattr(FileLock, "__exit__", leave, raising=False)


def _opened_and_then_noted(patch: pytest.MonkeyPatch) -> None:
    def opened(self: Descriptors, path: str, flags: int, mode: int = 0o600) -> int:
        descriptor = os.open(path, flags, mode)
        self._opened.append(descriptor)
        return descriptor

    patch.setattr(Descriptors, "open", opened)


def _kept_after_the_replacement(patch: pytest.MonkeyPatch) -> None:
    keep, take_place = Quarantine.keep, Replacement.take_place
    late: list[Quarantine] = []

    def taken(self: Replacement, *, timeout: float) -> None:
        take_place(self, timeout=timeout)
        while late:
            keep(late.pop())

    patch.setattr(Quarantine, "keep", late.append)
    patch.setattr(Replacement, "take_place", taken)


def _pages_not_taken_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Page, "take_back_interval", lambda _: None)


def _interval_ended_too_early(patch: pytest.MonkeyPatch) -> None:
    begin = LocalCounterStorage.begin_interval

    def both(self: LocalCounterStorage, now: float) -> list[int]:
        interval = begin(self, now)
        LocalCounterStorage.end_interval(self)
        return interval

    patch.setattr(LocalCounterStorage, "begin_interval", both)


def _left_once(patch: pytest.MonkeyPatch) -> None:
    def leave(self: Claim, *_: object) -> None:
        if self._is_held:
            self._is_held = False
            self._link.run(LEAVE, self._token, patient=False)

    patch.setattr(Claim, "__exit__", leave)


def _claimed_and_then_noted(patch: pytest.MonkeyPatch) -> None:
    def enter(self: Claim) -> Claim:
        self._link.run(CLAIM, self._token, 60)
        self._is_held = True
        return self

    patch.setattr(Claim, "__enter__", enter)


def _reply_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedCounters, "_finish_reset", lambda *_: None)
    reset = SharedCounters._reset
    patch.setattr(SharedCounters, "_reset", lambda self, _, sent: reset(self, [], sent))


@pytest.mark.parametrize(
    ("lacking", "operation", "kind"),
    [
        (_exit_in_python, "read", "json"),
        (_opened_and_then_noted, "read", "json"),
        (_kept_after_the_replacement, "recover", "json"),
        (_kept_after_the_replacement, "compact", "rotating"),
        (_pages_not_taken_back, "reset of all", "json"),
        (_interval_ended_too_early, "reset", "memory"),
        (_left_once, "import", "redis"),
        (_claimed_and_then_noted, "import", "redis"),
        (_reply_lost, "reset of all", "redis"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_store_that_lacks_a_step_is_found_out(
    lacking: Callable[[pytest.MonkeyPatch], None],
    operation: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking(monkeypatch)
    with scratch() as place, ExitStack() as stack:
        try:
            step = 1
            if kind == "redis":
                stack.enter_context(serving(place))
                step = 20
            tried = each_point(operation, kind, place / "place", step=step, until_wrong=True)
        except UnavailableError as reason:
            missing(str(reason))
    assert tried.failures
