"""
Papyra's counters as OpenTelemetry's observable counters.

On each collection the bridge reads the totals of its stores, takes the difference to what it saw
last, and adds it to the exported total of the store's attribute set. So an export is exact,
however many readers ask and whoever resets, closes or drops a store meanwhile: nothing is lost,
nothing counted twice, and no exported total falls.

It needs OpenTelemetry's API alone; the SDK and its exporters are the program's.
"""

from functools import partial
from importlib.metadata import PackageNotFoundError, version
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from papyra.countable import encodable, labels_of
from papyra.log import warn
from papyra.metrics import COUNTERS, NAMES
from papyra.system import forget_in_child
from papyra_otel.errors import BridgeError
from papyra_otel.source import Countable, Series, Source

#: The attributes of every exported number.
BACKEND_KIND: Final = "papyra.backend.kind"
STORE_NAME: Final = "papyra.store.name"

#: Distinct attribute sets that a bridge exports under their own names. The SDK keeps each for
#: ever and gives up labels for good beyond 2,000 of one instrument.
MAX_ATTRIBUTE_SETS: Final = 200
#: The `STORE_NAME` of all further ones, taken together; one for each kind of store.
OTHER: Final = "_other"

#: The SDK drops the callbacks of a second instrument of one name, and says nothing.
_bridges: "WeakValueDictionary[int, MetricsBridge]" = WeakValueDictionary()


class MetricsBridge:
    """
    Exports the counters of any number of stores through one MeterProvider.

    Each of the ten is the observable counter ``papyra.persistence.<name>``, with the attributes
    ``papyra.backend.kind`` and ``papyra.store.name``. One bridge serves all stores, and may be
    made before `opentelemetry.metrics.set_meter_provider`. In a child process that was forked
    it goes on from its parent's numbers; make a provider and a bridge there instead.

    One fault of the SDK cannot be made good here: after a collection that timed out, by a slow
    callback of somebody else's, it exports the sum of two collections once.

    Args:
        meter_provider: Where to export; by default the global provider.

    Raises:
        BridgeError: if the provider has a bridge.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        self._provider = get_meter_provider() if meter_provider is None else meter_provider
        self._global = self._provider is get_meter_provider()
        self._refuse_second()
        # Nobody is called under it but the stores' counters, which call nobody.
        self._lock = Lock()
        # By the identity of their counters: a stranger's store may have no hash.
        self._sources: dict[int, Source] = {}
        self._series: dict[tuple[str, str], Series] = {}
        self._folded = False
        # Asked for since the last sweep; at first all, so that the first question sweeps.
        self._served = set(NAMES)
        forget_in_child(self)
        _bridges[id(self)] = self
        meter = self._provider.get_meter("papyra_otel", _version())
        for counter in COUNTERS:
            meter.create_observable_counter(
                f"papyra.persistence.{counter.name}",
                callbacks=[partial(self._observe, counter.name)],
                unit=counter.unit,
                description=counter.meaning,
            )

    def add(self, store: Countable, name: str | None = None) -> None:
        """
        Export the counters of *store* from now on, with all that it has counted already.

        Adding it again does nothing. A store that has come to its end leaves its counts behind:
        they stay exported. Two stores of one kind and name are exported as their sum.

        Counters that have `totals` are exported exactly. Of a stranger's that have nothing but
        `snapshot`, a lower value is taken for a new start: what they counted between the last
        collection and a reset is lost, and a reset is not noticed once they are beyond the value
        seen before it.

        Args:
            store: A store, or anything whose ``metrics`` has `totals` or `snapshot`, or that has
                one of these itself. It is not kept alive, but its counters are; what has none
                apart from itself is kept as long as the bridge.
            name: What to call it; by default the store's own name, else its kind.

        Raises:
            BridgeError: if it was added under another name, or the provider has another bridge.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name is {name!r}: a string is needed, or None")
        self._refuse_second()
        kind, own_name = labels_of(store, name)
        source = Source(store, encodable(own_name))
        with self._lock:
            known = self._sources.get(id(source.counters))
            if known is not None:
                if name is not None and known.name != source.name:
                    raise BridgeError(
                        f"{store!r} is exported as {known.name!r}; as {source.name!r} too, its"
                        " counts would be there twice: add it once, under one name"
                    )
                return
            first_folded = self._join(source, encodable(kind))
            self._sources[id(source.counters)] = source
        if first_folded:
            warn(
                "the store %r and all that come after %d others are exported together, as"
                " %s=%r; give stores that come and go one name, with bridge.add(store, name=...)",
                source.name,
                MAX_ATTRIBUTE_SETS,
                STORE_NAME,
                OTHER,
            )

    def _join(self, source: Source, kind: str) -> bool:
        """Give *source* the series of its kind and name; True if it is the first one folded."""
        key = kind, source.name
        full = key not in self._series and len(self._series) >= MAX_ATTRIBUTE_SETS
        first_folded = full and not self._folded
        if full:
            self._folded = True
            key = kind, OTHER
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series({BACKEND_KIND: key[0], STORE_NAME: key[1]})
        # Seen from 0 on: an alert cannot fire on a series that is born at 1.
        for counter in source.counted:
            series.totals.setdefault(counter, 0)
        source.series = series
        return first_folded

    def _observe(self, counter: str, _: CallbackOptions) -> list[Observation]:
        failures: list[tuple[str, Exception]] = []
        with self._lock:
            # A collection asks for each counter once, and a View may leave out any of them: who
            # asks again begins another one. So one collection shows one moment of each store.
            if counter in self._served:
                failures = self._sweep()
                self._served.clear()
            self._served.add(counter)
            observations = [
                Observation(series.totals[counter], series.attributes)
                for series in self._series.values()
                if counter in series.totals
            ]
        for name, error in failures:
            warn("the counters of %r cannot be read; the last ones stay exported: %r", name, error)
        return observations

    def _sweep(self) -> list[tuple[str, Exception]]:
        """Take in what all sources counted; return those that fail as they did not before."""
        failures: list[tuple[str, Exception]] = []
        for key, source in list(self._sources.items()):
            gone = source.gone  # asked before: what is read after its end is all that it counted
            try:
                source.take()
            except Exception as error:  # noqa: BLE001  a stranger's fault must not hide the others
                if not source.failing:
                    failures.append((source.name, error))
                source.failing = True
            else:
                source.failing = False
            if gone:
                del self._sources[key]
        return failures

    def _refuse_second(self) -> None:
        # Asked anew each time: the global provider is a proxy until the program has set one.
        current = self._current()
        others = [
            bridge for found in _bridges.valuerefs() if (bridge := found()) not in (None, self)
        ]
        if any(other._current() is current for other in others):
            raise BridgeError(
                f"{current!r} has a papyra bridge already, and OpenTelemetry would silently drop"
                " what a second one counts; keep one bridge, and add every store to it"
            )

    def _current(self) -> MeterProvider:
        return get_meter_provider() if self._global else self._provider

    def _after_fork(self) -> None:
        self._lock = Lock()
        for source in self._sources.values():
            source.forget_in_child()


def _version() -> str | None:
    try:
        return version("papyra")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return None
