"""Fork with a store open; print how the child ended, and what the parent stored and counted: URL."""

import os
import sys

from papyra import ForkedStoreError, Record, open_counters, open_store

url = sys.argv[1]
store = open_store(url)
store.append(Record("event", data={"n": 1}))
child = os.fork()
if child == 0:
    refused = 0
    for use in (lambda: store.append(Record("event")), store.read, store.scan, store.compact):
        try:
            use()
        except ForkedStoreError as error:
            refused += "after the fork" in str(error)
    fresh = store.metrics.snapshot()
    again = open_store(url)
    again.append(Record("event", data={"n": 2}))
    again.close()
    store.close()
    os._exit(0 if (refused, sum(fresh.values())) == (4, 5) else 1)
status = os.waitpid(child, 0)[1]
store.append(Record("event", data={"n": 3}))
numbers, written = [r.data["n"] for r in store.read()], store.metrics.snapshot()["records_written"]
print(status, numbers, written, open_counters(url).read().live == 1)
store.close()
