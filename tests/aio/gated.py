"""What the tests of asyncio share: a store whose appends wait, in a thread, until they are let."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from papyra import Anomaly, MemoryBackend

#: Runs a coroutine on a loop of each kind.
Run = Callable[[Coroutine[Any, Any, None]], None]


class Gated(MemoryBackend):
    """
    A store that never appends on the loop, and never before it is told to.

    Attributes:
        batches: How many lines each append had.
        fault: What the next append raises.
    """

    _always_waits = True

    def __init__(self, **options: Any) -> None:
        # On a busy machine some tests' thousands of callers wait longer than the default.
        super().__init__(**{"lock_timeout": 60.0} | options)
        self.batches: list[int] = []
        self.fault: BaseException | None = None
        self._arrived = threading.Semaphore(0)
        self._go = threading.Semaphore(0)

    def _append(self, lines: Sequence[bytes], *, deadline: float, may_wait: bool) -> list[Anomaly]:
        self._arrived.release()
        self._go.acquire()
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        self.batches.append(len(lines))
        return super()._append(lines, deadline=deadline, may_wait=may_wait)

    async def taken(self) -> None:
        """Return once an append has come; the loop goes on meanwhile."""
        await until(lambda: self._arrived.acquire(blocking=False))

    def let(self, appends: int = 1) -> None:
        """Let so many appends through."""
        self._go.release(appends)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop go round until *condition* holds, which threads bring about."""
    while not condition():  # noqa: ASYNC110  a thread cannot set an asyncio.Event
        await asyncio.sleep(0)


async def turns(number: int = 5) -> None:
    """Let the loop go round, so that whoever can go on does."""
    for _ in range(number):
        await asyncio.sleep(0)
