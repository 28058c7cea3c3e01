"""Write a large set as Papyra 0.3.0 does, read, scan and compact it, and print the most memory in KiB: PATH."""

import shutil
import sys
from pathlib import Path

from papyra import open_store

path = Path(sys.argv[1])
line = (
    '{"system_id": "local", "actor_address": "a", "event_type": "t", "payload": "%s",'
    ' "timestamp": %d, "kind": "event"}\n'
)
for number in range(4):
    with open(f"{path}.{number + 1}" if number else path, "w") as file:
        file.writelines(
            line % ("x" * 10_000, 2_000_000_000 - number * 2_000 + n) for n in range(2_000)
        )
shutil.copy(f"{path}.4", f"{path}.4.quarantine.1795450896086")
with open_store(f"rotating:{path}") as store:
    assert sum(1 for _ in store.records()) == 8_000
    assert store.scan().records == 8_000
    assert store.compact().kept == 8_000
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
