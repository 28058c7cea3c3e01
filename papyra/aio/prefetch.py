"""Reading in a thread, ahead of an event loop that takes the records one by one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from papyra.record import Record
from papyra.system.clock import monotonic

#: The most records that are read at once, and the seconds after which fewer are enough.
_MOST: Final = 256
_SECONDS: Final = 0.002


class Ahead:
    """
    Records that a thread reads, and that the loop takes by iterating.

    Args:
        find: Returns the records; it is called and used up in the thread.
    """

    def __init__(self, find: Callable[[], Iterable[Record]]) -> None:
        self._find = find
        self._found: Iterator[Record] | None = None
        self._read: deque[Record] = deque()
        self._is_over = False
        self._error: BaseException | None = None

    @property
    def is_used_up(self) -> bool:
        """Whether the loop has taken all records that were read, and there may be more."""
        return not self._read and not self._is_over

    def read_on(self) -> None:
        """Read some more, in a thread. An error comes to the loop in its turn."""
        until = monotonic() + _SECONDS
        try:
            if self._found is None:
                self._found = iter(self._find())
            for _ in range(_MOST):
                record = next(self._found, None)
                if record is None:
                    self._is_over = True
                    return
                self._read.append(record)
                if monotonic() > until:
                    return
        except BaseException as error:  # noqa: BLE001  raised where it is taken
            self._error, self._is_over = error, True

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        if self._read:
            return self._read.popleft()
        if self._error is not None:
            raise self._error
        raise StopIteration
