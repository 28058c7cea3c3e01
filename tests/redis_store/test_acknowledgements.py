"""What a reply says of a batch: it is stored now, it was there, its report was taken in."""

import asyncio
import pickle
import threading
import time

import pytest
from redis_kind import Redis
from redis_proxy import Proxy
from stores import counts, event, numbers

from papyra import StoreIOError, UnsupportedError, WriteOutcomeUnknownError, open_counters
from papyra.aio.backend import AsyncBackend
from papyra.backends.redis import RedisBackend
from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.append import HAD
from papyra.format.codec import encode, seal


def images(kind: Redis) -> tuple[RedisBackend, RedisBackend]:
    """Return two stores as two images of one process have them: a snapshot that was started twice."""
    one, other = kind.open(), kind.open()
    one.append(event(0))
    other._queue.writer = one._queue.writer
    other._reports._object = one._reports._object
    other._stored = one._stored
    other.metrics._settle_written(one._stored)
    return one, other


@pytest.mark.parametrize("sizes", [(1, 1), (1, 3), (3, 1), (3, 3), (2, 5), (5, 2)])
def test_two_images_of_one_process_lose_nothing(kind: Redis, sizes: tuple[int, int]) -> None:
    one, other = images(kind)
    wanted, ids, n = [0], [], 1
    with one, other:
        for _ in range(3):
            for store, size in zip((one, other), sizes, strict=True):
                batch = range(n, n + size)
                ids += store.append_many([event(k) for k in batch])
                wanted += batch
                n += size
        assert numbers(one.read(strict=True)) == wanted
        assert [record.id for record in one.read()][1:] == ids
        assert len(set(ids)) == len(ids)
        assert one.scan().clean
        # Each has the first record in its own totals, as both images have.
        assert [s.metrics.totals()["records_written"] for s in (one, other)] == [
            1 + 3 * size for size in sizes
        ]
        assert other.metrics.totals()["write_errors"] == 0
    shared = open_counters(kind.url).read().snapshot()
    assert shared["records_written"] == len(wanted) == kind.stored()


def test_what_two_images_tell_of_their_counters_adds_up(kind: Redis) -> None:
    one, other = images(kind)
    with one, other:
        one.metrics.increment("read_errors", 5)
        one.append(event(1))
        other.metrics.increment("read_errors", 3)
        other.append(event(2))
        other.metrics.increment("read_errors", 4)
        one.append(event(3))
        other.append(event(4))
    assert open_counters(kind.url).read().snapshot() == counts(records_written=5, read_errors=12)


def test_threads_and_tasks_of_two_images_lose_nothing(kind: Redis) -> None:
    one, other = images(kind)

    async def work(store: RedisBackend, first: int) -> None:
        wrapped = AsyncBackend(store)
        await asyncio.gather(*(wrapped.append(event(first + n)) for n in range(50)))
        await wrapped.aclose()

    threads = [
        threading.Thread(target=asyncio.run, args=(work(store, first),))
        for store, first in ((one, 1), (other, 51))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with kind.open() as store:
        assert sorted(numbers(store.read(strict=True))) == list(range(101))
        assert store.scan().clean
    assert open_counters(kind.url).read().snapshot()["records_written"] == 101


def test_a_batch_in_doubt_is_not_stored_under_ids_that_another_image_used(kind: Redis) -> None:
    one, other = images(kind)
    with one, other:
        lines = tuple(seal(encode(event(n)), one._queue.writer, 1 + n) for n in (1, 2, 3))
        error = WriteOutcomeUnknownError(
            one.source, "cut", one._queue.writer, 2, lines, time.time()
        )
        other.append(event(9))
        with pytest.raises(UnsupportedError, match="its ids belong to other records"):
            one.resend(error)
        assert numbers(one.read(strict=True)) == [0, 9]
        assert one.metrics.snapshot() == counts(records_written=1, write_errors=1, records_read=2)


def test_a_server_that_has_whatever_it_is_sent_is_not_believed(
    kind: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind.open() as store:
        store.append(event(0))
        with monkeypatch.context() as patch:
            patch.setattr(Link, "deliver", lambda *_, **__: HAD)
            with pytest.raises(StoreIOError, match="has records that were never sent before"):
                store.append(event(1))
        store.append(event(2))
        assert numbers(store.read()) == [0, 2]
        assert store.metrics.snapshot() == counts(records_written=2, write_errors=1, records_read=2)


@pytest.mark.parametrize("by", ["itself", "another process"])
def test_counts_that_nobody_took_in_are_told_again_after_a_resend(kind: Redis, by: str) -> None:
    with Proxy(kind.server.port) as proxy:
        address = f"redis://127.0.0.1:{proxy.port}"
        with RedisBackend(address, name=kind.store_name, timeout=0.3) as store:
            store.append(event(0))
            store.read()
            proxy.cuts = ["after"] * 200
            with pytest.raises(WriteOutcomeUnknownError) as raised:
                store.append(event(1))
            proxy.cuts = []
            if by == "itself":
                store.resend(raised.value)
            else:
                with kind.open() as other:
                    other.metrics.increment("read_errors")
                    other.resend(pickle.loads(pickle.dumps(raised.value)))
            store.append(event(2))
    elsewhere = 0 if by == "itself" else 1
    assert open_counters(kind.url).read().snapshot() == counts(
        records_written=3, write_errors=1, records_read=1, read_errors=elsewhere
    )


def test_a_report_that_came_with_a_lost_reply_counts_once(kind: Redis) -> None:
    with Proxy(kind.server.port) as proxy:
        address = f"redis://127.0.0.1:{proxy.port}"
        with RedisBackend(address, name=kind.store_name) as store:
            store.append(event(0))
            for n in range(1, 4):
                store.read()
                proxy.cuts = ["after"]
                store.append(event(n))
            assert proxy.done == 3
    assert open_counters(kind.url).read().snapshot() == counts(records_written=4, records_read=6)
