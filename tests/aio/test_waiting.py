"""What waits, waits beside the loop; what need not wait does not leave it."""

import asyncio
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aio.gated import Gated, Run, turns, until
from children import Child
from stores import FILE_KINDS, FileKind, counts, event, numbers

from papyra import Anomaly, MemoryBackend, PersistenceBackend, Record, Retention
from papyra.aio import AsyncBackend, open_store
from papyra.aio.loop_writer import MOST_WAITING, Lane, Writer
from papyra.backends.files import active_file, rotating
from papyra.backends.files import store as files
from papyra.format.codec import encode


@pytest.fixture(params=list(FILE_KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> FileKind:
    return FILE_KINDS[request.param](tmp_path)


class Noted:
    """Whether each append of *store* was written on the thread that made this, the loop's."""

    def __init__(self, store: PersistenceBackend, patch: pytest.MonkeyPatch) -> None:
        self.here: list[bool] = []
        loops, append = threading.current_thread(), store._append

        def noted(lines: Sequence[bytes], *, deadline: float, may_wait: bool) -> list[Anomaly]:
            findings = append(
                lines, deadline=deadline, may_wait=may_wait
            )  # which may have had to wait, and raised
            self.here.append(threading.current_thread() is loops)
            return findings

        patch.setattr(store, "_append", noted)


def test_an_append_that_need_not_wait_is_written_on_the_loop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_store("memory:") as store:
            noted = Noted(store.store, monkeypatch)
            await store.append(event(0))
            await store.append_many([event(1), event(2)])
            assert noted.here == [True, True]

    run(main())


def test_the_first_append_to_files_makes_them_in_a_thread(
    run: Run, kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open()) as store:
            noted = Noted(store.store, monkeypatch)
            for n in range(4):
                await store.append(event(n))
            assert noted.here == [False, True, True, True]

    run(main())


def test_what_is_synced_at_once_is_written_in_a_thread(
    run: Run, kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open(sync="always")) as store:
            noted = Noted(store.store, monkeypatch)
            for n in range(3):
                await store.append(event(n))
            assert noted.here == [False] * 3

    run(main())


def test_what_is_large_is_written_in_a_thread(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with open_store("memory:") as store:
            noted = Noted(store.store, monkeypatch)
            await store.append(event(0, text="x" * 70_000))
            await store.append(event(1))
            assert noted.here == [False, True]

    run(main())


def test_a_store_in_memory_is_trimmed_in_a_thread(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        store = AsyncBackend(MemoryBackend(retention=Retention(max_records=3)))
        noted = Noted(store.store, monkeypatch)
        for n in range(1001):
            await store.append(event(n))
        assert noted.here == [True] * 1000 + [False]
        assert numbers(await store.read()) == [998, 999, 1000]
        await store.aclose()

    run(main())


@pytest.fixture
def only_beside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuse whatever waits for a disk or a lock in the thread of the loop; note what waited."""
    loops = threading.current_thread()
    waited: list[str] = []

    def watch(module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def checked_store(*arguments: Any, **options: Any) -> Any:
            assert threading.current_thread() is not loops, name
            waited.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, checked_store)

    watch(active_file, "sync_directory")
    watch(active_file, "sync_data")
    watch(active_file, "lock")
    watch(active_file, "last_line")
    watch(files, "sync_data")
    watch(files, "publish")
    watch(files, "unpublish")
    watch(files, "check_ownership")
    watch(rotating, "FileLock")
    return waited


def test_files_are_opened_rotated_and_synced_beside_the_loop(
    run: Run, kind: FileKind, only_beside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_file, "_LOOK_EVERY", 0.0)

    async def main() -> None:
        async with AsyncBackend(kind.open(retention=Retention(max_records=50))) as store:
            for n in range(100):
                await store.append(event(n))
            with Child() as other:  # it replaces the files
                other.do(f"open_store('{kind.url}?max_records=50').compact().kept")
            await store.append(event(100))
            kind.put(store.store, b'{"torn')
            await store.append(event(101))
            os.rename(kind.path, f"{kind.path}.000000000999")
            os.unlink(f"{kind.path}.lock")
            await store.append(event(102))
            await store.compact()
            await store.append(event(103))
            if kind.name == "rotating":
                assert numbers(await store.read())[-1] == 103
        assert "last_line" in only_beside
        assert "sync_directory" in only_beside

    run(main())


def test_the_loop_goes_on_while_another_process_holds_the_store(run: Run, kind: FileKind) -> None:
    async def main() -> None:
        async with AsyncBackend(kind.open(lock_timeout=60.0)) as store:
            await store.append(event(0))
            with open(f"{kind.path}.lock", "rb") as lock:  # noqa: ASYNC230  opened at once
                fcntl.flock(lock, fcntl.LOCK_EX)
                tasks = [asyncio.create_task(store.append(event(n))) for n in range(1, 30)]
                await turns(500)
                assert not any(task.done() for task in tasks)
                assert store.metrics.totals()["records_written"] == 1
            await asyncio.gather(*tasks)
            assert numbers(await store.read()) == list(range(30))
            assert store.metrics.snapshot() == counts(records_written=30, records_read=30)

    run(main())


def test_the_loop_goes_on_while_another_thread_writes(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        gated._always_waits = False
        async with AsyncBackend(gated) as store:
            thread = threading.Thread(target=gated.append, args=(event(0),))
            thread.start()
            await gated.taken()
            task = asyncio.create_task(store.append(event(1)))
            await turns(500)
            assert not task.done()
            gated.let(2)
            await task
            thread.join()
            assert numbers(gated.read()) == [0, 1]

    run(main())


def test_beside_a_thread_that_computes_an_append_leaves_the_loop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each of its system calls would give the interpreter away, for five milliseconds."""

    async def main() -> None:
        async with open_store("memory:") as store:
            await store.append(event(0))
            noted = Noted(store.store, monkeypatch)
            begun, go_on = threading.Event(), threading.Event()
            check = store.store._check

            def held() -> Any:
                begun.set()
                go_on.wait()
                return check()

            monkeypatch.setattr(store.store, "_check", held)
            task = asyncio.create_task(store.scan())
            await until(begun.is_set)
            await store.append(event(1))
            go_on.set()
            assert (await task).clean
            await store.append(event(2))
            assert noted.here == [False, True]

    run(main())


def test_who_appends_in_a_row_lets_others_go_on(run: Run) -> None:
    rounds = 0

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async def main() -> None:
        async with open_store("memory:") as store:
            counting = asyncio.create_task(count())
            # As long as it takes: without a turn for the other it would take for ever.
            n = 0
            while rounds < 20:
                await store.append(event(n))
                n += 1
            before = rounds
            await store.append_many(event(n) for n in range(2000))
            assert rounds > before + 20
            counting.cancel()

    run(main())


def test_calls_that_wait_go_as_one_batch(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with AsyncBackend(gated) as store:

            async def caller() -> None:
                for n in range(5):
                    await store.append(event(n))

            gated.let(5)
            await asyncio.gather(*(caller() for _ in range(64)))
            assert gated.batches == [64] * 5

    run(main())


def test_what_waits_is_bounded_and_keeps_its_order(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[object] = []

    def noted(record: Record) -> bytes:
        encoded.append(record)
        return encode(record)

    monkeypatch.setattr("papyra.backend.encode", noted)

    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        async with asyncio.TaskGroup() as group:
            for n in range(3 * MOST_WAITING + 5):
                call = store.append_many([event(n)]) if n % 7 == 0 else store.append(event(n))
                group.create_task(call)
            await gated.taken()
            await turns(50)
            assert len(encoded) == MOST_WAITING
            gated.let()
            await gated.taken()
            await turns(50)
            assert len(encoded) == 2 * MOST_WAITING
            # Somebody who comes later does not overtake those in line.
            group.create_task(store.append(event(3 * MOST_WAITING + 5)))
            gated.let(10)
        assert numbers(gated.read()) == list(range(3 * MOST_WAITING + 6))
        await store.aclose()

    run(main())


def test_who_comes_when_there_is_room_again_does_not_overtake_the_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("papyra.aio.loop_writer.MOST_WAITING", 1)

    async def main() -> None:
        gated = Gated()
        async with AsyncBackend(gated) as store:
            tasks = [asyncio.create_task(store.append(event(n))) for n in range(2)]
            await gated.taken()  # the first; the second is in line
            admit = Lane._admit

            def admitted(lane: Lane) -> None:
                # A task that runs before the one that is let in now.
                if len(tasks) == 2:
                    tasks.append(asyncio.create_task(store.append(event(2))))
                admit(lane)

            monkeypatch.setattr(Lane, "_admit", admitted)
            gated.let(3)
            await until(lambda: len(tasks) == 3)
            await asyncio.gather(*tasks)
            assert numbers(gated.read()) == [0, 1, 2]

    run(main())


def test_a_batch_that_is_told_twice_ends_no_other(run: Run) -> None:
    """The loop has looked for itself, and the thread tells it later."""

    async def main() -> None:
        gated = Gated()
        async with AsyncBackend(gated) as store:
            first = asyncio.create_task(store.append(event(0)))
            await gated.taken()
            lane = store._lane
            assert lane is not None
            reported = lane._sent
            gated.let()
            await first
            second = asyncio.create_task(store.append(event(1)))
            await gated.taken()
            lane._settled(reported, 0.0)
            assert not lane.is_free
            assert not second.done()
            gated.let()
            await second

    run(main())


def test_closing_writes_out_what_was_accepted(run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        store = AsyncBackend(gated)
        tasks = [asyncio.create_task(store.append(event(0)))]
        await gated.taken()
        tasks += [asyncio.create_task(store.append(event(n))) for n in range(1, 50)]
        await turns()
        closing = asyncio.create_task(store.aclose())
        await turns(50)
        assert not closing.done()
        gated.let(2)
        await closing
        assert gated.metrics.snapshot() == counts(records_written=50)
        await asyncio.gather(*tasks)
        assert "papyra-aio" not in [thread.name for thread in threading.enumerate()]

    run(main())


def test_closing_waits_until_its_thread_has_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a program that ends right after it would have the thread cut off somewhere."""
    may_end = threading.Event()
    work = Writer.run

    def linger(writer: Writer) -> None:
        work(writer)
        may_end.wait()

    monkeypatch.setattr(Writer, "run", linger)

    async def main() -> None:
        may_end.clear()
        gated = Gated()
        store = AsyncBackend(gated)
        gated.let()
        await store.append(event(1))
        closing = asyncio.create_task(store.aclose())
        await asyncio.wait([closing], timeout=0.2)
        assert not closing.done()
        assert not gated.closed
        may_end.set()
        await closing

    run(main())


def test_a_free_lane_needs_no_thread(run: Run) -> None:
    async def main() -> None:
        async with open_store("memory:") as store:
            await asyncio.gather(*(store.append(event(n)) for n in range(100)))
            assert isinstance(store._lane, Lane)
            assert store._lane._writer is None

    run(main())
