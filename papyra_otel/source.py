"""What an exporter reads: one store's counters, and where the rises that it saw are added up."""

import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Final

from papyra.metrics.exportable import (
    Countable,
    Counted,
    Counters,
    Snapshots,
    Totals,
    counters_of,
    encodable,
    labels_of,
    scope_of,
)
from papyra.metrics.names import NAMES
from papyra.metrics.persistence import PersistenceMetrics

# What the signatures of this package name.
__all__ = ["Countable", "Counted", "Series", "Snapshots", "Source", "Totals", "identity_of"]

#: The references to a source's counters that are its own: its attribute, its bound method, and
#: the argument of the call that asks. Where Python counts otherwise, dead stores' counters are
#: kept, or the weak reference decides alone.
_OWN_REFERENCES: Final = 3


class Series:
    """
    One attribute set: what all sources that were ever exported with it counted.

    Attributes:
        attributes: OpenTelemetry's name for labels.
        totals: By the names of the counters that are exported; they never fall.
    """

    __slots__ = ("attributes", "totals")

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes: dict[str, str] = attributes
        self.totals: dict[str, int] = {}


class Source:
    """
    The counters of one store and what was seen of them.

    The counters are held, the store is not: it may end at any time, and its last counts are
    exported all the same.

    Args:
        store: What was added to the bridge; it may be the counters themselves.
        name: What it is exported as, if not as it says itself.

    Attributes:
        kind: Its kind.
        is_named: Whether a name was given.
        scope: `papyra.metrics.exportable.STORE_SCOPE`, or "".
        identity: See `identity_of`.
        counted: The names of the counters that it moves.
        series: Where they are added up; the exporter sets it.
        failing: Whether the last reading failed.
    """

    __slots__ = (
        "_read",
        "_seen",
        "_store",
        "counted",
        "counters",
        "failing",
        "identity",
        "is_named",
        "kind",
        "name",
        "scope",
        "series",
    )

    series: Series

    def __init__(self, store: Countable, name: str | None) -> None:
        kind, its_name = labels_of(store, name)
        self.kind: str = encodable(kind)
        self.name: str = encodable(its_name)
        self.is_named: bool = name is not None
        self.counters: Counters = counters_of(store)
        self.scope: str = scope_of(self.counters)
        self.identity: object = identity_of(self.counters)
        self._read = _reader(self.counters)
        self._store = _weak(store) if store is not self.counters else None
        self._seen: dict[str, int] = {}
        self.failing: bool = False
        if isinstance(self.counters, PersistenceMetrics):
            self.counted: tuple[str, ...] = self.counters.supported
        elif self.scope:
            self.counted = NAMES  # it may not be there to be read yet
        else:
            present = self._read()
            self.counted = tuple(counter for counter in NAMES if counter in present)

    @property
    def gone(self) -> bool:
        """
        Whether the store is, and nobody else can count in its place.

        A dead weak reference does not say that alone: the garbage collector clears it before it
        ends what else belongs to the store, as an abandoned `records()`, which counts then.
        """
        return (
            self._store is not None
            and self._store() is None
            and sys.getrefcount(self.counters) <= _OWN_REFERENCES
        )

    def take(self) -> bool:
        """
        Add to the series what was counted since the last time.

        Returns:
            Whether a sum over all programs fell. It does where counters are removed, or after a
            power cut. What is left of them was exported already, so nothing is added for it.
        """
        now = dict(self._read())  # a stranger's may be one dict that goes on counting
        seen = self._seen
        if now == seen:
            return False
        fell = False
        totals = dict(self.series.totals)
        for counter in self.counted:
            count, before = now[counter], seen.get(counter, 0)
            if count > before:
                totals[counter] += count - before
            elif count < before:
                if self.scope:
                    fell = True
                else:
                    totals[counter] += count  # a new start
        # No call between these two: an interrupt strikes before both or after both.
        self.series.totals = totals
        self._seen = now
        return fell

    def leave(self) -> "Left | None":
        """Return what is to be known of it if it is added again, or None if it never will be."""
        if self.gone:
            return None
        return Left(self.counters, self._seen)

    def go_on_from(self, left: "Left") -> None:
        """Count nothing again that was counted before the source was taken away."""
        if left.is_of(self.counters):
            self._seen = left.seen

    def forget_in_child(self) -> None:
        """Know that papyra's own counters begin at zero in a child process; others go on."""
        if isinstance(self.counters, PersistenceMetrics):
            self._seen = {}


class Left:
    """
    What was seen of counters that are no longer exported; it does not keep them, if it can.

    Args:
        counters: What was read.
        seen: What they said last.
    """

    __slots__ = ("_counters", "_is_own", "_is_sum", "seen")

    def __init__(self, counters: Counters, seen: dict[str, int]) -> None:
        self._is_own = isinstance(counters, PersistenceMetrics)
        # A sum is known again by its place, in another object.
        self._is_sum = scope_of(counters) != ""
        reference = None if self._is_sum else _weak(counters)
        self._counters = (lambda: counters) if reference is None else reference
        self.seen: dict[str, int] = seen

    @property
    def is_lost(self) -> bool:
        """Whether the counters are gone, and never come back."""
        return self._counters() is None

    def is_of(self, counters: Counters) -> bool:
        """Whether *counters* are those, and not others in their place in memory."""
        return self._is_sum or self._counters() is counters

    def forget_in_child(self) -> None:
        """See `Source.forget_in_child`."""
        if self._is_own:
            self.seen = {}


def identity_of(counters: Counters) -> object:
    """
    Return what two objects have in common if they say the same counts.

    Of a sum over all programs it is its place: each `papyra.open_counters` returns another object.
    """
    if scope_of(counters):
        try:
            hash(counters)
        except TypeError:
            return id(counters)
        return counters
    return id(counters)  # a stranger's may have no hash


def _reader(counters: Counters) -> Callable[[], Mapping[str, int]]:
    if isinstance(counters, Totals):
        return counters.totals
    if isinstance(counters, Snapshots):
        return counters.snapshot
    return lambda: counters.read().totals()


def _weak(store: object) -> "weakref.ref[object] | None":
    try:
        return weakref.ref(store)
    except TypeError:  # __slots__ without __weakref__: its counters are kept for good
        return None
