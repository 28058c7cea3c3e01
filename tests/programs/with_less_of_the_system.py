"""
Use the JSON store where the system lacks what papyra uses if it is there: PATH.

With "unmovable" after it, no open file can be renamed, replaced or removed, as on Windows; then the
rotating store is used, too.
"""

import os
import sys
from typing import Any

path, *unmovable = sys.argv[1:]


def is_open(name: str) -> bool:
    there = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return any(os.path.exists(one) and os.path.samefile(one, name) for one in there)


def unless_open(name: str) -> None:
    real = getattr(os, name)

    def checked(*paths: Any) -> None:
        for one in paths:
            if os.path.isfile(one) and is_open(one):
                raise PermissionError(13, "it is being used", one)
        real(*paths)

    setattr(os, name, checked)


if unmovable:
    for name in ("rename", "replace", "unlink"):
        unless_open(name)
sys.modules["fcntl"] = None  # type: ignore[assignment]
LACKING = (
    "fdatasync", "O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY", "posix_fallocate", "register_at_fork", "pread",
    "fchmod", "geteuid",
)  # fmt: skip
for name in LACKING:
    if hasattr(os, name):
        delattr(os, name)
import threading  # noqa: E402

from papyra import Record, Retention, open_store  # noqa: E402

store = open_store("json:" + path, retention=Retention(max_records=400))


def append_100() -> None:
    for n in range(100):
        store.append(Record("event", data={"n": n}))


threads = [threading.Thread(target=append_100) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open(path, "ab") as file:
    file.write(b"no record\n{torn")
store.append(Record("event", data={"n": 1}))
assert store.scan().found == 2
assert store.recover().clean
store.append(Record("event", data={"n": 2}))
assert store.compact().dropped == 2
assert len(store.read()) == 400 == len(list(store.records()))
assert store.read(limit=1)[0].data == {"n": 2}
store.close()
again = open_store("json:" + path, sync="always")
again.append(Record("event"))
again.close()
assert not os.path.exists(path + ".metrics")
print(store.metrics.snapshot()["records_written"], len(again.metrics.snapshot()))

if unmovable:
    path += ".log"
    url = "rotating:" + path + "?max_bytes=400"
    with open_store(url, retention=Retention(max_records=5)) as rotating:
        for n in range(9):
            rotating.append(Record("event", data={"n": n}))
        with open(path, "ab") as file:
            file.write(b"no record\n")
        saved = rotating.recover().quarantine
        assert saved
        assert rotating.recover(undo=saved).restored == 10
        assert rotating.compact().kept == 5
        assert [record.data["n"] for record in rotating.read(strict=True)] == [4, 5, 6, 7, 8]
