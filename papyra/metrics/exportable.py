"""
Find the counters of an object, its name in exporters, and its numbers.

Both exporters, `papyra.exposition` and papyra_otel, ask here, so that one object has one name and one set of numbers
in each of them. Nothing here knows a store.
"""

from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from papyra.metrics.persistence import PersistenceMetrics
from papyra.metrics.totals import CounterTotals

#: The kind of an object that does not tell one.
UNKNOWN_KIND = "custom"
#: The scope of a sum over all programs; the counters of one program have none.
STORE_SCOPE = "store"


@runtime_checkable
class Totals(Protocol):
    """Counters that only rise, as `papyra.PersistenceMetrics`."""

    def totals(self) -> Mapping[str, int]:
        """Return the totals by name."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """Counters that a program may set back to 0."""

    def snapshot(self) -> Mapping[str, int]:
        """Return the counts by name."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A store that has counters, such as every store of papyra."""

    @property
    def metrics(self) -> Totals | Snapshots:
        """The counters."""
        ...


@runtime_checkable
class CounterSource(Protocol):
    """The counters of all programs that use one store, read and reset without opening it."""

    @property
    def source(self) -> str:
        """The store's address, without credentials."""
        ...

    @property
    def kind(self) -> str:
        """The kind of the store."""
        ...

    @property
    def name(self) -> str:
        """The name of the store in exporters."""
        ...

    def read(self) -> CounterTotals:
        """Return the counts of all store objects: open, closed, and of exited processes."""
        ...

    def reset(self) -> dict[str, int]:
        """Reset them all and return the counts of the interval that ends."""
        ...


#: Objects that can be exported.
Countable: TypeAlias = Counted | Totals | Snapshots | CounterSource
#: Objects that are asked for the numbers.
Counters: TypeAlias = Totals | Snapshots | CounterSource


def counters_of(store: Countable) -> Counters:
    """
    Return the counters of *store*.

    Raises:
        TypeError: if it has no counters, or is a sum that will not move any more.
    """
    counters = getattr(store, "metrics", store)
    if type(counters) is PersistenceMetrics:
        return counters  # nearly always; a check against a Protocol costs 5 us
    if isinstance(counters, CounterTotals):
        raise TypeError(
            "this is the sum of one moment, which does not move; export papyra.open_counters(url),"
            " from which read() returned it"
        )
    if not isinstance(counters, Totals | Snapshots | CounterSource):
        raise TypeError(
            f"{_shown(store)} has no counters to export: totals() or snapshot() is needed, of its"
            " metrics or of itself; papyra.PersistenceMetricsMixin gives a class metrics"
        )
    return counters


def _shown(store: object) -> str:
    """Return *store* for a message; a string may be a URL with a password in it."""
    if isinstance(store, str | bytes):
        return "a string"
    return repr(store)


def scope_of(counters: Counters) -> str:
    """Return `STORE_SCOPE` for a sum over all programs, and "" for the counters of one program."""
    foreign = type(counters) is not PersistenceMetrics
    return STORE_SCOPE if foreign and isinstance(counters, CounterSource) else ""


def labels_of(store: object, name: str | None = None) -> tuple[str, str]:
    """
    Return the kind of *store* and its name in exporters.

    The name is *name*, or the store's own, or its kind; a kind or name that is not a string
    is ignored. Pass both through `encodable` before they are written.
    """
    kind = getattr(store, "kind", None)
    if type(kind) is not str:
        kind = _text(kind, UNKNOWN_KIND)
    if name is None:
        name = getattr(store, "name", None)
    if type(name) is not str:
        name = _text(name, kind)
    return kind, name


def _text(value: object, default: str) -> str:
    # A subclass of str, such as an enum's, may have any __str__: its characters count.
    return str.__str__(value) if isinstance(value, str) else default


def read_totals(counters: Counters) -> Mapping[str, int]:
    """Return the totals of *counters* now, or the snapshot if foreign counters have no totals."""
    if isinstance(counters, Totals):
        return counters.totals()
    if isinstance(counters, CounterSource):
        return counters.read().totals()
    return counters.snapshot()


def encodable(text: str) -> str:
    r"""Escape the parts of *text* that are not UTF-8, as ``\udcff``: in a file's name they would end the scrape."""
    return text.encode(errors="backslashreplace").decode()
