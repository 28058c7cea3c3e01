"""Threads that work beside others without taking the interpreter from them."""

import threading
from collections.abc import Callable


class Paced(threading.Thread):
    """
    Does something once for each of its turns.

    A thread that spins would take the interpreter from each system call of an append, and the
    appends would take a hundred times as long.
    """

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__()
        self.turns = threading.Semaphore(0)
        self._do = do
        self._going = True

    def run(self) -> None:
        while self.turns.acquire() and self._going:
            self._do()

    def end(self) -> None:
        self._going = False
        self.turns.release()
        self.join()
