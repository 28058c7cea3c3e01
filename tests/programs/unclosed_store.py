"""
Append and end in one of many ways without closing the store: URL WAY.

The thread that syncs never comes to it. What is synced is printed while its descriptor is open.
"""

import atexit
import os
import sys
import threading
from typing import Any

url, way = sys.argv[1:]


def append(number: int) -> None:
    store.append(papyra.Record("event", data={"n": number}))


if way == "a handler that was there first":
    atexit.register(lambda: append(2))

import papyra  # noqa: E402
from papyra.backends.files import background_sync  # noqa: E402
from papyra.backends.files import store as files  # noqa: E402

background_sync.INTERVAL = 3600.0  # type: ignore[misc]


def sync(descriptor: int) -> None:
    status = os.fstat(descriptor)
    os.write(1, b"%d %d\n" % (status.st_ino, status.st_size))


if way == "a handler that comes later":
    atexit.register(lambda: append(2))
files.sync_data = sync  # type: ignore[attr-defined]
store = papyra.open_store(url)
keep: list[Any] = [store]
keep.append(keep)  # freed by no reference count


def child() -> None:
    global store  # noqa: PLW0603  a child opens its own
    store = papyra.open_store(url)
    append(2)


if way == "a first append at the end":
    atexit.register(append, 1)
else:
    append(1)
if way == "exit":
    sys.exit(0)
if way == "an exception":
    raise SystemExit
if way == "closed":
    store.close()
if way == "a child":
    number = os.fork()
    if number:
        assert os.waitpid(number, 0)[1] == 0
        os._exit(0)
    child()
if way == "multiprocessing":
    import multiprocessing

    multiprocessing.get_context("fork").Process(target=child).start()
if way == "a thread":
    thread = threading.Thread(target=append, args=(2,))
    thread.start()
if way == "os._exit":
    os._exit(0)
