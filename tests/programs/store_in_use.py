"""Keep a store open, and append, read or show counters, as each line of stdin says."""

import json
import sys
from typing import Any

import papyra

store = papyra.open_store("json:papyra.ndjson")
for line in sys.stdin:
    verb, *rest = line.split()
    done: Any
    if verb == "append":
        done = [store.append(papyra.Record("event", data={"n": n})) for n in range(int(rest[0]))]
    elif verb == "read":
        done = len(store.read())
    else:
        done = getattr(store.metrics, verb)()
    print(json.dumps(done), flush=True)
store.close()
