"""How many records of many threads one fdatasync brings to the disk: counted, not timed."""

import tempfile
import threading
from typing import Any, Final

import papyra.backends.files.store as files
from benchmarks.load import record
from benchmarks.side_by_side import Ratio
from benchmarks.table import Row
from papyra import open_store

_WANTED: Final = {16: 8, 64: 20}


def rows(*, long: bool) -> list[Row]:
    """Return what was counted."""
    return [
        Row(
            f'sync="always", {threads} threads append',
            "records per fdatasync; one without a queue",
            wanted,
            Ratio.of(_per_sync(threads, 50 if long else 2) for _ in range(9 if long else 2)),
            unit="",
        )
        for threads, wanted in _WANTED.items()
    ]


def _per_sync(threads: int, each: int) -> float:
    module: Any = files
    real, syncs = module.sync_data, 0

    def counted(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        real(descriptor)

    with (
        tempfile.TemporaryDirectory(dir=".") as place,
        open_store(f"json:{place}/store.ndjson?sync=always") as store,
    ):
        store.append(record(0))

        def caller() -> None:
            for n in range(each):
                store.append(record(n))

        callers = [threading.Thread(target=caller) for _ in range(threads)]
        module.sync_data = counted
        try:
            for thread in callers:
                thread.start()
            for thread in callers:
                thread.join()
        finally:
            module.sync_data = real
    return threads * each / syncs
