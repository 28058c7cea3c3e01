"""Append to the example's store while a signal interrupts the appends every 0.2 ms: PATH."""

import signal
import sys
from types import FrameType

from own_backend import SqliteBackend

import papyra
from papyra.backend import PersistenceBackend


class Strike(BaseException):
    pass


struck = acknowledged = 0


def strike(_: int, frame: FrameType | None) -> None:
    global struck  # noqa: PLW0603  a handler has no other place
    while frame is not None:
        if frame.f_code is PersistenceBackend.append.__code__:
            struck += 1
            raise Strike
        frame = frame.f_back


signal.signal(signal.SIGALRM, strike)
with SqliteBackend(sys.argv[1], sync="none") as store:
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    for number in range(20_000):
        try:
            store.append(papyra.Record("event", data={"n": number}))
            acknowledged += 1
        except Strike:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    counted = store.metrics.snapshot()
    print(struck, acknowledged, counted["records_written"], counted["write_errors"])
