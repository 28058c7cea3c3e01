"""The Redis store beside redis-py's own pipeline and beside 0.3.0, on one server."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.elsewhere import original as running_original
from benchmarks.load import plain, record, records
from benchmarks.side_by_side import Timings, each
from benchmarks.table import Row
from papyra.backends.redis import RedisBackend
from servers import Server, running_redis

_CALLERS: Final = 64
_PIPELINE: Final = 500


def rows(original: str, *, long: bool) -> list[Row]:
    """Return what was measured; *original* is an interpreter with 0.3.0, or ""."""
    with tempfile.TemporaryDirectory() as place, running_redis("debian", Path(place)) as server:
        return [*_appends(server, original, long=long), *_newest(server, long=long)]


def _appends(server: Server, original: str, *, long: bool) -> Iterator[Row]:
    count = _CALLERS * (100 if long else 2)
    client: Any = redis.Redis(port=server.port)
    address = f"redis://127.0.0.1:{server.port}"
    with (
        RedisBackend(address, name="bench") as store,
        running_original(original, "redis", server.port, callers=_CALLERS, count=count) as old,
    ):
        contenders: dict[str, Callable[[], float]] = {
            "callers": lambda: each(count, lambda: _from_callers(store, count)),
            "many": lambda: each(_PIPELINE, lambda: store.append_many(records(_PIPELINE))),
            "pipeline": lambda: each(_PIPELINE, lambda: _pipelined(client, _PIPELINE)),
            **old,
        }
        timings = Timings(contenders, rounds=15 if long else 2)
    callers, pipeline = f"{_CALLERS} threads append", f"redis-py's pipeline of {_PIPELINE} XADDs"
    # Without a target, because each hand-over between threads of Python costs more than a record.
    yield Row(callers, pipeline, None, timings.faster("callers", "pipeline"))
    yield Row(f"append_many of {_PIPELINE}", pipeline, 1.6, timings.faster("many", "pipeline"))
    if original:
        tasks = f"0.3.0, {_CALLERS} tasks"
        yield Row(callers, tasks, None, timings.faster("callers", "0.3.0 redis"))
        yield Row(f"append_many of {_PIPELINE}", tasks, 15, timings.faster("many", "0.3.0 redis"))


def _newest(server: Server, *, long: bool) -> Iterator[Row]:
    """Read the newest ten of a large store and of a small one."""
    address = f"redis://127.0.0.1:{server.port}"
    large, small = (1_000_000, 10_000) if long else (2_000, 100)
    with (
        RedisBackend(address, name="large") as many,
        RedisBackend(address, name="small") as few,
    ):
        for store, size in ((many, large), (few, small)):
            for _ in range(0, size, 1000):
                store.append_many(records(min(size, 1000)))
        timings = Timings(
            {
                "large": lambda: each(20, lambda: [many.read(limit=10) for _ in range(20)]),
                "small": lambda: each(20, lambda: [few.read(limit=10) for _ in range(20)]),
            },
            rounds=15 if long else 2,
        )
    what = f"the newest 10 of {large:,}, in one page"
    yield Row(
        what, f"of {small:,}: its time", 1.3, timings.faster("small", "large"), at_least=False
    )


def _from_callers(store: RedisBackend, count: int) -> None:
    def caller() -> None:
        for n in range(count // _CALLERS):
            store.append(record(n))

    threads = [threading.Thread(target=caller) for _ in range(_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _pipelined(client: Any, count: int) -> None:
    pipeline = client.pipeline(transaction=False)
    for n in range(count):
        pipeline.xadd("pipeline", {"data": plain(n)})
    pipeline.execute()
