"""Each step that protects the store is needed: without it a crash, or another process, harms."""

from pathlib import Path

import pytest
from faults.exploring import Explorer, recorded, scratch
from faults.kills import Kills
from faults.mutants import MUTANTS
from faults.power import PowerCuts
from faults.trace import obstacle

from servers import missing

_EXPLORERS: dict[str, type[Explorer]] = {"kill": Kills, "power cut": PowerCuts}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_store_that_lacks_a_step_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := obstacle():
        missing(reason)
    mutant = MUTANTS[name]
    mutant.apply(monkeypatch.setattr)

    with scratch() as place:
        explorer = _EXPLORERS[mutant.crash](Path(place), long=False, until_wrong=True)
        explorer.explore(recorded(Path(place), [mutant.task], mutant=name))

    print(f"{name}: {explorer.tried.total()} crash states; {explorer.shown}")
    assert not explorer.outcome.flawless
