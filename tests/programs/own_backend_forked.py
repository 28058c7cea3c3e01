"""Fork with the example's store open; print how many appends the child's store refused: PATH."""

import os
import sys

from own_backend import SqliteBackend

import papyra

store = SqliteBackend(sys.argv[1])
store.append(papyra.Record("event", data={"n": 1}))
child = os.fork()
if not child:
    try:
        store.append(papyra.Record("event", data={"n": 2}))
    except papyra.ForkedStoreError:
        store.close()
        os._exit(store.metrics.snapshot()["write_errors"])
    os._exit(100)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
store.append(papyra.Record("event", data={"n": 3}))
store.close()
