"""Read the clock that deadlines are measured by."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final


def _find_clock() -> Callable[[], float]:
    # On macOS `time.monotonic` stands still while the machine sleeps.
    number = getattr(time, "CLOCK_UPTIME_RAW", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic if number is None else partial(time.clock_gettime, number)


#: `time.monotonic`, asked for by its number. A library that freezes the time for tests, such as freezegun, replaces
#: that function in every module that has it. Waiting for a lock would then end at once, or never.
monotonic: Final = _find_clock()
