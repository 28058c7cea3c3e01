"""
Papyra 0.3.0's stores, appending: an older project of the same name, and none of our code.

Run by an interpreter that has 0.3.0: KIND PLACE CALLERS COUNT, where KIND is memory, json, rotating or
redis, and PLACE a path, or the port of a server. For each line on stdin it appends COUNT events
from CALLERS tasks and prints the seconds that one took.
"""

import asyncio
import sys
import time
from importlib import import_module


async def _append(store: object, callers: int, count: int) -> float:
    event = import_module("papyra.persistence.models").PersistedEvent(
        system_id="local",
        actor_address="local:42",
        event_type="ActorStarted",
        payload={"text": "x" * 100},
        timestamp=1.7e9,
    )

    async def caller() -> None:
        for _ in range(count // callers):
            await store.record_event(event)  # type: ignore[attr-defined]  # another project's

    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.perf_counter() - begin) / count


def _opened(kind: str, place: str) -> object:
    if kind == "memory":
        return import_module("papyra.persistence.backends.memory").InMemoryPersistence()
    if kind == "json":
        return import_module("papyra.persistence.json").JsonFilePersistence(place)
    if kind == "rotating":
        module = import_module("papyra.persistence.backends.rotating")
        return module.RotatingFilePersistence(place)
    redis = import_module("papyra.persistence.backends.redis")
    config = redis.RedisStreamsConfig(url=f"redis://127.0.0.1:{place}/0", system_id="old")
    return redis.RedisStreamsPersistence(config)


async def _main(kind: str, place: str, callers: int, count: int) -> None:
    store = _opened(kind, place)
    while sys.stdin.readline():
        print(await _append(store, callers, count), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
