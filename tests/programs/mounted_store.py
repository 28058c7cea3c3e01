"""Append to a store and compact it, by two objects, and print what is logged and raised: PATH."""

import logging
import sys

logging.basicConfig(format="%(message)s", stream=sys.stdout)
import papyra  # noqa: E402

for _ in range(2):
    with papyra.JsonBackend(sys.argv[1], retention=papyra.Retention(max_records=1)) as store:
        for _number in range(3):
            store.append(papyra.Record("event"))
        try:
            store.compact()
        except papyra.StoreIOError as error:
            print(error)
