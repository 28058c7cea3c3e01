"""
What has counters, what it is called, and how its counters are read.

Every exporter asks here, so that one object has one name and one set of numbers on every way:
`papyra.exposition` and papyra_otel. Nothing here knows a store.
"""

from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from papyra.metrics.persistence import PersistenceMetrics
from papyra.metrics.totals import CounterTotals

#: The kind of what says none.
UNKNOWN_KIND = "custom"
#: The scope of a sum over all programs; what one program counted has none.
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
    """A store that has counters, as every store of papyra."""

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
        """What exporters call the store."""
        ...

    def read(self) -> CounterTotals:
        """Return the counts of all store objects, living and gone."""
        ...

    def reset(self) -> dict[str, int]:
        """Reset them all and return the counts of the interval that ends."""
        ...


#: What can be exported.
Countable: TypeAlias = Counted | Totals | Snapshots | CounterSource
#: What is asked for the numbers.
Counters: TypeAlias = Totals | Snapshots | CounterSource


def counters_of(store: Countable) -> Counters:
    """
    Return what counts for *store*.

    Raises:
        TypeError: if it has no counters, or is a sum that will not move any more.
    """
    counters = getattr(store, "metrics", store)
    if type(counters) is PersistenceMetrics:
        return counters  # as nearly all are: asking a Protocol costs 5 us
    if isinstance(counters, CounterTotals):
        raise TypeError(
            "what read() returned is the sum of one moment, which does not move; export"
            " papyra.open_counters(url), which it was read from"
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
    """Return `STORE_SCOPE` for a sum over all programs, and "" for what one program counted."""
    foreign = type(counters) is not PersistenceMetrics
    return STORE_SCOPE if foreign and isinstance(counters, CounterSource) else ""


def labels_of(store: object, name: str | None = None) -> tuple[str, str]:
    """
    Return the kind of *store* and what exporters call it.

    The name is *name*, or the store's own, or its kind; a kind or name that is not a string
    says nothing. See `encodable` before they are written.
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
    # A subclass of str, as an enum's, may say of itself what it likes: its characters count.
    return str.__str__(value) if isinstance(value, str) else default


def read_totals(counters: Counters) -> Mapping[str, int]:
    """Return what *counters* say now; of a stranger's that have no totals, the snapshot."""
    if isinstance(counters, Totals):
        return counters.totals()
    if isinstance(counters, CounterSource):
        return counters.read().totals()
    return counters.snapshot()


def encodable(text: str) -> str:
    r"""Write what is not UTF-8 in *text*, as in a file's name, as ``\udcff``: it would end the scrape."""
    return text.encode(errors="backslashreplace").decode()
