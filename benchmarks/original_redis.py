"""
Papyra 0.3.0's Redis store, appending: an older project of the same name, and none of our code.

Run by an interpreter that has 0.3.0 and redis-py: PORT NAME CALLERS COUNT. For each line on stdin it
appends COUNT events from CALLERS tasks and prints the seconds that one took.
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


async def _main(port: str, name: str, callers: int, count: int) -> None:
    redis = import_module("papyra.persistence.backends.redis")
    config = redis.RedisStreamsConfig(url=f"redis://127.0.0.1:{port}/0", system_id=name)
    store = redis.RedisStreamsPersistence(config)
    while sys.stdin.readline():
        print(await _append(store, callers, count), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
