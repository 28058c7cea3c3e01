"""Import a store into another in batches of five; print "batch" after each, and wait for a line: OLD NEW."""

import sys

import papyra
import papyra.transfer

papyra.transfer._LINES = 5  # type: ignore[misc]


def wait(_: int, __: int) -> None:
    print("batch", flush=True)
    sys.stdin.readline()


with papyra.open_store(sys.argv[1]) as old, papyra.open_store(sys.argv[2]) as new:
    papyra.import_store(old, new, progress=wait)
