"""Each step that protects the store is needed: without it a crash, or another process, harms."""

import errno
import os
from pathlib import Path

import pytest
from faults.crash_points import CrashPoints
from faults.exploring import Explorer, recorded, scratch
from faults.mutants import MUTANTS
from faults.mutated import MUTANTS as TEXTS
from faults.outcome import UnavailableError
from faults.power import PowerCuts
from faults.text_mutant import ROOT, TextMutant
from stores import event, numbers

from papyra import JsonBackend, Retention, RotatingBackend, StoreIOError
from papyra.backends.files import active_file, concurrent_swap
from servers import missing

_EXPLORERS: dict[str, type[Explorer]] = {"kill": CrashPoints, "power cut": PowerCuts}


@pytest.mark.faults
@pytest.mark.parametrize("name", MUTANTS)
def test_a_store_that_lacks_a_step_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    mutant.apply(monkeypatch.setattr)

    with scratch() as place:
        explorer = _EXPLORERS[mutant.crash](Path(place), long=False, until_wrong=True)
        try:
            explorer.explore(recorded(Path(place), [mutant.task], mutant=name))
        except UnavailableError as reason:
            missing(str(reason))

    print(f"without: {name}; {explorer.outcome}")
    assert not explorer.outcome.flawless


@pytest.mark.parametrize("mutant", TEXTS, ids=lambda mutant: mutant.lacks)
def test_a_step_that_is_taken_out_of_the_text_is_there_and_has_a_test(mutant: TextMutant) -> None:
    text = (ROOT / "papyra" / mutant.module).read_text()
    compile(mutant.applied(text), mutant.module, "exec")  # else each test would notice
    file, _, name = mutant.test.partition("::")
    assert f"\ndef {name}(" in (ROOT / file).read_text()


@pytest.mark.faults
@pytest.mark.parametrize("kept", [True, False])
def test_without_taking_back_what_a_failed_write_left_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    def half_written(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: 3 * len(data) // 4])
        raise OSError(errno.ENOSPC, "no space")

    with JsonBackend(tmp_path / "store.ndjson") as store:
        store.append(event(1))
        monkeypatch.setattr("papyra.backends.files.store.write_all", half_written)
        if not kept:
            monkeypatch.setattr(os, "ftruncate", lambda *_: None)
        with pytest.raises(StoreIOError):
            store.append_many([event(2), event(3)])

        assert numbers(store.read()) == ([1] if kept else [1, 2])


@pytest.mark.faults
@pytest.mark.parametrize("kept", [True, False])
def test_without_a_new_generation_a_compaction_loses_what_another_appends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    # Else a look at the path, now and then, hides it.
    monkeypatch.setattr(active_file, "_LOOK_EVERY", 3600.0)
    if not kept:
        monkeypatch.setattr(concurrent_swap, "bump_generation", lambda _: None)
    path = tmp_path / "store.ndjson"

    with JsonBackend(path) as store, JsonBackend(path, retention=Retention(max_records=1)) as other:
        store.append_many([event(1), event(2)])
        other.compact()
        store.append(event(3))

        assert numbers(store.read()) == ([2, 3] if kept else [2])


@pytest.mark.faults
@pytest.mark.parametrize("kept", [True, False])
def test_without_a_new_generation_a_rotation_mixes_up_what_another_appends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    monkeypatch.setattr(active_file, "_LOOK_EVERY", 3600.0)
    path = tmp_path / "store.ndjson"

    with RotatingBackend(path, max_bytes=400) as store, RotatingBackend(path, max_bytes=1) as other:
        store.append(event(1))
        if not kept:
            monkeypatch.setattr(active_file, "bump_generation", lambda _: None)
        other.append(event(2))
        store.append(event(3))

        assert numbers(store.read()) == ([1, 2, 3] if kept else [1, 3, 2])
