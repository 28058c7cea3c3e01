"""Append, rotate and recover, so that every file that papyra writes beside a store is there: URL PATH."""

import sys

import papyra

with papyra.open_store(sys.argv[1]) as store:
    for _ in range(3):
        store.append(papyra.Record("event"))
    with open(sys.argv[2], "ab") as file:
        file.write(b"torn")
    store.recover()
