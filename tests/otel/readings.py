"""What an OpenTelemetry reader is told, as plain data; and child processes that tell something."""

import os
import pickle
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from children import run_program
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric, NumberDataPoint
from prometheus_client.parser import text_string_to_metric_families
from stores import counts

#: Kind and name of a store, and the values of its counters by name.
Exported = dict[tuple[str, str], dict[str, int]]

PREFIX = "papyra.persistence."


def metrics(reader: InMemoryMetricReader) -> list[Metric]:
    """Return all that one collection of *reader* gives."""
    data = reader.get_metrics_data()
    resources = data.resource_metrics if data else []
    return [m for resource in resources for scope in resource.scope_metrics for m in scope.metrics]


def exported(reader: InMemoryMetricReader, scope: str | None = None) -> Exported:
    """Return the counters of *scope* that one collection of *reader* gives."""
    found: Exported = {}
    for metric in metrics(reader):
        for point in metric.data.data_points:
            assert isinstance(point, NumberDataPoint)
            assert isinstance(point.value, int)
            labels = dict(point.attributes or {})
            key = str(labels.pop("papyra.backend.kind")), str(labels.pop("papyra.store.name"))
            if labels.pop("papyra.scope", None) != scope:
                continue
            assert labels == {}
            store = found.setdefault(key, {})
            name = metric.name.removeprefix(PREFIX)
            assert name not in store
            store[name] = point.value
    return found


class Deltas:
    """The sum of all that a delta reader is told, none of it negative."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader
        self._sums: dict[tuple[str, str], Counter[str]] = {}

    def collect(self) -> Exported:
        """Collect once more and return the sums."""
        for key, deltas in exported(self._reader).items():
            assert min(deltas.values()) >= 0
            self._sums.setdefault(key, Counter()).update(deltas)
        return {key: dict(sums) for key, sums in self._sums.items()}


def memory_counts(**expected: int) -> dict[str, int]:
    """Return all that a store in memory exports: it has no compactions to count."""
    whole = counts(**expected)
    del whole["compactions_triggered"], whole["compaction_errors"]
    return whole


def samples(text: str) -> list[Any]:
    """Return the families of *text* with their samples, in an order of no meaning."""
    return sorted(
        (
            f.name,
            f.documentation,
            f.type,
            sorted((s.name, sorted(s.labels.items()), s.value) for s in f.samples),
        )
        for f in text_string_to_metric_families(text)
    )


def in_child(function: Callable[[], Any], *, beside: Callable[[], object] = int) -> Any:
    """
    Return what *function* returns in a forked child, which does not outlive the test.

    *beside* runs here meanwhile.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, pickle.dumps(function()))
        finally:
            os._exit(0)
    os.close(writer)
    try:
        beside()
        with os.fdopen(reader, "rb") as pipe:
            return pickle.loads(pipe.read())
    finally:
        os.kill(child, signal.SIGKILL)  # it has told, or hangs
        os.waitpid(child, 0)


def run_strictly(name: str, *arguments: str) -> str:
    """Return what `tests/programs/NAME.py` prints where every warning is an error."""
    done = run_program(name, *arguments, options=("-X", "dev", "-W", "error"), check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
