"""
The same faults, done to Papyra 0.3.0: an older project of the same name, and none of papyra's code.

Run by an interpreter that has 0.3.0 installed, with the name of a fault; it uses what 0.3.0 makes
public and prints one line of JSON: what was tried, and how many records were lost and so on.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

#: What a run tells: in words what was tried, then the columns that it can tell.
_Reported = tuple[str, dict[str, int]]


def _json_store(path: Path) -> Any:
    return import_module("papyra.persistence.json").JsonFilePersistence(path)


def _rotating_store(path: Path, **options: Any) -> Any:
    module = import_module("papyra.persistence.backends.rotating")
    return module.RotatingFilePersistence(path, **options)


def _append(store: Any, number: int) -> None:
    event = import_module("papyra.persistence.models").PersistedEvent(
        system_id="local",
        actor_address="local:1",
        event_type="E",
        payload={"n": number, "pad": "x" * 40},
        timestamp=1.7e9 + number,
    )
    asyncio.run(store.record_event(event))


def _numbers(store: Any) -> list[int] | None:
    """Return the numbers of all records; None where reading raises, -1 for one not as written."""
    try:
        events = asyncio.run(store.list_events())
    except Exception:  # noqa: BLE001  that is the finding
        return None
    return [_number(event) for event in events]


def _number(event: Any) -> int:
    number = event.payload.get("n")
    whole = (
        isinstance(number, int)
        and event.payload == {"n": number, "pad": "x" * 40}
        and (event.system_id, event.event_type) == ("local", "E")
        and event.timestamp == 1.7e9 + number
    )
    return number if whole else -1


def _wrongs(found: list[int] | None, expected: list[int]) -> Counter[str]:
    if found is None:
        return Counter(lost=len(expected))
    stored = Counter(found)
    glued = stored.pop(-1, 0)
    lost = sum(number not in stored for number in expected)
    return Counter(lost=lost, duplicated=sum(stored.values()) - len(stored), glued=glued)


def torn_tail(directory: Path) -> _Reported:
    path = directory / "store.ndjson"
    for number in range(4):
        _append(_json_store(path), number)
    content = path.read_bytes()
    start = content.rfind(b"\n", 0, -1) + 1
    wrongs: Counter[str] = Counter()
    for size in range(start + 1, len(content) - 1):
        path.write_bytes(content[:size])
        _append(_json_store(path), 10)
        _append(_json_store(path), 11)
        wrongs += _wrongs(_numbers(_json_store(path)), [0, 1, 2, 10, 11])
    return f"{len(content) - start - 2} torn lines", wrongs


def sigkill(directory: Path) -> _Reported:
    path, acks = directory / "store.ndjson", directory / "acks"
    wrongs: Counter[str] = Counter()
    _append(_json_store(path), 0)
    number, kill_count = 1, 60
    expected = [0]
    for _ in range(kill_count):
        child = os.fork()
        if not child:
            store = _json_store(path)
            to = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for mine in range(number, number + 10**6):
                _append(store, mine)
                os.write(to, f"{mine}\n".encode())
        time.sleep(random.uniform(0.002, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acked = [int(line) for line in acks.read_text().split()] if acks.exists() else []
        number = max([number, *acked]) + 10  # what was in flight keeps its number to itself
        expected = [0, *acked]
    wrongs += _wrongs(_numbers(_json_store(path)), expected)
    # Its counters die with the process.
    return f"{kill_count} kills of one writer, {len(expected):,} records acknowledged", wrongs


def cut(directory: Path) -> _Reported:
    return _damage(
        directory, lambda content: ((n, content[:n]) for n in range(len(content))), "cuts"
    )


def flip(directory: Path) -> _Reported:
    def flipped(content: bytes) -> Any:
        for bit in range(8 * len(content)):
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            yield bit // 8, bytes(damaged)

    return _damage(directory, flipped, "flips")


def _damage(directory: Path, damages: Callable[[bytes], Any], what: str) -> _Reported:
    path = directory / "store.ndjson"
    store = _json_store(path)
    for number in range(5):
        _append(store, number)
    content = path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(content) if byte == ord("\n")]
    wrongs: Counter[str] = Counter()
    tried = 0
    for at, damaged in damages(content):
        tried += 1
        path.write_bytes(damaged)
        starts = [0, *ends]
        untouched = [
            n
            for n, end in enumerate(ends)
            if end <= at or (len(damaged) == len(content) and at < starts[n] - 1)
        ]
        wrongs += _wrongs(_numbers(_json_store(path)), untouched)
    return f"{tried:,} {what}", wrongs


def disk(directory: Path) -> _Reported:
    place = directory / "disk"
    place.mkdir()
    wrongs: Counter[str] = Counter()
    sizes = range(48, 176, 8)
    for size in sizes:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", place], check=True)
        try:
            wrongs.update(_fill(place, size))
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)
    return f"{len(sizes)} disks", wrongs


def _fill(place: Path, size: int) -> Counter[str]:
    filler = place / "filler"
    filler.write_bytes(bytes(size * 614))
    store = _json_store(place / "store.ndjson")
    acked, refused, number = [], 0, 0
    while refused < 8 or number < 5:
        try:
            _append(store, number)
            acked.append(number)
        except OSError:
            refused += 1
        number += 1
    filler.unlink()
    for after in range(number, number + 5):
        _append(store, after)
        acked.append(after)
    found = _numbers(store)
    counted = store.metrics.snapshot()
    exact = counted["records_written"] == len(acked) and counted["write_errors"] == refused
    return Counter({**_wrongs(found, acked), "miscounted": int(not exact)})


def compaction(directory: Path) -> _Reported:
    path = directory / "store.ndjson"
    _append(_json_store(path), 0)
    child = os.fork()
    if not child:
        while True:
            asyncio.run(_json_store(path).compact())
    store = _json_store(path)
    appends = 2000
    for number in range(1, appends):
        _append(store, number)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return f"{appends:,} records, one writer, one process that compacts", _wrongs(
        _numbers(_json_store(path)), list(range(appends))
    )


def invalid_utf8(directory: Path) -> _Reported:
    path = directory / "store.ndjson"
    store = _json_store(path)
    for number in range(100):
        _append(store, number)
    path.write_bytes(path.read_bytes().replace(b'"n": 50', b'"n": \xff50'))
    expected = [number for number in range(100) if number != 50]
    wrongs = _wrongs(_numbers(_json_store(path)), expected)
    refused = 0
    for operation in ("scan", "compact", "recover"):
        try:
            asyncio.run(getattr(_json_store(path), operation)(*_repair(operation)))
        except Exception:  # noqa: BLE001  that is the finding
            refused += 1
    return "1 store of 100 records", wrongs + Counter(broken=refused)


def recovered_twice(directory: Path) -> _Reported:
    # Without a bound that is reached: what max_files drops would be dropped as asked.
    def opened() -> Any:
        return _rotating_store(directory / "store.ndjson", max_bytes=600, max_files=50)

    for number in range(16):
        _append(opened(), number)
    for file in directory.iterdir():
        file.write_bytes(file.read_bytes() + b'no record\n{"torn')
    asyncio.run(opened().recover(*_repair("recover")))
    _append(opened(), 16)
    asyncio.run(opened().recover(*_repair("recover")))
    left = asyncio.run(opened().scan()).has_anomalies
    found = Counter(_wrongs(_numbers(opened()), list(range(17))))
    return "1 store, every file of it damaged", found + Counter(broken=int(left))


def _repair(operation: str) -> list[Any]:
    if operation != "recover":
        return []
    models = import_module("papyra.persistence.models")
    mode = models.PersistenceRecoveryMode.REPAIR
    return [models.PersistenceRecoveryConfig(mode=mode)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="papyra-faults-") as place:
        tried, wrong = globals()[sys.argv[1]](Path(place))
    reported = {"lost": 0, "duplicated": 0, "glued": 0} | wrong
    print(json.dumps({"tried": tried} | reported))
