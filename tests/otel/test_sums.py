"""The sum over all programs of one store: read from its files, living and gone, and exported."""

import fcntl
import shutil

import pytest
from children import Child
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel.readings import Exported, exported, samples
from otel.test_guarded_reader import guarded
from prometheus_client import generate_latest
from stores import FileKind, counts, event

from papyra import open_counters
from papyra.exposition import exposition
from papyra_otel import MetricsBridge


def sums(reader: InMemoryMetricReader) -> Exported:
    """Return the sums that one collection of *reader* gives."""
    return exported(reader, scope="store")


def test_programs_that_come_go_and_are_killed_are_exported_as_one_sum(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, file_kind: FileKind
) -> None:
    with file_kind.open() as mine:
        mine.append(event())
        bridge.add(open_counters(file_kind.url))
        key = file_kind.name, "store"
        for turn in range(1, 4):
            with Child() as child:
                child.do(f"store = open_store({file_kind.url!r})")
                child.do("store.append_many([Record('event')] * 2)")
                assert sums(cumulative) == {key: counts(records_written=1 + 2 * turn)}
                child.kill()
            open_counters(file_kind.url).reset()
            assert sums(cumulative) == {key: counts(records_written=1 + 2 * turn)}


def test_a_programs_own_counts_and_the_sum_are_two_series(
    bridge: MetricsBridge, cumulative: InMemoryMetricReader, file_kind: FileKind
) -> None:
    with file_kind.open() as mine, file_kind.open() as other:
        for store in (mine, other):
            store.append(event())
        bridge.add(mine)
        bridge.add(open_counters(file_kind.url))
        key = file_kind.name, "store"
        assert exported(cumulative) == {key: counts(records_written=1)}
        assert sums(cumulative) == {key: counts(records_written=2)}


def test_a_sum_that_cannot_be_read_stays_as_it_was_and_is_told_of_once(
    bridge: MetricsBridge,
    cumulative: InMemoryMetricReader,
    file_kind: FileKind,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is published yet; later somebody has it locked."""
    file_kind.path.touch()
    key = file_kind.name, "store"
    bridge.add(open_counters(f"{file_kind.url}?lock_timeout=0"))
    for _ in range(2):
        assert sums(cumulative) == {key: counts()}
    assert len(caplog.messages) == 1
    assert "cannot be read; the last ones stay exported: NotPublishedError" in caplog.text
    with file_kind.open() as store:
        store.append(event(1))
        assert sums(cumulative) == {key: counts(records_written=1)}
        store.append(event(2))
        with open(f"{file_kind.path}.metrics/lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for _ in range(2):
                assert sums(cumulative) == {key: counts(records_written=1)}
        assert len(caplog.messages) == 2
        assert "StoreLockedError" in caplog.messages[1]
        assert sums(cumulative) == {key: counts(records_written=2)}


def test_a_sum_that_falls_is_not_exported_again_and_rises_from_there(
    bridge: MetricsBridge,
    cumulative: InMemoryMetricReader,
    file_kind: FileKind,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As where the counters are removed, or a power cut sets them back a little."""
    key = file_kind.name, "store"
    file_kind.path.touch()
    bridge.add(open_counters(file_kind.url))
    with file_kind.open() as store:
        store.append_many([event(n) for n in range(10)])
        assert sums(cumulative) == {key: counts(records_written=10)}
    shutil.rmtree(f"{file_kind.path}.metrics")
    with file_kind.open() as store:
        store.append_many([event(1), event(2), event(3)])
        assert sums(cumulative) == {key: counts(records_written=10)}
        assert caplog.messages[-1].startswith(f"the counters of all programs of {'store'!r} fell")
        reported = len(caplog.messages)
        store.append(event(4))
        assert sums(cumulative) == {key: counts(records_written=11)}
        assert len(caplog.messages) == reported


def test_a_sum_is_known_again_in_another_object(
    provider: MeterProvider, cumulative: InMemoryMetricReader, file_kind: FileKind
) -> None:
    key = file_kind.name, "store"
    with file_kind.open() as store:
        for turn in range(1, 4):
            store.append(event(turn))
            with MetricsBridge(provider) as bridge:
                for _ in range(2):
                    bridge.add(open_counters(file_kind.url))
                assert sums(cumulative) == {key: counts(records_written=turn)}
                bridge.remove(open_counters(file_kind.url))
                bridge.remove(open_counters(file_kind.url))


def test_a_scrape_says_what_the_text_says(file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event())
        registry, _, _, _ = guarded(open_counters(file_kind.url))
        assert samples(generate_latest(registry).decode()) == samples(
            exposition(open_counters(file_kind.url))
        )


def test_the_sum_of_one_moment_is_refused(bridge: MetricsBridge, file_kind: FileKind) -> None:
    with file_kind.open() as store:
        store.append(event())
        with pytest.raises(TypeError, match="is the sum of one moment, which does not move"):
            bridge.add(open_counters(file_kind.url).read())
