"""What a bridge reads: the counters of one store, and where the rises that it saw are added up."""

import sys
import weakref
from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from papyra.metrics import NAMES, PersistenceMetrics

#: The references to a source's counters that are its own: its attribute, its bound method, and
#: the argument of the call that asks. Where Python counts otherwise, dead stores' counters are
#: kept, or the weak reference decides alone.
_OWN_REFERENCES: Final = 3


@runtime_checkable
class Totals(Protocol):
    """Counters that only rise, as `papyra.PersistenceMetrics`."""

    def totals(self) -> Mapping[str, int]:
        """Return the totals by name."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """Counters that somebody may set back to 0."""

    def snapshot(self) -> Mapping[str, int]:
        """Return the counts by name."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A store that has counters, as every store of papyra."""

    @property
    def metrics(self) -> Totals | Snapshots:
        """The counters."""
        ...


Countable = Counted | Totals | Snapshots


class Series:
    """
    One attribute set: what all sources that were ever exported with it counted.

    Attributes:
        attributes: OpenTelemetry's name for labels.
        totals: By the names of the counters that are exported; they never fall.
    """

    __slots__ = ("attributes", "totals")

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes = attributes
        self.totals: dict[str, int] = {}


class Source:
    """
    The counters of one store and what was seen of them.

    The counters are held, the store is not: it may end at any time, and its last counts are
    exported all the same.

    Args:
        store: What was added to the bridge; it may be the counters themselves.
        name: What it is exported as.

    Attributes:
        counted: The names of the counters that it moves.
        series: Where they are added up; the bridge sets it.
        failing: Whether the last reading failed.
    """

    __slots__ = ("_read", "_seen", "_store", "counted", "counters", "failing", "name", "series")

    series: Series

    def __init__(self, store: Countable, name: str) -> None:
        self.name = name
        self.counters = counters_of(store)
        self._read = (
            self.counters.totals if isinstance(self.counters, Totals) else self.counters.snapshot
        )
        self._store = _weak(store) if store is not self.counters else None
        self._seen: dict[str, int] = {}
        self.failing = False
        if isinstance(self.counters, PersistenceMetrics):
            self.counted = self.counters.supported
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

    def take(self) -> None:
        """Add to the series what was counted since the last time."""
        now = dict(self._read())  # a stranger's may be one dict that goes on counting
        seen = self._seen
        if now == seen:
            return
        totals = dict(self.series.totals)
        for counter in self.counted:
            count, before = now[counter], seen.get(counter, 0)
            if count != before:
                totals[counter] += count - before if count > before else count  # lower: a new start
        # No call between these two: an interrupt strikes before both or after both.
        self.series.totals = totals
        self._seen = now

    def forget_in_child(self) -> None:
        """Know that papyra's own counters begin at zero in a child process; others go on."""
        if isinstance(self.counters, PersistenceMetrics):
            self._seen = {}


def counters_of(store: Countable) -> Totals | Snapshots:
    """Return what counts for *store*."""
    counters = store.metrics if isinstance(store, Counted) else store
    if not isinstance(counters, Totals | Snapshots):
        raise TypeError(
            f"{store!r} has no counters to export: totals() or snapshot() is needed, of its"
            " metrics or of itself; papyra.PersistenceMetricsMixin gives a class metrics"
        )
    return counters


def _weak(store: object) -> "weakref.ref[object] | None":
    try:
        return weakref.ref(store)
    except TypeError:  # __slots__ without __weakref__: its counters are kept for good
        return None
