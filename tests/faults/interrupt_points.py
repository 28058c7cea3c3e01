"""Every operation interrupted at every point where Python delivers a signal, and what is left then."""

import gc
import json
import random
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from unittest import mock

from faults.interrupt_world import OPERATIONS, PRECIOUS, WORLDS, Operation, World, descriptors
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog
from faults.scratch_stores import scratch
from faults.striking import Strike, Struck, armed

from papyra import NotPublishedError, Record
from papyra.backends.files import background_sync
from papyra.metrics.names import NAMES
from papyra.metrics.totals import RESET_DONE

#: How far apart two interrupts are at most, in ticks.
_FARTHEST: Final = 2000


class Tried(NamedTuple):
    """
    What came of interrupting one operation.

    Attributes:
        points: How often it was interrupted.
        failures: What was wrong, and where the interrupt had struck.
    """

    points: int
    failures: list[str]


def each_point(
    name: str,
    kind: str,
    place: Path,
    *,
    step: int = 1,
    seed: str = "",
    until_wrong: bool = False,
) -> Tried:
    """Interrupt the operation at each point, or at one of *step* points, about."""
    chance = random.Random(f"{seed}/{name}/{kind}")
    tick, tried, failures = 1 + chance.randrange(7 * step - 6), 0, []
    with _ready() as strike:
        while True:
            struck, found = _interrupted(name, kind, place, strike, tick, 0)
            failures += found
            if not struck or (failures and until_wrong):
                return Tried(tried, failures)
            tried += 1
            tick = struck[0] + 1 + chance.randrange(2 * 7 * (step - 1) + 1)


def pairs(name: str, kind: str, place: Path, *, n: int, seed: str = "") -> Tried:
    """Interrupt the operation *n* times at two points that are drawn at random."""
    chance = random.Random(f"{seed}/{name}/{kind}/pairs")
    failures = []
    with _ready() as strike:
        length = _length(name, kind, place, strike)
        for _ in range(n):
            gap = int(_FARTHEST ** chance.random())
            failures += _interrupted(name, kind, place, strike, chance.randint(1, length), gap)[1]
    return Tried(n, failures)


class _ready:  # noqa: N801  it is used like a function
    """Arm the striker, with no sync in the background meanwhile."""

    def __enter__(self) -> Strike:
        self._armed = armed()
        self._still = mock.patch.object(background_sync, "INTERVAL", 3600.0)
        self._still.start()
        return self._armed.__enter__()

    def __exit__(self, *_: object) -> None:
        self._armed.__exit__(None, None, None)
        self._still.stop()


def _length(name: str, kind: str, place: Path, strike: Strike) -> int:
    world = _prepared(name, kind, place)
    length = strike(partial(OPERATIONS[name].act, world), 0).length
    _close(world)
    return length


def _prepared(name: str, kind: str, place: Path) -> World:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    world = WORLDS[kind](place)
    OPERATIONS[name].prepare(world)
    return world


def _interrupted(
    name: str, kind: str, place: Path, strike: Strike, tick: int, gap: int
) -> tuple[tuple[int, ...], list[str]]:
    """Return the ticks at which it was interrupted, and what was wrong then."""
    shutil.rmtree(place, ignore_errors=True)
    before = descriptors()
    where, ticks, found = _left_behind(
        OPERATIONS[name], _prepared(name, kind, place), strike, tick, gap
    )
    if left := descriptors() - before:
        gc.collect()
        if left := descriptors() - before:
            found.append(f"they stay open: {', '.join(sorted(left))}")
    return ticks, [f"{what}: {kind}, {name}, ticks {ticks}, at {where}" for what in found]


def _left_behind(
    operation: Operation, world: World, strike: Strike, tick: int, gap: int
) -> tuple[str, tuple[int, ...], list[str]]:
    """Interrupt it; return where, and what was wrong while the traceback was alive."""
    counted = world.store.metrics.totals()
    struck = strike(partial(operation.act, world), tick, gap)
    found = list(_wrongs(operation, world, struck, counted))
    _close(world)
    return str(struck), struck.ticks, found


def _close(world: World) -> None:
    for store in world.opened:
        store.close()


def _wrongs(
    operation: Operation, world: World, struck: Struck, before: dict[str, int]
) -> Iterator[str]:
    """Yield what is wrong, with the traceback of the interrupt alive."""
    if struck.error is not None and not isinstance(struck.error, KeyboardInterrupt):
        yield f"it raised {struck.error!r}"
    yield from _moved(operation, before, world.store.metrics.totals())
    _note_resets(world, struck.error)
    if world.is_damaged and PRECIOUS not in world.data + world.removed:
        yield "the damaged bytes are gone"
    if left := world.left():
        yield left
    try:
        if world.is_closed_next:
            world.store.close()
        elif not world.store.closed:
            yield from _used(world)
        if world.is_shared:
            yield from _used_by_others(world)
        _close(world)
    except Exception as error:  # noqa: BLE001  that is the finding
        yield f"then it raised {error!r}"
    else:
        yield from _records(world)


def _moved(operation: Operation, before: dict[str, int], after: dict[str, int]) -> Iterator[str]:
    """Yield what was counted too much, or as two outcomes."""
    moved = {name: after[name] - before[name] for name in NAMES}
    written = moved.pop("records_written")
    holds = (
        all(0 <= moved[name] <= operation.counts.get(name, 0) for name in moved)
        and not (written and moved["write_errors"])
        and not (moved["records_read"] and moved["read_errors"])
        and moved["recovery_failures"] <= moved["recovery_attempts"]
        and moved["compaction_errors"] <= moved["compactions_triggered"]
    )
    if not holds:
        yield f"it counted {_nonzero(moved | {'records_written': written})}"


def _note_resets(world: World, error: BaseException | None) -> None:
    while error is not None:
        for note in getattr(error, "__notes__", ()):
            if note.startswith(RESET_DONE):
                world.resets.append(json.loads(note.removeprefix(RESET_DONE)))
        error = error.__context__


def _used(world: World) -> Iterator[str]:
    """Use the very object that was interrupted."""
    world.append()
    if world.lost is not None:
        world.resend()
    if not world.is_shared:  # once it is closed nobody can look
        yield from _missing(world, world.store.read(strict=True))


def _used_by_others(world: World) -> Iterator[str]:
    """Use the store, and everything of it, by another object that waits for nobody."""
    other = world.open()
    world.append(other)
    other.read()
    for saved in other.quarantined() if world.can_undo else ():
        if not saved.obstacle:
            other.recover(undo=saved.id)
        elif "all that it says was removed is there" not in saved.obstacle:
            yield f"the quarantine: {saved.obstacle}"
    if world.is_damaged and world.can_undo and PRECIOUS not in world.data:
        yield "the damaged bytes cannot be put back"
    other.compact()
    with suppress(NotPublishedError):
        world.reset()


def _missing(world: World, records: Collection[Record]) -> Iterator[str]:
    """Compare what is stored with what was acknowledged or taken."""
    stored = Counter(record.id for record in records)
    contents = Counter(record.data["n"] for record in records if record.data["who"] == "world")
    lost = set(world.acknowledged[-world.kept :] if world.kept else world.acknowledged)
    if lost - set(stored):
        yield f"lost: {sorted(lost - set(stored))}"
    if set(world.taken) - set(contents):
        yield f"lost, of those taken: {sorted(set(world.taken) - set(contents))}"
    if twice := [each for each, n in (stored | contents).items() if n > 1]:
        yield f"twice: {twice}"


def _records(world: World) -> Iterator[str]:
    """Yield what is wrong with records and counters once all is closed."""
    written = world.store.metrics.totals()["records_written"]
    if written != world.store._stored:
        yield f"{world.store._stored} stored by the object, {written} counted"
    if not world.is_shared:
        yield from _reported(world, world.store.metrics.snapshot(), world.store.metrics.totals())
        return
    last = world.open()
    # So that its own counts are published, too.
    world.append(last)
    records = last.read(strict=True)
    last.close()
    yield from _missing(world, records)
    totals = Counter(dict.fromkeys(NAMES, 0))
    for store in world.opened:
        totals.update(store.metrics.totals())
    if world.kept is None and len(records) != totals["records_written"]:
        yield f"{len(records)} stored, {totals['records_written']} counted"
    with suppress(NotPublishedError):
        shown = world.counters.read()
        if (published := shown.totals()) != dict(totals):
            yield f"published {_nonzero(published)}, counted {_nonzero(totals)}"
        # A store's own reset is of its own counters: they add up all the same.
        yield from _reported(world, shown.snapshot(), published)


def _reported(world: World, snapshot: dict[str, int], totals: dict[str, int]) -> Iterator[str]:
    """Yield what resets did not tell."""
    reported = Counter[str]()
    for counts in (*world.resets, snapshot):
        reported.update(counts)
    if _nonzero(reported) != _nonzero(totals):
        yield f"resets and snapshot: {_nonzero(reported)}, totals: {_nonzero(totals)}"


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in counts.items() if n}


def run(*, long: bool) -> Outcome:
    """Interrupt every operation of memory and files at each point, and at pairs of points."""
    outcome_log, tried = every(("memory", "json", "rotating"), step=1 if long else 40)
    return outcome_log.outcome("interrupts", tried)


def every(kinds: Collection[str], *, step: int) -> tuple[OutcomeLog, str]:
    """Interrupt every operation of these *kinds* at one of *step* points, and at pairs of points."""
    outcome_log = OutcomeLog()
    singles = doubles = 0
    seed = str(random.random())
    with scratch() as directory:
        for name, operation in OPERATIONS.items():
            for kind in operation.kinds:
                if kind not in kinds:
                    continue
                place = directory / "place"
                one = each_point(name, kind, place, step=step, seed=seed)
                two = pairs(name, kind, place, n=500 if step == 1 else 5, seed=seed)
                singles += one.points
                doubles += two.points
                for failure in (*one.failures, *two.failures):
                    outcome_log.note("broken", failure)
    return outcome_log, f"{singles:,} points, {doubles:,} pairs"
