"""One MeterProvider a test, with a bridge and two readers."""

from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from otel.readings import Deltas
from stores import FILE_KINDS, FileKind

from papyra_otel import MetricsBridge


@pytest.fixture
def cumulative() -> InMemoryMetricReader:
    """A reader that is told totals, as Prometheus is."""
    return InMemoryMetricReader()


@pytest.fixture
def delta_reader() -> InMemoryMetricReader:
    """A reader that is told differences, as many OTLP receivers are."""
    return InMemoryMetricReader({ObservableCounter: AggregationTemporality.DELTA})


@pytest.fixture
def deltas(delta_reader: InMemoryMetricReader) -> Deltas:
    """What the delta reader was told, added up."""
    return Deltas(delta_reader)


@pytest.fixture
def provider(cumulative: InMemoryMetricReader, delta_reader: InMemoryMetricReader) -> MeterProvider:
    """The provider that both read from."""
    return MeterProvider([cumulative, delta_reader], shutdown_on_exit=False)


@pytest.fixture
def bridge(provider: MeterProvider) -> MetricsBridge:
    """The bridge to both."""
    return MetricsBridge(provider)


@pytest.fixture(params=list(FILE_KINDS))
def file_kind(request: pytest.FixtureRequest, tmp_path: Path) -> FileKind:
    """One kind of store made of files, in a directory of the test's own."""
    return FILE_KINDS[request.param](tmp_path)
