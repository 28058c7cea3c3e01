"""
The counters in Prometheus' text format, with nothing but the standard library.

The same names, labels, help and values as papyra_otel exports, for programs without
OpenTelemetry: serve the text yourself, or write it for node_exporter's textfile collector.
"""

from collections.abc import Collection
from operator import add
from typing import Final, Protocol

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


def exposition(*stores: Named) -> str:
    """
    Return the totals of *stores* as text.

    Totals, not snapshots: a reset would be a fall, which Prometheus takes for a restart. Those of one
    kind and name are added up, since labels must be unique.
    """
    found: dict[str, tuple[list[int], Collection[str]]] = {}
    for store in stores:
        labels = f'{{papyra_backend_kind="{_value(store.kind)}",papyra_store_name="{_value(store.name)}"}} '
        amounts, missing = store.metrics._amounts(), store.metrics._unsupported
        if labels in found:
            others, missing_there = found[labels]
            amounts = list(map(add, amounts, others))
            missing = missing.intersection(missing_there)
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


def encodable(name: str) -> str:
    r"""Write what is no UTF-8 in *name*, as in a file's, as ``\udcff``: it would end the scrape."""
    return name.encode(errors="backslashreplace").decode()


def _value(text: str) -> str:
    """Return *text* as a label's value."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return (
            text  # as nearly all are: of ten thousand, escaping each takes a quarter of the scrape
        )
    return encodable(text).translate(_ESCAPES)
