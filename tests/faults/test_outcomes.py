"""Each fault, tried for a short while: nothing goes wrong, and enough was tried."""

import re

import pytest
from faults import (
    beside_compaction,
    bits,
    crash_points,
    damaged,
    fragments,
    full_disk,
    interrupt_points,
    interrupted,
    memory,
    model,
    mutated,
    nth_call,
    power,
    redis_connections,
    redis_interrupts,
    redis_servers,
    redis_side_by_side,
    side_by_side,
    sigkill,
    surroundings,
)
from faults.discovery import discovered
from faults.outcome import Fault, UnavailableError

from servers import missing

pytestmark = pytest.mark.faults

#: Every fault, and how often it is to be tried at the least.
FAULTS: dict[Fault, int] = {
    bits.cut: 600,
    bits.flip: 400,
    bits.cut_legacy: 250,
    damaged.torn_tail: 200,
    damaged.invalid_utf8: 20,
    damaged.recovered_twice: 20,
    fragments.served: 720,
    nth_call.run: 300,
    crash_points.run: 2_500,
    power.run: 6_000,
    sigkill.run: 60,
    full_disk.disk: 4,
    full_disk.limit: 14,
    model.run: 1000,
    mutated.text: 3,
    side_by_side.run: 4000,
    interrupt_points.run: 700,
    interrupted.storm: 160,
    interrupted.fork: 50,
    interrupted.stopped: 12,
    beside_compaction.run: 300,
    memory.run: 8,
    surroundings.clock: 36,
    surroundings.read_only: 12,
    redis_interrupts.run: 150,
    redis_connections.cut: 200,
    redis_connections.unknown: 12,
    redis_servers.killed: 8,
    redis_servers.stopped: 10,
    redis_servers.full: 30,
    redis_servers.replica: 10,
    redis_side_by_side.run: 2000,
}


def test_every_fault_is_tried() -> None:
    assert set(discovered().values()) == set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_nothing_goes_wrong(fault: Fault) -> None:
    try:
        outcome = fault(long=False)
    except UnavailableError as reason:
        missing(str(reason))
    print(outcome)
    assert outcome.flawless
    first = re.match(r"[\d,]+", outcome.tried)
    assert first is not None
    assert int(first[0].replace(",", "")) >= FAULTS[fault]
