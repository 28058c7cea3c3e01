"""
Serve the counters to Prometheus over HTTP.

`serve` is enough for most programs. A program with an OpenTelemetry of its own gives its MeterProvider a
`GuardedReader`, and makes a `papyra_otel.MetricsBridge` on that provider.
"""

import re
from collections.abc import Iterable
from errno import EACCES, EADDRINUSE, EINVAL
from threading import Lock, Thread, get_ident
from typing import Any, Final, Self

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import MeterProvider as APIMeterProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from papyra.metrics.exportable import Countable
from papyra.system.forks import forget_in_child
from papyra_otel.bridge import MetricsBridge
from papyra_otel.errors import AddressError
from papyra_otel.listener import Listener, listen

#: Names and addresses of hosts; "" is all addresses.
_HOST: Final = re.compile(r"[\w.-]*|[0-9A-Fa-f:.]+(?:%[\w.-]+)?")
#: Remedies for an address that is refused, by the error's number.
_REMEDIES: Final = {
    EADDRINUSE: "another program listens there; take another port, or 0 for any free one",
    EACCES: "take a port from 1024 on, or 0 for any free one",
}


class GuardedReader(PrometheusMetricReader):
    """
    OpenTelemetry's Prometheus reader without three of its faults.

    After a `force_flush`, or beside another scrape, the stock one answers with several samples of
    one series. Prometheus keeps the oldest of them (open-telemetry/opentelemetry-python, #874 and
    #2500). Its second shutdown raises `KeyError`.

    Args:
        registry: Where to register; not to be shared with another reader.
        options: What the stock reader takes.
    """

    def __init__(self, *, registry: CollectorRegistry, **options: Any) -> None:  # noqa: ANN401  the stock reader's
        # The stock collector is in a registry of its own, which only `_Scrapes` asks.
        self._scrapes = _Scrapes()
        super().__init__(registry=self._scrapes.inner, **options)
        self._outer = registry
        self._ended = False
        registry.register(self._scrapes)
        # A registry looks up series that are asked for by name (``name[]``) among collectors that named
        # their series when they registered. A reader cannot name them, and only some registries ask the others.
        if self._scrapes not in registry._collectors_without_names:
            registry._collectors_without_names.append(self._scrapes)

    def _receive_metrics(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,
        **kwargs: Any,  # noqa: ANN401  the stock reader's
    ) -> None:
        # Otherwise the samples of a flush would wait, and the next scrape would show them again.
        if self._scrapes.thread == get_ident():
            super()._receive_metrics(metrics_data, timeout_millis, **kwargs)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:  # noqa: ANN401  the stock reader's
        """Leave the registry; calling it again does nothing."""
        if not self._ended:
            self._ended = True
            self._outer.unregister(self._scrapes)
            super().shutdown(timeout_millis, **kwargs)


class _Scrapes:
    """
    Let one scrape at a time through to the stock collector.

    Attributes:
        inner: The registry of the stock collector.
        thread: The id of the thread that is scraping now, or None.
    """

    def __init__(self) -> None:
        self.inner = CollectorRegistry()
        self.thread: int | None = None
        self._lock = Lock()
        forget_in_child(self)

    def describe(self) -> Iterable[Metric]:
        """Name no series; otherwise some registries collect to find out, before there are any."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return one sample of each series."""
        with self._lock:
            self.thread = get_ident()
            try:
                return list(self.inner.collect())
            finally:
                self.thread = None

    def _after_fork(self) -> None:
        self._lock = Lock()
        if self.thread != get_ident():  # it does not live on here; a new thread may get its id
            self.thread = None


class _OwnReader(GuardedReader):
    """A reader that never adds series of the SDK's own, whatever the environment says."""

    def _set_meter_provider(self, meter_provider: APIMeterProvider) -> None:
        """Do not record how long a collection took (OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED)."""


class _OwnProvider(MeterProvider):
    """
    A provider that ignores the environment.

    Its variables, such as the one that disables the SDK, configure the program's own SDK. These numbers
    were asked for by a call, and a page without them would look as if nothing went wrong.
    """

    def __init__(self, reader: GuardedReader) -> None:
        super().__init__(
            [reader],
            resource=Resource.get_empty(),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,  # it has no receiver to push to
        )
        self._disabled = False  # OTEL_SDK_DISABLED


class PrometheusServer:
    """
    Serves the counters of stores until it is closed; `serve` makes one.

    Attributes:
        port: The port that it listens on.
        url: The URL to scrape.
        bridge: The bridge to add more stores to, as in ``server.bridge.add(store, name="orders")``.
    """

    def __init__(self, host: str, port: int) -> None:
        # target_info would describe this provider, which knows nothing of the program. The SDK's version in it,
        # and in scope labels, would make new series with every update.
        registry = CollectorRegistry()
        reader = _OwnReader(registry=registry, disable_target_info=True, scope_info_enabled=False)
        self._provider = _OwnProvider(reader)
        self.bridge: MetricsBridge = MetricsBridge(self._provider)
        self._listener = _listen(host, port, registry)
        self.port: int = self._listener.server_address[1]
        self.url: str = _url(host, self.port)
        self._closed = False
        self._thread = Thread(
            target=self._listener.serve,
            name=f"papyra-prometheus-{self.port}",
            daemon=True,  # a program that forgets to close it can end all the same
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """
        Stop serving and give the port back; closing again does nothing.

        In a thread that serves, where the garbage collector may run a finalizer, it waits for nothing:
        the port is free a moment later.
        """
        if self._closed:
            return
        self._closed = True
        if self._listener.is_served_here() and self._thread.is_alive():
            # Otherwise the thread would wait for itself, or for a lock that it holds.
            self._listener.close_soon(self._provider.shutdown)
            return
        if self._thread.is_alive():  # it is not in a forked child, and would not answer there
            self._listener.shutdown()
            self._thread.join()
        self._listener.server_close()
        self._provider.shutdown()


def serve(*stores: Countable, host: str = "127.0.0.1", port: int = 9464) -> PrometheusServer:
    """
    Serve the counters of *stores* to Prometheus, from a thread of its own.

    A program that forks opens its stores, and serves them, in each child: the child has neither
    the thread nor the port.

    Args:
        stores: More can be added later; see `PrometheusServer.bridge`.
        host: An address of this machine; 0.0.0.0 is all of them, readable from other machines.
        port: 0 is any free one.

    Raises:
        AddressError: if the address cannot be listened on.
    """
    server = PrometheusServer(host, port)
    try:
        for store in stores:
            server.bridge.add(store)
    except BaseException:
        server.close()
        raise
    return server


def _listen(host: str, port: int, registry: CollectorRegistry) -> Listener:
    if not 0 <= port <= 65535:  # noqa: PLR2004  the ports that there are
        raise ValueError(f"port must be 0 to 65535, got {port}")
    if not _HOST.fullmatch(host):  # a URL, perhaps, with a password in it
        raise AddressError(
            EINVAL, "host must be a name or an address of this machine", _url("HOST", port)
        )
    try:
        return listen(host, port, registry)
    except UnicodeError:
        wrong = "host must be a name that can be looked up, of labels of at most 63 characters"
        raise AddressError(EINVAL, wrong, _url(host, port)) from None
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "host must be an address of this machine")
        raise AddressError(
            error.errno, f"{error.strerror or error}; {remedy}", _url(host, port)
        ) from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"
