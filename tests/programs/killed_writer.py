"""Append, scan and read, print "acknowledged", and end by SIGKILL: URL."""

import os
import sys

import papyra

store = papyra.open_store(sys.argv[1])
for n in range(57):
    store.append(papyra.Record("event", data={"n": n}))
store.scan()
store.read()
print("acknowledged", flush=True)
os.kill(os.getpid(), 9)
