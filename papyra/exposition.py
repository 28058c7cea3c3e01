"""
The counters in Prometheus' text format, with nothing but the standard library.

The same names, labels, help and values as papyra_otel exports, for programs without
OpenTelemetry: serve the text yourself, or write it for node_exporter's textfile collector.
"""

from collections.abc import Collection, Mapping
from operator import add
from typing import Final, Protocol, runtime_checkable

from papyra.metrics.exportable import (
    Countable,
    Counters,
    Snapshots,
    Totals,
    counters_of,
    encodable,
    labels_of,
    read_totals,
    scope_of,
)
from papyra.metrics.names import COUNTERS, NAMES
from papyra.metrics.persistence import PersistenceMetrics

#: The media type of the text.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


@runtime_checkable
class Named(Protocol):
    """
    A store that has a name, as all of papyra's have, also for asyncio.

    Its kind is the attribute `kind` of the object or its class, if it has one.
    """

    @property
    def metrics(self) -> Totals | Snapshots:
        """The counters."""
        ...

    @property
    def name(self) -> str:
        """The name of the store."""
        ...


def exposition(*stores: Countable) -> str:
    """
    Return the totals of *stores* as text.

    Totals, not snapshots: Prometheus would take a reset for a restart of the program. Totals of stores with the same
    kind and name are added up, because labels must be unique.

    Args:
        stores: Stores, for asyncio too; anything that has `totals` or `snapshot`, itself or as its
            ``metrics``; and what `papyra.open_counters` returns. That is the sum over all programs.
            It has the label ``papyra_scope="store"`` so that a query does not add it to a program's
            own.

    Raises:
        TypeError: if one of them has no counters.
        PapyraError: as ``open_counters(url).read()``.
    """
    found: dict[str, tuple[list[int], Collection[str]]] = {}
    begins: dict[str, str] = {}
    for store in stores:
        counters = counters_of(store)
        kind, name = labels_of(store)
        begin = begins.get(kind)
        if begin is None:  # kinds are few: each is escaped once
            begin = begins[kind] = f'{{papyra_backend_kind="{_value(kind)}",papyra_store_name="'
        missing: Collection[str]
        if type(counters) is PersistenceMetrics:
            amounts, missing = counters._amounts(), counters._unsupported
            labels = f'{begin}{_value(name)}"}} '
        else:
            amounts, missing = _foreign(counters)
            scope = scope_of(counters)
            scoped = f',papyra_scope="{scope}"' if scope else ""
            labels = f'{begin}{_value(name)}"{scoped}}} '
        if labels in found:
            others, missing_there = found[labels]
            amounts = list(map(add, amounts, others))
            missing = frozenset(missing).intersection(missing_there)
        found[labels] = amounts, missing
    samples = [(labels, *found[labels]) for labels in sorted(found)]
    text = []
    for index, (counter, _unit, meaning) in enumerate(COUNTERS):
        metric = f"papyra_persistence_{counter}_total"
        lines = [
            f"{metric}{labels}{amounts[index]}\n"
            for labels, amounts, missing in samples
            if counter not in missing
        ]
        if lines:
            text.append(f"# HELP {metric} {meaning}\n# TYPE {metric} counter\n")
            text += lines
    return "".join(text)


def _foreign(counters: Counters) -> tuple[list[int], Collection[str]]:
    """Return the amounts of counters that are not a papyra object's own, and the names of those missing."""
    counted: Mapping[str, int] = read_totals(counters)
    amounts = [counted.get(name, 0) for name in NAMES]
    return amounts, frozenset(NAMES).difference(counted)


def _value(text: str) -> str:
    """Return *text* as a label's value."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text  # as nearly all: escaping each of ten thousand takes a quarter of the scrape
    return encodable(text).translate(_ESCAPES)
