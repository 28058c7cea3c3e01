"""
Fork a child that lives on within an operation, as another thread would, and use the store: URL PATH OPERATION WHERE.

WHERE is a function of `paths` or `swap` that holds locks: the fork comes right after it.
"""

import os
import signal
import sys
from operator import attrgetter
from typing import Any
from unittest import mock

from papyra import Record, Retention, open_store
from papyra.backends.files import concurrent_swap, paths

url, path, operation, where = sys.argv[1:]
module, _, inner = where.partition(".")
owner: Any = {"paths": paths, "concurrent_swap": concurrent_swap}[module]
*outer, name = inner.split(".")
place = attrgetter(".".join(outer))(owner) if outer else owner
real = getattr(place, name)
children: list[int] = []


def forked_beside(*arguments: Any) -> Any:
    answer = real(*arguments)
    child = os.fork()
    if child == 0:
        signal.pause()
    children.append(child)
    return answer


store = open_store(url, retention=Retention(max_records=1), lock_timeout=0, sync="none")
store.append_many([Record("event"), Record("event")])
open(f"{path}.tmp.01234567", "x").close()
open(f"{path}.maint.lock", "x").close()
try:
    with mock.patch.object(place, name, forked_beside):
        getattr(store, operation)()
    store.append(Record("event"))
    store.recover()
    print(bool(children), store.scan().clean)
finally:
    store.close()
    for child in children:
        os.kill(child, signal.SIGKILL)
