"""Append while a signal interrupts the appends every 0.2 ms, and print what became of them: URL CALLS."""

import json
import signal
import sys
from types import FrameType

from papyra import Record, open_store


class InterruptedAppend(BaseException):
    pass


interrupts = 0


def strike(_: int, frame: FrameType | None) -> None:
    global interrupts  # noqa: PLW0603  a handler has no other place
    if frame and frame.f_globals["__name__"] != "__main__":  # within a call of papyra's, that is
        interrupts += 1
        raise InterruptedAppend


store = open_store(sys.argv[1])
record = Record("event", timestamp=1.0, data={"n": 1})
calls = returned = caught = 0
total = int(sys.argv[2])
signal.signal(signal.SIGALRM, strike)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
while calls < total:
    calls += 1
    try:
        store.append(record)
        returned += 1
    except InterruptedAppend:
        caught += 1
signal.setitimer(signal.ITIMER_REAL, 0)
totals = store.metrics.totals()
scan = store.scan()
store.close()
result = {"interrupts": interrupts, "calls": calls, "returned": returned, "stored": scan.records}
print(json.dumps(result | {"found": scan.found, "totals": totals}))
