"""
Export papyra's counters as OpenTelemetry's observable counters.

On each collection the bridge's exporter reads the totals of its stores and takes the increase since
the last collection. It adds that to the exported total of the store's attribute set. So an export
is exact, however many readers ask, and if a store is reset, closed or dropped meanwhile. Nothing is
lost, nothing is counted twice, and no exported total falls.

This module needs OpenTelemetry's API alone; the SDK and its exporters belong to the program.
"""

from typing import Self

from opentelemetry.metrics import MeterProvider, get_meter_provider

from papyra.metrics.exportable import Countable, counters_of
from papyra_otel.errors import BridgeError
from papyra_otel.increases import Source
from papyra_otel.registry import disown, exporter_for, find, second


class MetricsBridge:
    """
    Exports the counters of any number of stores through one MeterProvider.

    Each of the ten is the observable counter ``papyra.persistence.<name>``, with the attributes
    ``papyra.backend.kind`` and ``papyra.store.name``; a sum over all programs, from
    `papyra.open_counters`, has ``papyra.scope`` too. One bridge serves all stores, and may be made
    before `opentelemetry.metrics.set_meter_provider`. A provider has one open bridge at a time;
    one that comes after `close` goes on from what the first exported, so no total falls. In a
    child process that was forked a bridge goes on from its parent's numbers; make a provider and
    a bridge there instead.

    A bridge lives as long as its provider, whether or not the program keeps it: only `close`
    ends it, or a ``with`` block.

    One fault of the SDK cannot be corrected here. After a slow callback of another library made a collection
    time out, the SDK exports the sum of two collections once.

    Args:
        meter_provider: The provider to export through; by default the global one. If it is given, no other
            provider is looked at.

    Raises:
        BridgeError: if the provider has an open bridge, or OTEL_PYTHON_METER_PROVIDER names a
            global one that cannot be made.
    """

    __module__ = "papyra_otel"

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        self._provider = _global_provider() if meter_provider is None else meter_provider
        try:
            self._exporter = exporter_for(self._provider, self)
        except BaseException:
            # Otherwise an interrupt would leave a bridge that no caller has, and none could close.
            disown(self._provider, self)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, store: Countable, name: str | None = None) -> None:
        """
        Export the counters of *store* from now on, with all that it has counted already.

        Adding it again does nothing. The counts of a store that was closed or dropped
        stay exported. Two stores of one kind and name are exported as their sum.

        Counters that have `totals` are exported exactly. If foreign counters have nothing but
        `snapshot`, a lower value is taken for a new start. The counts between the last collection
        and a reset are then lost. A reset is not noticed once they are beyond the value seen before
        it.

        The object that `papyra.open_counters` returns is the sum over all programs, running and exited. Each
        collection reads it anew, and waits for its files or server as ``read()`` does. A sum that cannot be
        read stays as it was exported last, with one warning. The sum falls only where counters are removed,
        or a power cut took the last ones. The export then stays as it is, a warning is logged, and it rises
        again from there.

        Args:
            store: A store, or anything whose ``metrics`` has `totals` or `snapshot`, or that has
                one of these itself, or the sum that `papyra.open_counters` returns. It is not kept alive,
                but its counters are; an object that is its own counters is kept until `remove`.
            name: The name to export it under; by default the store's own name, or its kind if it has none.

        Raises:
            BridgeError: if it was added under another name, the provider has another bridge, or
                this one is closed.
            TypeError: if *store* has no counters, or *name* is not a string.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, got {name!r:.80}")
        # Asked anew each time: the global provider is a proxy until the program has set one.
        if find(self._provider) is not self._exporter:
            raise second(self._provider)
        self._exporter.add(Source(store, name), self)

    def remove(self, store: Countable) -> None:
        """
        Export nothing that *store* counts from now on; its counts until now stay exported.

        If it is added again, here or to a later bridge of this provider, it goes on from where it was. Its
        counts of the meantime are exported then, and nothing twice. Removing a store that is not exported
        does nothing.

        Raises:
            BridgeError: if the bridge is closed.
            TypeError: if *store* has no counters.
        """
        self._exporter.remove(counters_of(store), self)

    def close(self) -> None:
        """
        Let go of all stores, and of the provider; closing again does nothing.

        The counts of the stores until now are exported and stay so, also in the last collection of
        a provider that is shut down next.
        """
        self._exporter.leave(self)


def _global_provider() -> MeterProvider:
    try:
        return get_meter_provider()
    except Exception as error:
        raise BridgeError(
            f"OTEL_PYTHON_METER_PROVIDER names a global provider that cannot be made ({error!r});"
            " correct it, or pass a provider"
        ) from error
