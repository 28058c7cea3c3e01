"""
Make bridges beside OpenTelemetry's global provider, and print what they export and refuse: WAY.

"early" makes a bridge before the provider is set, "second" makes one that turns out to be the
second, and "in turn" makes one after another.
"""

import sys

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

import papyra
import papyra_otel

way = sys.argv[1]
reader = InMemoryMetricReader()
real = MeterProvider([reader])
store = papyra.MemoryBackend()


def exported() -> tuple[str, list[float]]:
    data = reader.get_metrics_data()
    assert data is not None
    first = data.resource_metrics[0].scope_metrics[0].metrics[0]
    points = first.data.data_points
    return first.name, [point.value for point in points if isinstance(point, NumberDataPoint)]


if way == "early":
    bridge = papyra_otel.MetricsBridge()
    bridge.add(store)
    metrics.set_meter_provider(real)
    for arguments in [(), (real,), (metrics.get_meter_provider(),)]:
        try:
            papyra_otel.MetricsBridge(*arguments)
        except papyra_otel.BridgeError:
            print("refused")
    bridge.add(store)
    store.append(papyra.Record("event"))
    print(exported())
elif way == "second":
    first, second = papyra_otel.MetricsBridge(real), papyra_otel.MetricsBridge()
    metrics.set_meter_provider(real)
    try:
        second.add(store)
    except papyra_otel.BridgeError:
        print("refused")
elif way == "in turn":
    for step in range(4):
        if step == 1:
            metrics.set_meter_provider(real)
        with papyra_otel.MetricsBridge(*([real] if step == 3 else [])) as bridge:
            bridge.add(store)
            store.append(papyra.Record("event"))
        if step:
            print(exported()[1])
