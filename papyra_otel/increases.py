"""
Work out the increase of each store's counters since the last collection, so that no exported total falls.

`papyra_otel.exporter` has one `Source` for each store that it exports. A source remembers what its counters said last,
and adds the difference to the totals of its series. So a reset, a closed store or a restarted stranger takes nothing
away.
"""

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
from papyra_otel.attribute_sets import Series

# Signatures of this package name these.
__all__ = ["Countable", "Counted", "Snapshots", "Source", "Totals", "identity_of"]

#: The references to a source's counters that are its own: its attribute, its bound method, and
#: the argument of the call that asks. If Python counts differently, the counters of dead stores are
#: kept, or the weak reference alone decides.
_OWN_REFERENCES: Final = 3


class Source:
    """
    The counters of one store, and the values that the last collection saw.

    A source holds the counters but not the store: the store may end at any time, and its last counts are
    exported all the same.

    Args:
        store: The object that was added to the bridge; it may be the counters themselves.
        name: The name to export it under, if not its own.

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
        Whether the store is gone, and no other object can count in its place.

        A dead weak reference alone does not prove that. The garbage collector clears it before it
        ends other objects of the store, such as an abandoned `records()`, which counts then.
        """
        return (
            self._store is not None
            and self._store() is None
            and sys.getrefcount(self.counters) <= _OWN_REFERENCES
        )

    def take(self) -> bool:
        """
        Add to the series the increase since the last time.

        Returns:
            Whether a sum over all programs fell. It falls where counters are removed, or after a
            power cut. The rest of them was exported already, so nothing is added for it.
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
        """Return what a source that is added again must know, or None if it never will be."""
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
    The last values of counters that are no longer exported; it keeps the counters alive only if it must.

    Args:
        counters: The counters that were read.
        seen: Their last values.
    """

    __slots__ = ("_counters", "_is_own", "_is_sum", "seen")

    def __init__(self, counters: Counters, seen: dict[str, int]) -> None:
        self._is_own = isinstance(counters, PersistenceMetrics)
        # A sum is recognized by its place, because each call returns another object.
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
    Return a key that is the same for two objects exactly if they show the same counts.

    For a sum over all programs the key is its place: each `papyra.open_counters` returns another object.
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
