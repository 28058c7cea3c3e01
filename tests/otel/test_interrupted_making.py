"""A bridge whose making was interrupted, or failed: the next one on that provider exports everything."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import Meter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import exported, run_strictly
from reentry import interrupted
from stores import counts, event

from papyra import COUNTERS, JsonBackend
from papyra_otel import MetricsBridge


def stop() -> None:
    raise KeyboardInterrupt


def assert_exports_all(
    provider: api.MeterProvider, reader: InMemoryMetricReader, tmp_path: Path
) -> None:
    """Assert that a bridge can be made, and has each counter once."""
    with MetricsBridge(provider) as bridge, JsonBackend(tmp_path / "store.ndjson") as store:
        bridge.add(store, name="store")
        before = exported(reader)[store.kind, "store"]["records_written"]
        store.append(event())
        written = counts(records_written=before + 1)
        assert exported(reader) == {(store.kind, "store"): written}


@pytest.mark.parametrize("number", range(1, len(COUNTERS) + 1))
@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_fails_at_an_instrument_keeps_none_from_the_next_bridge(
    provider: MeterProvider,
    cumulative: InMemoryMetricReader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    *,
    is_made: bool,
    error: type[BaseException],
) -> None:
    create: Callable[..., Any] = Meter.create_observable_counter
    calls: list[str] = []

    def failing(self: Meter, name: str, **more: Any) -> Any:
        calls.append(name)
        if len(calls) == number and not is_made:
            raise error
        made = create(self, name, **more)
        if len(calls) == number:
            raise error
        return made

    monkeypatch.setattr(Meter, "create_observable_counter", failing)
    with pytest.raises(error):
        MetricsBridge(provider)
    assert_exports_all(provider, cumulative, tmp_path)
    assert len(calls) == len(COUNTERS) + 1  # one of them was tried twice
    assert caplog.messages == []


def test_ctrl_c_leaves_no_instrument_registered_by_half(
    provider: MeterProvider,
    cumulative: InMemoryMetricReader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenTelemetry takes the name first, and then what it asks at a collection."""
    register = Meter._register_instrument
    is_interrupted = threading.Event()
    signals: list[int] = []

    def interrupting(self: Meter, *arguments: Any) -> Any:
        status = register(self, *arguments)
        if not signals:
            signals.append(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            is_interrupted.wait(10)
        return status

    monkeypatch.setattr(Meter, "_register_instrument", interrupting)
    with pytest.raises(KeyboardInterrupt):
        MetricsBridge(provider)
    is_interrupted.set()
    assert_exports_all(provider, cumulative, tmp_path)


def make(provider: MeterProvider, made: list[MetricsBridge]) -> None:
    made.append(MetricsBridge(provider))


@pytest.mark.parametrize("is_old", [True, False])
def test_an_interrupt_anywhere_in_its_making_keeps_no_bridge_from_the_provider(
    tmp_path: Path, *, is_old: bool
) -> None:
    at, is_whole = 0, False
    while not is_whole:
        at += 1
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        if is_old:  # it has its instruments already
            MetricsBridge(provider).close()

        made: list[MetricsBridge] = []
        try:
            is_whole = not interrupted(partial(make, provider, made), at, stop)
        except KeyboardInterrupt:
            assert made == []
        else:
            made[0].close()
        assert_exports_all(provider, reader, tmp_path)
    assert at > 10


def test_where_no_thread_can_be_started_the_caller_makes_the_instruments(
    provider: MeterProvider,
    cumulative: InMemoryMetricReader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert_exports_all(provider, cumulative, tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_makes_a_bridge_though_another_thread_of_its_parent_was_making_one() -> None:
    assert run_strictly("forked_bridge") == "7\n"
