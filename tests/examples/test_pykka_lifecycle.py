"""examples/pykka_lifecycle.py: every life and every lost message is in the store."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest
from stores import counts

import papyra


@pytest.fixture(scope="module")
def example(load: Callable[[str], Any]) -> Any:
    return load("pykka_lifecycle")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[papyra.PersistenceBackend]:
    """An open store; no actor outlives it."""
    with papyra.open_store(f"json:{tmp_path}/actors.ndjson") as store:
        yield store
        pykka.ActorRegistry.stop_all()


def lives(records: list[papyra.Record]) -> dict[str, list[papyra.Record]]:
    """Return the records of each actor, in order."""
    by_urn: dict[str, list[papyra.Record]] = {}
    for record in records:
        by_urn.setdefault(record.data["urn"], []).append(record)
    return by_urn


def reported(records: list[papyra.Record]) -> list[Any]:
    """Return what happened, without whom it happened to."""
    return [
        record.data.get("what", record.data.get("packed", record.data.get("message")))
        for record in records
    ]


def barrier(example: Any, store: papyra.PersistenceBackend) -> tuple[Any, threading.Event]:
    """Return an actor that handles nothing until the event is set, and the event."""
    opened = threading.Event()

    class Barrier(example.RecordedActor):  # type: ignore[misc]  # loaded by its path
        def on_receive(self, message: Any) -> None:
            opened.wait()
            if message == "fail":
                raise ValueError("as told")

    return Barrier.start(store), opened


def test_the_program_accounts_for_every_order(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = tmp_path / "orders.ndjson"

    code, output, errors = run("pykka_lifecycle", path)

    assert (code, errors) == (0, "")
    orders, *became = re.findall(r"(?:(\w+) )?(\w+) (\d+)", output.splitlines()[0])
    number = {" ".join(filter(None, names)): int(n) for *names, n in [orders, *became]}
    assert number["orders"] == number["packed"] + number["failed"] + number["dead letters"]
    assert number["started"] == number["stopped"] + number["failed"]
    with papyra.open_store(f"json:{path}") as store:
        records = store.read()
    assert output.endswith(f"\nrecords_written {len(records)}\nrecords_read {len(records)}\n")
    assert len(records) == sum(number.values()) - number["orders"]


def test_each_order_is_packed_or_fails_its_packer_or_is_a_dead_letter(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    taken = example.run(store, range(1, 201))

    records = store.read()
    packed = [r.data["packed"] for r in records if r.kind == "audit"]
    failed = [int(r.data["error"].split()[1]) for r in records if r.data.get("what") == "failed"]
    letters = [r.data["message"]["order"] for r in records if r.kind == "dead_letter"]
    assert taken == 200
    assert sorted(packed + failed + letters) == list(range(1, 201))
    assert {order % 10 for order in failed} == {0}
    assert store.metrics.snapshot() == counts(
        records_written=len(records), records_read=len(records)
    )


def test_each_actor_starts_first_and_ends_once_and_then_does_nothing_more(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    example.run(store, range(1, 201))

    for life in lives(store.read()).values():
        kinds = [record.kind for record in life]
        events = [record.data["what"] for record in life if record.kind == "event"]
        assert events in (["started", "stopped"], ["started", "failed"])
        assert kinds[0] == "event"
        end = len(kinds) - 1 - kinds[::-1].index("event")
        assert set(kinds[1:end]) <= {"audit"}
        assert set(kinds[end + 1 :]) <= {"dead_letter"}
        orders = [order for order in reported(life) if isinstance(order, int)]
        assert orders == sorted(orders)


def test_what_is_in_the_inbox_of_an_actor_that_stops_is_dead_letters(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    ref, opened = barrier(example, store)
    ref.tell("handled")
    stopping = ref.stop(block=False)
    ref.tell({"n": 1})
    answer = ref.ask({"n": 2}, block=False)
    ref.stop(block=False)
    ref.tell(3.5)
    opened.set()
    assert stopping.get() is True

    assert reported(store.read()) == ["started", "stopped", {"n": 1}, {"n": 2}, "3.5"]
    with pytest.raises(pykka.ActorDeadError):
        answer.get()
    assert store.metrics.snapshot() == counts(records_written=5, records_read=5)


def test_what_is_in_the_inbox_of_an_actor_that_fails_is_dead_letters(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    ref, opened = barrier(example, store)
    ref.tell("fail")
    ref.tell({"n": 1})
    opened.set()
    ref.stop()

    (life,) = lives(store.read()).values()
    assert reported(life) == ["started", "failed", {"n": 1}]
    assert life[1].data["error"] == "ValueError('as told')"
    assert {record.data["actor"] for record in life} == {"Barrier"}


def test_a_message_to_a_dead_actor_is_a_dead_letter_and_its_sender_is_told(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    ref, opened = barrier(example, store)
    opened.set()
    proxy = ref.proxy()
    ref.stop()

    with pytest.raises(pykka.ActorDeadError):
        ref.tell({"n": 1})
    with pytest.raises(pykka.ActorDeadError):
        ref.ask({"n": 2})
    with pytest.raises(pykka.ActorDeadError):
        proxy.on_receive("by proxy").get()
    assert ref.stop() is False

    *others, last = reported(store.read())
    assert others == ["started", "stopped", {"n": 1}, {"n": 2}]
    assert last.startswith("ProxyCall(")


def test_an_exception_that_an_asker_gets_ends_no_actor(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    ref, opened = barrier(example, store)
    opened.set()
    with pytest.raises(ValueError, match="as told"):
        ref.ask("fail")
    assert ref.ask("well") is None
    ref.stop()
    assert reported(store.read()) == ["started", "stopped"]


def test_an_actor_that_fails_at_its_start_or_its_stop_is_recorded(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    class Stillborn(example.RecordedActor):  # type: ignore[misc]  # loaded by its path
        def on_start(self) -> None:
            super().on_start()
            raise ValueError("at its start")

    class Clumsy(example.RecordedActor):  # type: ignore[misc]  # likewise
        def on_stop(self) -> None:
            raise ValueError("at its stop")

    Stillborn.start(store).stop()
    Clumsy.start(store).stop()

    stillborn, clumsy = lives(store.read()).values()
    assert reported(stillborn) == ["started", "failed"]
    assert reported(clumsy) == ["started", "stopped", "failed"]


def test_actors_live_on_where_their_store_refuses_and_the_store_counts_it(
    example: Any, store: papyra.PersistenceBackend, caplog: pytest.LogCaptureFixture
) -> None:
    ref, opened = barrier(example, store)
    opened.set()
    ref.ask("started by now")
    store.close()

    assert ref.ask("still there") is None
    assert ref.stop() is True

    assert store.metrics.snapshot() == counts(records_written=1, write_errors=1)
    (warning,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert warning.getMessage().startswith("not recorded: ")
    assert warning.getMessage().endswith("the store is closed; open it again")


class CheckedLock:
    """A lock that tells when somebody has to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.wanted = threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.wanted.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_an_actor_does_not_end_while_a_message_is_on_its_way(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    ref, opened = barrier(example, store)
    on_its_way, go_on = threading.Event(), threading.Event()
    lock = ref._life.lock = CheckedLock()
    ref.tell({"n": 0})  # which is handled once the gate is opened: until then it cannot end
    stopping = ref.stop(block=False)
    inbox = ref.actor_inbox

    def put_slowly(envelope: Any) -> None:
        del inbox.put  # once is enough
        on_its_way.set()
        go_on.wait()
        inbox.put(envelope)

    inbox.put = put_slowly
    sender = threading.Thread(target=ref.tell, args=({"n": 1},))
    sender.start()
    on_its_way.wait()
    opened.set()
    end_waits = lock.wanted.wait(10)
    go_on.set()
    sender.join()

    assert end_waits
    assert stopping.get() is True
    assert reported(store.read()) == ["started", "stopped", {"n": 1}]


def test_a_message_that_races_with_the_end_is_handled_or_a_dead_letter(
    example: Any, store: papyra.PersistenceBackend
) -> None:
    class Counting(example.RecordedActor):  # type: ignore[misc]  # loaded by its path
        def on_receive(self, message: dict[str, int]) -> None:
            handled.append(message["n"])

    handled: list[int] = []
    refused: list[int] = []
    under_way = threading.Barrier(5)

    def send(sender: int, ref: Any) -> None:
        for n in range(sender, 2000, 4):
            if n == 400 + sender:
                under_way.wait()
            try:
                ref.tell({"n": n})
            except pykka.ActorDeadError:
                refused.append(n)

    ref = Counting.start(store)
    threads = [threading.Thread(target=send, args=(n, ref)) for n in range(4)]
    for thread in threads:
        thread.start()
    under_way.wait()
    ref.stop()
    for thread in threads:
        thread.join()

    letters = [r.data["message"]["n"] for r in store.read(kind="dead_letter")]
    assert sorted(handled + letters) == list(range(2000))
    assert set(refused) <= set(letters)
