"""
Which attributes a store's counts are exported with: kind, name and scope, and `_other` beyond 200 sets.

The SDK keeps each attribute set for ever, and gives up labels for good beyond 2,000 of one instrument. So stores that
come and go under new names are lumped together from the 201st set on. `papyra_otel.exporter` has one `AttributeSets`
for each provider.
"""

from collections.abc import Iterable, Iterator
from typing import Final

#: The attributes of every exported number.
BACKEND_KIND: Final = "papyra.backend.kind"
STORE_NAME: Final = "papyra.store.name"
#: The attribute of a sum over all programs, beside these.
SCOPE: Final = "papyra.scope"

#: Distinct attribute sets that are exported under their own names.
MAX_ATTRIBUTE_SETS: Final = 200
#: The `STORE_NAME` of all further stores, taken together; one for each kind of store.
OTHER: Final = "_other"


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


class AttributeSets:
    """The series of one provider, each once; they stay for good, as those of the SDK do."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, ...], Series] = {}
        self._is_full = False

    def __iter__(self) -> Iterator[Series]:
        return iter(self._series.values())

    def join(self, kind: str, name: str, scope: str, counted: Iterable[str]) -> tuple[Series, bool]:
        """
        Return the series of a store.

        Args:
            kind: The kind of the store.
            name: What it is exported as.
            scope: See `papyra.metrics.exportable.scope_of`.
            counted: The names of its counters; each begins at 0 in the series.

        Returns:
            The series, and whether this is the first store that has no series of its own.
        """
        scopes = (scope,) if scope else ()
        key: tuple[str, ...] = kind, name, *scopes
        is_folded = key not in self._series and len(self._series) >= MAX_ATTRIBUTE_SETS
        is_first = is_folded and not self._is_full
        if is_folded:
            self._is_full = True
            key = kind, OTHER, *scopes
        series = self._series.get(key)
        if series is None:
            attributes: dict[str, str] = dict(
                zip((BACKEND_KIND, STORE_NAME, SCOPE), key, strict=False)
            )
            series = self._series[key] = Series(attributes)
        # Seen from 0 on: an alert cannot fire on a series that is born at 1.
        for counter in counted:
            series.totals.setdefault(counter, 0)
        return series, is_first
