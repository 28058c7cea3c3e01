"""
Interrupt a child at each line that papyra runs in it right after the fork: DIRECTORY ERROR.

The child ends with 0 if it was interrupted and refused both stores, with 1 if papyra has no such
line any more, and with 2 if a store was not refused.
"""

import builtins
import os
import sys
import warnings
from typing import NoReturn

from reentry import at_line

from papyra import ForkedStoreError, PersistenceBackend, Record, open_store

error = getattr(builtins, sys.argv[2])


def stop() -> NoReturn:
    raise error


def refused(store: PersistenceBackend) -> bool:
    try:
        store.append(Record("event"))
    except ForkedStoreError:
        return True
    return False


warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the thread that syncs
reports: "list[sys.UnraisableHookArgs]" = []
sys.unraisablehook = reports.append
stores = [open_store(f"json:{sys.argv[1]}/{number}.ndjson") for number in range(2)]
for store in stores:
    store.append(Record("event"))
at = status = 0
while status == 0:
    at += 1
    sys.settrace(at_line(at, stop))  # no line of papyra's is passed but in the child
    child = os.fork()
    sys.settrace(None)
    if child == 0:
        os._exit(2 if not all(map(refused, stores)) else len(reports) != 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, at > 20)
