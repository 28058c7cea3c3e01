"""What came of trying one kind of fault."""

from typing import NamedTuple, Protocol


class Outcome(NamedTuple):
    """
    What was tried how often, and what went wrong.

    Attributes:
        fault: What was done to the store.
        tried: How often, in words with figures, as "20,674 crash states".
        lost: Acknowledged records that are not there.
        duplicated: Records that are there more than once.
        glued: Records that a torn line swallowed, or damage that was served as data.
        miscounted: Snapshots that break an invariant of the specification.
        broken: Whatever else is not as promised: records out of order, findings where nothing is
            wrong, errors of another kind than the documented ones.
    """

    fault: str
    tried: str
    lost: int = 0
    duplicated: int = 0
    glued: int = 0
    miscounted: int = 0
    broken: int = 0

    @property
    def flawless(self) -> bool:
        """Whether nothing went wrong."""
        return not any(self[2:])

    def __str__(self) -> str:
        """Return one line for people."""
        wrongs = ", ".join(f"{name} {self[2 + n]}" for n, name in enumerate(self._fields[2:]))
        return f"{self.fault}: {self.tried}; {wrongs}"


class UnavailableError(Exception):
    """A fault cannot be tried here; the message says what is missing."""


class Fault(Protocol):
    """Tries one kind of fault, for a short while or a *long* one."""

    __name__: str
    __module__: str

    def __call__(self, *, long: bool) -> Outcome:
        """Return what came of it."""
        ...
