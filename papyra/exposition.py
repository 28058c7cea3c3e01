"""
The counters in Prometheus' text format, with nothing but the standard library.

The same names, labels, help and values as papyra_otel exports, for programs without
OpenTelemetry: serve the text yourself, or write it for node_exporter's textfile collector.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from papyra.metrics import COUNTERS, PersistenceMetrics

#: The media type of the text.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


class Named(Protocol):
    """What is shown of a store."""

    metrics: PersistenceMetrics

    @property
    def kind(self) -> str:
        """The kind of store."""
        ...

    @property
    def name(self) -> str:
        """What it is called."""
        ...


class Row(NamedTuple):
    """The totals of one store, and what it is labelled with."""

    kind: str
    name: str
    totals: Mapping[str, int]
    supported: Collection[str]


def exposition(*stores: Named) -> str:
    """
    Return the totals of *stores* as text.

    Totals, not snapshots: a reset would be a fall, which Prometheus takes for a restart.
    """
    return render(
        Row(store.kind, store.name, store.metrics.totals(), store.metrics.supported)
        for store in stores
    )


def encodable(name: str) -> str:
    r"""Write what is no UTF-8 in *name*, as in a file's, as ``\udcff``: it would end the scrape."""
    return name.encode(errors="backslashreplace").decode()


def render(rows: Iterable[Row]) -> str:
    """Return *rows* as text; those of one kind and name are added up: labels must be unique."""
    sums: dict[str, dict[str, int]] = {counter.name: {} for counter in COUNTERS}
    for row in rows:
        kind, name = (encodable(text).translate(_ESCAPES) for text in (row.kind, row.name))
        labels = f'papyra_backend_kind="{kind}",papyra_store_name="{name}"'
        for counter in row.supported:
            samples = sums[counter]
            samples[labels] = samples.get(labels, 0) + row.totals[counter]
    lines = []
    for counter, _unit, meaning in COUNTERS:
        if not sums[counter]:
            continue
        metric = f"papyra_persistence_{counter}_total"
        lines.append(f"# HELP {metric} {meaning}")
        lines.append(f"# TYPE {metric} counter")
        lines += [f"{metric}{{{labels}}} {n}" for labels, n in sorted(sums[counter].items())]
    return "".join(line + "\n" for line in lines)
