"""Serve a page, then export through a provider of the program's own, and print what both show."""

import logging
import urllib.request

import papyra
import papyra_otel

logging.basicConfig()
from opentelemetry import metrics  # noqa: E402
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402

store = papyra.open_store("memory:")
store.append(papyra.Record("event"))
served: list[str] = []
with papyra_otel.prometheus.serve(store, port=0) as server:
    for _ in range(2):  # what the SDK measures of a scrape comes with the next one
        with urllib.request.urlopen(server.url) as answer:
            served = [line for line in answer.read().decode().splitlines() if line[0] != "#"]
print(len(served), served[0])

reader = InMemoryMetricReader()
mine = MeterProvider(
    [reader], resource=Resource.get_empty(), exemplar_filter=AlwaysOffExemplarFilter()
)
bridge = papyra_otel.MetricsBridge(mine)
bridge.add(store)
data = reader.get_metrics_data()
scopes = data.resource_metrics[0].scope_metrics if data else []
own = [m for scope in scopes if scope.scope.name == "papyra_otel" for m in scope.metrics]
points = [point for m in own[:1] for point in m.data.data_points]
print(len(own), [point.value for point in points if isinstance(point, NumberDataPoint)])
bridge.close()
papyra_otel.MetricsBridge(mine).add(store)

metrics.set_meter_provider(mine)
print(metrics.get_meter_provider() is mine)
