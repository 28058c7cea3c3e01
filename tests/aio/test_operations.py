"""The operations of an AsyncBackend: those of its store, counted once."""

import asyncio
import copy
import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from aio.gated import Run, until
from stores import Kind, counts, event, led_by_another_thread, numbers, raiser

from papyra import (
    CorruptRecordError,
    MemoryBackend,
    PersistenceBackend,
    Record,
    RecordError,
    Retention,
    StoreClosedError,
    StoreLockedError,
)
from papyra.aio import AsyncBackend, open_store


@pytest.fixture
def backend(kind: Kind) -> Iterator[PersistenceBackend]:
    with kind.open() as store:
        yield store
        if not store.closed:
            assert store.scan().clean


def test_what_is_appended_is_read(run: Run, backend: PersistenceBackend) -> None:
    async def main() -> None:
        store = AsyncBackend(backend)
        first = await store.append(event(0))
        more = await store.append_many(event(n) for n in range(1, 200))

        assert await store.append_many([]) == []
        assert [record.id for record in await store.read()] == [first, *more]
        assert numbers([record async for record in store.records()]) == list(range(200))
        assert numbers(await store.read(kind="event", since=0.0, limit=2)) == [198, 199]
        assert numbers([record async for record in store.records(limit=2)]) == [198, 199]
        assert (await store.scan()).records == 200
        assert (await store.recover()).clean
        assert (await store.compact()).kept == 200
        await store.aclose()

    run(main())
    assert backend.closed
    assert backend.metrics.snapshot() == counts(
        records_written=200,
        records_read=404,
        scan_operations=2,
        recovery_attempts=1,
        compactions_triggered=1 if "compactions_triggered" in backend.metrics.supported else 0,
    )


def test_it_shows_what_its_store_is(run: Run, kind: Kind) -> None:
    async def main() -> None:
        store = kind.open()
        async with AsyncBackend(store) as wrapped:
            assert wrapped.store is store
            assert wrapped.metrics is store.metrics
            assert (wrapped.kind, wrapped.name) == (store.kind, store.name)
            assert repr(wrapped) == f"<AsyncBackend of {store!r}>"
            assert not wrapped.closed
        assert wrapped.closed
        await wrapped.aclose()

    run(main())
    with pytest.raises(TypeError, match=r"must be a papyra\.PersistenceBackend, got"):
        AsyncBackend("memory:")  # type: ignore[arg-type]  # as someone might


def test_a_url_opens_a_store(run: Run) -> None:
    async def main() -> None:
        retention = Retention(max_records=3)
        async with open_store("memory:", retention=retention, lock_timeout=1.0) as store:
            await store.append_many(event(n) for n in range(5))
            assert numbers(await store.read()) == [2, 3, 4]

    run(main())


def test_callers_at_once_are_written_each_once_and_in_order(run: Run, kind: Kind) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open(**kind.busy)) as store:

            async def caller(number: int) -> list[str]:
                return [await store.append(event(100 * number + n)) for n in range(100)]

            ids = await asyncio.gather(*map(caller, range(20)))
            records = await store.read()
            assert sorted(numbers(records)) == list(range(2000))
            for number, own in enumerate(ids):
                mine = [record for record in records if record.data["n"] // 100 == number]
                assert [record.id for record in mine] == own
            assert store.metrics.snapshot() == counts(records_written=2000, records_read=2000)

    run(main())


def test_what_one_task_starts_in_a_row_is_stored_in_a_row(run: Run, kind: Kind) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open(**kind.busy)) as store, asyncio.TaskGroup() as group:
            for n in range(1500):
                group.create_task(store.append(event(n)))
                if n % 100 == 0:
                    await asyncio.sleep(0)
        with kind.open(**kind.busy) as stored:
            if kind.outlives_object:
                assert numbers(stored.read()) == list(range(1500))

    run(main())


def test_a_record_that_cannot_be_stored_fails_its_own_caller_alone(
    run: Run, backend: PersistenceBackend
) -> None:
    def bad() -> Iterator[Record]:
        yield event(7)
        raise ZeroDivisionError

    async def main() -> None:
        store = AsyncBackend(backend)
        calls: list[Any] = [
            store.append(event(n, bad={2}) if n == 2 else event(n)) for n in range(5)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [str, str, RecordError, str, str]
        with pytest.raises(RecordError):
            await store.append_many([event(5), event(6, bad=float("nan"))])
        with pytest.raises(ZeroDivisionError):
            await store.append_many(bad())
        with pytest.raises(TypeError):
            await store.append_many(5)  # type: ignore[arg-type]  # as someone might
        assert numbers(await store.read()) == [0, 1, 3, 4]
        await store.aclose()

    run(main())
    assert backend.metrics.snapshot() == counts(records_written=4, write_errors=4, records_read=4)


def test_every_caller_of_a_failed_write_is_a_write_error(
    run: Run, backend: PersistenceBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        store = AsyncBackend(backend)
        await store.append(event(0))
        with monkeypatch.context() as patch:
            patch.setattr(backend, "_append", raiser(OSError(28, "no space")))
            calls = [store.append(event(n)) for n in range(30)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {OSError}
        assert numbers(await store.read()) == [0]
        await store.aclose()

    run(main())
    assert backend.metrics.snapshot() == counts(records_written=1, write_errors=30, records_read=1)


def test_a_store_that_cannot_be_made_ready_fails_every_caller(
    run: Run, backend: PersistenceBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        store = AsyncBackend(backend)
        with monkeypatch.context() as patch:
            patch.setattr(backend, "_prepared", False)
            patch.setattr(backend, "_prepare", raiser(OSError(5, "input/output error")))
            calls = [store.append(event(n)) for n in range(3)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {OSError}
        await store.aclose()

    run(main())
    assert backend.metrics.snapshot() == counts(write_errors=3)


def test_a_closed_store_refuses_and_counts(run: Run, kind: Kind) -> None:
    async def main() -> None:
        store = AsyncBackend(kind.open())
        await store.append(event(0))
        await store.aclose()
        await store.aclose()
        for call in (store.append(event(1)), store.append_many([event(2)]), store.read()):
            with pytest.raises(StoreClosedError):
                await call
        with pytest.raises(StoreClosedError):
            store.records()
        assert store.metrics.snapshot() == counts(records_written=1, write_errors=2, read_errors=2)
        # It would be left behind: who has closed the store does not close it again.
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    run(main())


@pytest.mark.parametrize("lock_timeout", [0, 5])
def test_a_store_that_is_free_needs_no_patience(run: Run, kind: Kind, lock_timeout: float) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open(lock_timeout=lock_timeout)) as store:
            await asyncio.gather(*(store.append(event(n)) for n in range(50)))
            assert store.metrics.snapshot() == counts(records_written=50)

    run(main())


def test_a_store_that_stays_locked_fails_its_callers_in_time(run: Run, kind: Kind) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open(lock_timeout=0.05)) as store:
            await store.append(event(0))
            with led_by_another_thread(store.store):
                calls = [store.append(event(n)) for n in range(5)]
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreLockedError}
            assert store.metrics.snapshot() == counts(records_written=1, write_errors=5)

    run(main())


def test_a_stream_counts_what_was_taken_and_not_what_was_read_ahead(
    run: Run, backend: PersistenceBackend
) -> None:
    async def main() -> None:
        store = AsyncBackend(backend)
        await store.append_many(event(n) for n in range(50))
        async with aclosing(store.records()) as records:
            taken = [await anext(records) for _ in range(3)]
        assert numbers(taken) == [0, 1, 2]
        assert store.metrics.snapshot()["records_read"] == 3

        async for _ in store.records():
            break  # and left to the garbage collector
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert store.metrics.snapshot() == counts(records_written=50, records_read=4)
        await store.aclose()

    run(main())


def test_damage_comes_after_the_records_before_it(run: Run, kind: Kind) -> None:
    async def main() -> None:
        store = AsyncBackend(kind.open())
        await store.append_many(event(n) for n in range(10))
        kind.put(store.store, b"no record\n")

        seen: list[Record] = []

        async def look() -> None:
            async for record in store.records(strict=True):
                seen.append(record)  # noqa: PERF401  what was seen before the error

        with pytest.raises(CorruptRecordError):
            await look()
        assert numbers(seen) == list(range(10))
        assert store.metrics.snapshot() == counts(
            records_written=10, read_errors=1, anomaly_detected=1
        )
        assert numbers([r async for r in store.records()]) == list(range(10))
        with pytest.raises(ValueError, match="limit"):
            store.records(limit=-1)
        assert store.metrics.snapshot() == counts(
            records_written=10, records_read=10, read_errors=2, anomaly_detected=2
        )
        report = await store.recover()
        assert (report.found, (await store.scan()).clean) == (1, True)
        await store.aclose()

    run(main())


def test_what_a_recovery_saved_is_listed_and_put_back(run: Run, tmp_path: Any) -> None:
    async def main() -> None:
        path = tmp_path / "store.ndjson"
        async with open_store(f"json:{path}") as store:
            await store.append(event(0))
            before = path.read_bytes() + b"no record\n"
            path.write_bytes(before)
            assert (await store.recover(dry_run=True)).found == 1
            await store.recover()
            (saved,) = await store.quarantined()
            await store.recover(undo=saved.id)
            assert path.read_bytes() == before

    run(main())


def test_a_stream_of_a_store_that_was_closed_meanwhile_is_a_read_error(
    run: Run, kind: Kind
) -> None:
    async def main() -> None:
        store = AsyncBackend(kind.open())
        await store.append(event(0))
        records = store.records()
        await store.aclose()
        with pytest.raises(StoreClosedError):
            await anext(records)
        assert store.metrics.snapshot() == counts(records_written=1, read_errors=1)

    run(main())


def test_a_stream_is_read_in_another_thread(run: Run) -> None:
    """A store that reads slowly: the loop goes round while it does."""

    class Slow(MemoryBackend):
        def _lines_of(self, held: list[bytes], end: int, *, newest_first: bool) -> Any:
            here.append(threading.current_thread())
            reading.set()
            go.wait()
            return super()._lines_of(held, end, newest_first=newest_first)

    here: list[threading.Thread] = []
    reading, go = threading.Event(), threading.Event()

    async def read(store: AsyncBackend) -> list[Record]:
        return [record async for record in store.records()]

    async def main() -> None:
        async with AsyncBackend(Slow()) as store:
            await store.append(event(0))
            task = asyncio.create_task(read(store))
            await until(reading.is_set)
            go.set()
            assert numbers(await task) == [0]
            assert here[0] is not threading.current_thread()

    run(main())


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_one_that_is_to_be_copied_says_what_to_do_instead(
    backend: PersistenceBackend, way: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError) as raised:
        way(AsyncBackend(backend))
    assert str(raised.value) == (
        f"{backend.source}: a store object cannot be pickled or copied, since its locks and"
        " descriptors are its own; pass its URL or path, and open it there"
    )
