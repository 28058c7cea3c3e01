"""What is explored is what happened: a recording, replayed, comes to the files that are there."""

from pathlib import Path

import pytest
from faults.check_crash_state import laid_out
from faults.disk import Disk
from faults.exploring import recorded, scratch
from faults.outcome import UnavailableError
from faults.trace import Call
from faults.workloads import tasks

from servers import missing

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("sync", ["always", "none"])
def test_a_replayed_recording_comes_to_the_same_files(sync: str) -> None:
    disks: dict[str, Disk] = {}
    disk = Disk("/nowhere")
    with scratch() as place:
        try:
            for event in recorded(Path(place), tasks(sync)):
                if isinstance(event, Call):
                    disk.apply(event)
                elif "place" in event.said:
                    disk = disks[event.said["place"]] = Disk(event.said["place"])
                elif "poke" in event.said:
                    disk.poke(event.said["poke"], event.said["at"], event.said["value"])
        except UnavailableError as reason:
            missing(str(reason))

        assert len(disks) == len(tasks(sync))
        for directory, replayed in disks.items():
            assert replayed.tree() == laid_out(Path(directory))
