"""
A program that serves its store's counters to Prometheus and resets them all the time.

It works for a round whenever a line comes in, and then says so: python served_program.py PATH PORT
"""

import contextlib
import sys

import papyra
import papyra_otel


def work(store: papyra.PersistenceBackend, path: str) -> None:
    """Do something that moves eight of the ten, with resets between."""
    store.append_many([papyra.Record("event", data={"n": n}) for n in range(5)])
    store.metrics.reset()
    for n in range(3):
        store.append(papyra.Record("event", data={"n": n}))
    with contextlib.suppress(papyra.RecordError):
        store.append(papyra.Record("event", data={"what": object()}))
    store.read(limit=2)
    with contextlib.suppress(ValueError):
        store.read(limit=-1)
    store.metrics.reset()
    with open(path, "ab") as file:
        file.write(b"no record\n")
    store.scan()
    store.recover()
    store.metrics.reset()
    store.compact()


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def main(path: str, port: str) -> None:
    """Serve and work until no line comes in any more."""
    with (
        papyra.open_store(f"json:{path}", sync="none") as store,
        papyra_otel.prometheus.serve(store, port=int(port)),
    ):
        say("serving")
        for _ in sys.stdin:
            work(store, path)
            say("worked")


main(*sys.argv[1:])
