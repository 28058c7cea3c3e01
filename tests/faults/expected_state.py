"""What a store must hold, and what it may, at each moment of a program that says what it does."""

from typing import Any, Final, NamedTuple


class Expected(NamedTuple):
    """
    What must hold after a crash at one moment.

    Attributes:
        must: Records that have to be there, once.
        may: Records that may be there, once: these, and those in flight or on their way out.
        flying: Records that are being appended.
        evidence: Damaged bytes that have to be somewhere.
        acknowledged: How many records were acknowledged in all of the store's life.
        highest: The highest number of a sealed segment so far.
        in_place: The active file has to be there.
    """

    must: frozenset[int]
    may: frozenset[int]
    flying: frozenset[int]
    evidence: tuple[bytes, ...]
    acknowledged: int
    highest: int
    in_place: bool


class ExpectedState:
    """
    What the program has said so far.

    Attributes:
        running: The program's own damage is done; a crash may come.
        settled: Something ended, and nothing has begun since.
    """

    def __init__(self) -> None:
        self.running = self.settled = False
        self._acknowledged: set[int] = set()
        self._flying: frozenset[int] = frozenset()
        self._dropping: frozenset[int] = frozenset()
        self._dropped: set[int] = set()
        self._let_go: set[int] = set()
        self._sealed: frozenset[int] = frozenset()
        self._synced: set[int] = set()
        self._evidence: tuple[bytes, ...] = ()
        self._doing = ""

    def take(self, said: dict[str, Any]) -> None:
        """Note what was said."""
        self.settled = "end" in said
        if "pause" in said:
            self.running = False
        elif "start" in said:
            self.running = True
            self._evidence = tuple(map(bytes.fromhex, said["start"]))
        elif "begin" in said:
            self._doing = said["begin"]
            self._flying = frozenset(said["adds"])
            self._dropping = frozenset(said["drops"])
        elif "end" in said:
            self._doing = ""
            self._acknowledged |= self._flying
            # A bound for the files is no retention: a power cut may bring the oldest back.
            gone = self._let_go if said["end"] == "append" else self._dropped
            gone.update(said["gone"])
            self._sealed = frozenset(said["sealed"])
            if said["end"] == "sync":
                self._synced |= self._acknowledged
            self._flying = self._dropping = frozenset()

    def after_kill(self, highest: int) -> Expected:
        """Return what must hold if the program is killed now: all that was acknowledged is there."""
        return self._expected(self._acknowledged, set(), highest)

    def after_power_cut(self, highest: int, *, sync: str) -> Expected:
        """
        Return what must hold if the power fails now.

        Acknowledged records are there if each was synced, else those of the sealed segments are,
        and those that were acknowledged before the last sync began.
        """
        durable = self._acknowledged if sync == "always" else self._synced | self._sealed
        return self._expected(durable, self._let_go, highest)._replace(in_place=False)

    def _expected(self, durable: set[int], back: set[int], highest: int) -> Expected:
        there = self._acknowledged - self._dropped - self._let_go
        return Expected(
            must=frozenset(durable & there - self._dropping),
            may=frozenset(there | self._flying | back),
            flying=self._flying,
            evidence=self._evidence,
            acknowledged=len(self._acknowledged),
            highest=highest,
            # A rotation alone takes the name away for a moment; the first append makes the file.
            in_place=self._doing in _REWRITES,
        )


_REWRITES: Final = frozenset({"compact", "recover", "undo"})
