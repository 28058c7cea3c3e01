"""The sum over all programs on all hosts, as it is exported: exact, also while the server is away."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import exported
from redis_kind import Redis
from redis_proxy import Proxy
from stores import counts, event

from papyra import open_counters
from papyra.exposition import exposition
from papyra_otel import MetricsBridge


def test_the_sum_is_exported_and_stays_while_the_server_is_away(
    kind: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    reader = InMemoryMetricReader()
    bridge = MetricsBridge(MeterProvider([reader], shutdown_on_exit=False))
    one, other = kind.open(), kind.open()
    with Proxy(kind.server.port) as proxy:
        way = kind.url.replace(f":{kind.server.port}/", f":{proxy.port}/") + "&timeout=0.2"
        bridge.add(open_counters(way))
        bridge.add(open_counters(way))
        key = "redis", one.name
        assert exported(reader, scope="store") == {key: counts()}  # nothing is counted yet
        one.append_many([event(1), event(2)])
        other.append(event(3))
        assert exported(reader, scope="store") == {key: counts(records_written=3)}
        reported = len(caplog.messages)
    one.append(event(4))
    for _ in range(2):
        assert exported(reader, scope="store") == {key: counts(records_written=3)}
    assert len(caplog.messages) == reported + 1
    assert "cannot be read; the last ones stay exported" in caplog.messages[-1]
    bridge.remove(open_counters(way))
    text = exposition(open_counters(kind.url))
    assert f'papyra_store_name="{one.name}",papyra_scope="store"}} 4\n' in text
    one.close()
    other.close()
