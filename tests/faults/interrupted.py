"""Programs that are interrupted: by a storm of signals, by a fork, by being stopped."""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from faults import workers
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.process_pool import ProcessPool
from faults.scratch_stores import KINDS, scratch, url

from papyra import ForkedStoreError, PapyraError, StoreLockedError, open_store
from papyra.backends.files.store import FileBackend
from papyra.system.locks import LOCK_SHARED, try_lock


def storm(*, long: bool) -> Outcome:
    """Have a signal arrive all the time, with a handler that does nothing, or raises."""
    outcome_log = OutcomeLog()
    signals = 0
    with scratch() as place, ProcessPool(place) as process_pool:
        for kind in KINDS:
            # Where the handler raises, a short one does with `interrupt_points`, which picks each place.
            for raises in (False, True) if long else (False,):
                for _ in range(6 if long else 1):
                    with scratch() as directory:
                        where = url(kind, directory / "store.ndjson", max_bytes=2000)
                        wanted = 1000 if long else 80
                        found, n = process_pool.call(_storm, where, raises, wanted, random.random())
                        outcome_log.merge(found)
                        signals += n
    return outcome_log.outcome("signal storm", f"{signals:,} signals")


class _Storm(KeyboardInterrupt):
    """What the handler raises."""


def _storm(where: str, raises: bool, wanted: int, seed: float) -> tuple[OutcomeLog, int]:  # noqa: FBT001
    random.seed(seed)
    # What is raised while a generator is collected goes nowhere else, and no call was interrupted.
    sys.unraisablehook = lambda _: None
    outcome_log = OutcomeLog()
    number = signals = 0
    is_armed = False

    def handle(*_: object) -> None:
        nonlocal signals
        signals += 1
        if is_armed and raises:
            raise _Storm

    signal.signal(signal.SIGALRM, handle)
    acknowledged: list[str] = []
    interrupted = failed = 0
    store = open_store(where, lock_timeout=2)
    assert isinstance(store, FileBackend)
    while signals < wanted:
        number += 1
        do = _choice(store, number)
        try:
            is_armed = True
            # Once, and early or late in the call; or again and again.
            signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 2e-3), 0 if raises else 1e-3)
            acknowledged += do()
            is_armed = False
        except _Storm:
            is_armed = False
            interrupted += 1
        except PapyraError as error:
            is_armed = False
            failed += 1
            outcome_log.note("broken", f"{do} ended with {error!r}")
    signal.setitimer(signal.ITIMER_REAL, 0)
    outcome_log.expect("broken", "no signal arrived in a call", holds=not raises or interrupted > 0)
    acknowledged.append(store.append(made("after", 1)))
    stored = outcome_log.check_records(store.read(), acknowledged)
    written = store.metrics.totals()["records_written"]
    reported = f"{len(acknowledged)} <= {written} == {stored}"
    outcome_log.expect("miscounted", reported, holds=len(acknowledged) <= written == stored)
    if not raises:
        outcome_log.expect("miscounted", reported, holds=len(acknowledged) == written)
    store.recover()
    outcome_log.expect("broken", "not clean after recover", holds=store.scan().clean)
    store.close()
    return outcome_log, signals


def _choice(store: FileBackend, number: int) -> Callable[[], list[str]]:
    """Return something to do: most often to append, which gives ids."""

    def append() -> list[str]:
        return [store.append(made("storm", 10 * number, random.randrange(100)))]

    def append_many() -> list[str]:
        return store.append_many([made("storm", 10 * number + n) for n in range(5)])

    def repair() -> list[str]:
        workers.damage(store)
        store.recover()
        return []

    def compact() -> list[str]:
        store.compact()
        return []

    def read() -> list[str]:
        store.read(limit=5)
        return []

    return random.choice((append, append, append, append_many, append_many, repair, compact, read))


def fork(*, long: bool) -> Outcome:
    """Fork while other threads append and look: the child may not use the store, and harms nothing."""
    outcome_log = OutcomeLog()
    forks = 0
    with scratch() as place, ProcessPool(place) as process_pool:
        for kind in KINDS:
            with scratch() as directory:
                where = url(kind, directory / "store.ndjson", max_bytes=4000)
                n = 300 if long else 25
                outcome_log.merge(process_pool.call(_fork, where, directory, n))
                forks += n
    return outcome_log.outcome("fork in flight", f"{forks} forks")


_FORKED_USES: Final = ("append", "read", "scan", "compact", "recover")


def _fork(where: str, directory: Path, forks: int) -> OutcomeLog:
    outcome_log = OutcomeLog()
    done = threading.Event()
    acknowledged: list[str] = []
    store = workers.opened(where)

    def write(who: str) -> None:
        number = 0
        while not done.is_set():
            acknowledged.append(store.append(made(who, number)))
            number += 1

    def look() -> None:
        with workers.opened(where) as beside:
            while not done.is_set():
                beside.read(limit=1)
                beside.scan()

    threads = [threading.Thread(target=write, args=(f"thread {n}",)) for n in range(3)]
    threads.append(threading.Thread(target=look))
    for thread in threads:
        thread.start()
    acks = directory / "acks"
    for number in range(forks):
        child = os.fork()
        if not child:
            os._exit(_in_child(store, where, acks, f"child {number}"))
        _, status = os.waitpid(child, 0)
        outcome_log.expect("broken", f"child {number} ended with {status}", holds=not status)
    done.set()
    for thread in threads:
        thread.join()
    reported = workers.acknowledged(acks)
    outcome_log.expect(
        "broken", f"{len(reported)} children could append", holds=len(reported) == forks
    )
    stored = outcome_log.check_records(store.read(strict=True), acknowledged + reported)
    written = store.metrics.totals()
    exact = written == dict.fromkeys(written, 0) | {
        "records_written": len(acknowledged),
        "records_read": stored,
    }
    outcome_log.expect("miscounted", f"{written}", holds=exact)
    all_ = len(acknowledged) + len(reported)
    outcome_log.expect("duplicated", f"{stored} for {all_}", holds=stored == all_)
    store.close()
    return outcome_log


def _in_child(store: FileBackend, where: str, acks: Path, who: str) -> int:
    """Return 0 if the parent's store is refused and one of the child's own works."""
    refused = 0
    for name in _FORKED_USES:
        arguments: list[Any] = [made(who, 0)] if name == "append" else []
        try:
            getattr(store, name)(*arguments)
        except ForkedStoreError:
            refused += 1
    with workers.opened(where) as own, acks.open("a") as to:
        to.write(own.append(made(who, 1)) + "\n")
    return int(refused != len(_FORKED_USES))


def stopped(*, long: bool) -> Outcome:
    """Stop a process that holds the lock: the others say so in time, and go on when it goes on."""
    outcome_log = OutcomeLog()
    stops = 0
    with scratch() as place, ProcessPool(place) as process_pool:
        for kind in KINDS:
            with scratch() as directory:
                where = url(kind, directory / "store.ndjson", max_bytes=20_000)
                acks = directory / "acks"
                pid = process_pool.start(workers.write, where, acks, "holder", 1, None)
                with open_store(where, lock_timeout=0.05) as store:
                    assert isinstance(store, FileBackend)
                    mine = []
                    for number in range(40 if long else 6):
                        _stop_while_it_holds(pid, Path(store.source + ".lock"))
                        try:
                            store.append(made("too early", number))
                            outcome_log.note("broken", "an append went past a lock")
                        except StoreLockedError as error:
                            named = f"process {pid}" in str(error)
                            outcome_log.expect("broken", f"{error}", holds=named)
                        os.kill(pid, signal.SIGCONT)
                        stops += 1
                        with workers.opened(where) as patient:
                            mine.append(patient.append(made(f"patient {number}", 0)))
                    process_pool.kill(pid)
                    reported = workers.acknowledged(acks) + mine
                    outcome_log.check_records(store.read(strict=True), reported)
                    errors = store.metrics.totals()["write_errors"]
                    holds = errors == (40 if long else 6)
                    outcome_log.expect("miscounted", f"{errors} write errors", holds=holds)
    return outcome_log.outcome("lock holder stopped", f"{stops} stops")


def _stop_while_it_holds(pid: int, lock: Path) -> None:
    while True:
        os.kill(pid, signal.SIGSTOP)
        _wait_until_stopped(pid)
        if lock.exists():
            with lock.open("rb") as file:
                if not try_lock(file.fileno(), LOCK_SHARED):
                    return
        os.kill(pid, signal.SIGCONT)


def _wait_until_stopped(pid: int) -> None:
    stat = Path(f"/proc/{pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "T":
        os.sched_yield()
