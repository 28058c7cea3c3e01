"""
Actors of Pykka whose lives, and lost messages, are kept in a papyra store.

Copy `RecordedActor`, with the two classes above it. An actor that derives from it
instead of `pykka.ThreadingActor` appends to a store, from whatever thread it happens in:

    kind="event"        it started, stopped, or failed, and with what error
    kind="dead_letter"  a message that it will never handle: it was dead already, or it ended
                        with the message in its inbox

The program is an order service. A supervisor hands orders to three packers; every tenth order
has no address, at which its packer fails, and the supervisor starts another. So each order is
packed, or fails its packer, or is a dead letter.

    python examples/pykka_lifecycle.py [PATH]

takes the orders of a fifth of a second and prints what became of them, the life of the first
packer that failed, and the counters that moved. The records go to PATH, or to a temporary file
without it. The numbers differ from run to run, but the orders always add up.
"""

import logging
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count, islice
from time import monotonic, sleep
from types import TracebackType
from typing import Any

import pykka
from pykka.messages import _ActorStop

import papyra


class Life(threading.Event):
    """
    Pykka's flag of an actor's end, which also records the actor's life.

    Messages are sent, and the end comes, under one lock. So no message arrives unseen after the last
    look into the inbox, and a thread that finds an actor dead finds its end recorded.
    """

    def __init__(self, actor: pykka.Actor, store: papyra.PersistenceBackend) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self._store = store
        self._inbox = actor.actor_inbox
        self._who = {"actor": type(actor).__name__, "urn": actor.actor_urn}
        self._failed = False

    def record(self, kind: str, **data: object) -> None:
        """Append a record. A refused one must not end the actor: the store counts it."""
        try:
            self._store.append(papyra.Record(kind, data={**self._who, **data}))
        except papyra.PapyraError as error:
            logging.getLogger(__name__).warning("not recorded: %s", error)

    def lose(self, message: object) -> None:
        """Record a message that the actor will never handle; a request to stop is not one."""
        if not isinstance(message, _ActorStop):
            shown = message if isinstance(message, dict) else repr(message)
            self.record("dead_letter", message=shown)

    def fail(self, error: BaseException | None) -> None:
        """Record why the end comes."""
        self.record("event", what="failed", error=repr(error))
        self._failed = True

    def set(self) -> None:
        """Let the end come, and record it with all that is left in the inbox."""
        with self.lock:
            if self.is_set():
                return
            super().set()
            if not self._failed:
                self.record("event", what="stopped")
            left = []
            while not self._inbox.empty():
                left.append(self._inbox.get())
            for envelope in left:
                self.lose(envelope.message)
                self._inbox.put(envelope)  # Pykka tells those who wait for an answer


class RecordedRef(pykka.ActorRef[Any]):
    """A reference that records what is sent to a dead actor; the sender is told as ever."""

    def __init__(self, actor: pykka.Actor, life: Life) -> None:
        super().__init__(actor)
        self._life = life

    def is_alive(self) -> bool:
        """Tell whether the actor lives; if not, its end is recorded by now."""
        with self._life.lock:
            return super().is_alive()

    def tell(self, message: object) -> None:
        """Send *message*, or record it and raise `pykka.ActorDeadError`."""
        try:
            with self._life.lock:
                super().tell(message)
        except pykka.ActorDeadError:
            self._life.lose(message)
            raise

    def ask(self, message: object, *, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401  Pykka's own
        """Send *message*, or record it; the answer is then `pykka.ActorDeadError`."""
        with self._life.lock:
            alive = self.is_alive()
            answer = super().ask(message, block=False)
        if not alive:
            self._life.lose(message)
        return answer.get(timeout=timeout) if block else answer


class RecordedActor(pykka.ThreadingActor):
    """An actor whose life, and whose dead letters, are kept in *store*."""

    def __init__(self, store: papyra.PersistenceBackend) -> None:
        super().__init__()
        self.store = store
        self.life = self.actor_stopped = Life(self, store)
        self._actor_ref = RecordedRef(self, self.life)

    def on_start(self) -> None:
        """Record the start; an actor with an `on_start` of its own calls this one first."""
        self.life.record("event", what="started")

    # Not on_failure, which Pykka leaves out where on_start or on_stop fails.
    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.life.fail(exception_value)
        super()._handle_failure(exception_type, exception_value, traceback)


class Packer(RecordedActor):
    """Packs orders, and fails at one without an address."""

    def on_receive(self, message: dict[str, int]) -> None:
        """Pack an order."""
        order = message["order"]
        if order % 10 == 0:
            raise LookupError(f"order {order} has no address")
        self.life.record("audit", packed=order)


class Supervisor(RecordedActor):
    """Hands orders to three packers in turn, and replaces one that it finds dead."""

    def on_start(self) -> None:
        """Start the packers."""
        super().on_start()
        self.packers = [Packer.start(self.store) for _ in range(3)]

    def on_receive(self, message: dict[str, int]) -> None:
        """Hand an order on."""
        turn = message["order"] % len(self.packers)
        if not self.packers[turn].is_alive():
            self.packers[turn] = Packer.start(self.store)
        with suppress(pykka.ActorDeadError):  # it died just now: a dead letter
            self.packers[turn].tell(message)

    def on_stop(self) -> None:
        """Stop the packers, once they have packed what they have."""
        for packer in self.packers:
            packer.stop()


def arriving(seconds: float) -> Iterator[int]:
    """Yield the orders of *seconds* as they arrive: seven every five milliseconds."""
    numbers = count(1)
    end = monotonic() + seconds
    while True:
        yield from islice(numbers, 7)
        if monotonic() >= end:
            return
        sleep(0.005)


def run(store: papyra.PersistenceBackend, orders: Iterable[int]) -> int:
    """Have *orders* packed and return their number; by then all actors are dead, and recorded."""
    taken = 0
    supervisor = Supervisor.start(store)
    try:
        for order in orders:
            supervisor.tell({"order": order})
            taken += 1
    finally:
        supervisor.stop()
    return taken


def outcome(records: Iterable[papyra.Record]) -> dict[str, int]:
    """Return how many actors started, stopped and failed, and how many orders became what."""
    names = {"audit": "packed", "dead_letter": "dead letters"}
    return Counter(names.get(record.kind) or record.data["what"] for record in records)


def main(path: str) -> None:
    """Show what the module says."""
    logging.getLogger("pykka").addHandler(logging.NullHandler())  # failures are in the store
    with papyra.open_store(f"json:{path}") as store:
        taken = run(store, arriving(0.2))
        records = store.read()
        became = ", ".join(f"{what} {n}" for what, n in outcome(records).items())
        print(f"orders {taken}: {became}")
        failed = next(record for record in records if record.data.get("what") == "failed")
        for record in records:
            if record.data["urn"] == failed.data["urn"]:
                print(f"  {record.kind:11}  {record.data}")
        for name, n in store.metrics.snapshot().items():
            if n:
                print(name, n)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(os.path.join(directory, "orders.ndjson"))
