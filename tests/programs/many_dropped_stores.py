"""Append to 500 stores that are dropped and not closed, with 300 descriptors at most: URL, with {} for the number."""

import resource
import sys

resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
import papyra  # noqa: E402

for number in range(500):
    papyra.open_store(sys.argv[1].format(number)).append(papyra.Record("event"))
