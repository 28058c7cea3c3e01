"""Whatever is done to a store in whatever order, it is what a list and ten numbers say."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Final

from faults.outcome import Outcome
from faults.outcome_log import made
from faults.scratch_stores import KINDS, opened
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from papyra import Record, Retention
from papyra.backends.files.store import FileBackend
from papyra.metrics.names import NAMES

_GARBAGE: Final = (b"no record\n", b"\0\0\0\n", b"{}\n", b'{"kind":"event"\n', b"\xff\xfe\n")
#: What a crash may leave behind the last line: no record, and no newline.
_TORN: Final = (b'{"kind":"event","timest', b"\0\0\0\0", b"{")


def run(*, long: bool) -> Outcome:
    """Let hypothesis look for a series of operations that breaks the model; it raises then."""
    steps = 0
    for kind in KINDS:
        machine: type[_Model] = type(f"Model_{kind}", (_Model,), {"kind": kind, "steps": 0})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=400 if long else 25,
                stateful_step_count=50 if long else 25,
                derandomize=not long,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
        steps += machine.steps
    return Outcome("stateful model", f"{steps:,} operations, each with its checks")


class _Model(RuleBasedStateMachine):
    """A store, and beside it the records that it must hold and the counts that it must show."""

    kind: ClassVar[str]
    steps: ClassVar[int]

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="papyra-faults-", dir=_PLACE))
        self.path = self.directory / "store.ndjson"
        self.records: list[Record] = []
        self.expected = dict.fromkeys(NAMES, 0)
        self.number = 0
        #: Damaged lines, and whether the last line is one without a newline.
        self.damaged = 0
        self.is_torn = False
        self.saved: list[str] = []
        self.store = self.opened()
        self.other = self.opened()

    def opened(self, **options: Any) -> FileBackend:
        return opened(self.kind, self.path, lock_timeout=60, **options)

    def new(self, size: int) -> Record:
        self.number += 1
        return made("model", self.number, size)

    def count(self, **moved: int) -> None:
        type(self).steps += 1
        for name, n in moved.items():
            self.expected[name] += n

    def seals(self) -> int:
        """Return the damage that an append meets: a torn tail, which it closes."""
        counted, self.is_torn = self.is_torn, False
        return int(counted)

    @rule(size=st.integers(0, 300))
    def append(self, size: int) -> None:
        record = self.new(size)
        self.store.append(record)
        self.records.append(record)
        self.count(records_written=1, anomaly_detected=self.seals())

    @rule(sizes=st.lists(st.integers(0, 300), max_size=6))
    def append_many(self, sizes: list[int]) -> None:
        records = [self.new(size) for size in sizes]
        assert len(self.store.append_many(records)) == len(records)
        self.records += records
        self.count(records_written=len(records), anomaly_detected=self.seals() if records else 0)

    @rule(size=st.integers(0, 300))
    def another_appends(self, size: int) -> None:
        """Another object, as another process has one."""
        record = self.new(size)
        self.other.append(record)
        self.records.append(record)
        self.seals()
        self.count()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        assert self.store.metrics.snapshot() == self.expected
        self.store = self.opened()
        self.expected = dict.fromkeys(NAMES, 0)
        self.count()

    @precondition(lambda self: self.begins_with_a_line_of_papyras() and not self.is_torn)
    @rule(garbage=st.sampled_from(_GARBAGE))
    def garbage(self, garbage: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(garbage)
        self.damaged += 1
        self.count()

    @precondition(lambda self: self.begins_with_a_line_of_papyras() and not self.is_torn)
    @rule(torn=st.sampled_from(_TORN))
    def tear(self, torn: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(torn)
        self.damaged += 1
        self.is_torn = True
        self.count()

    @precondition(lambda self: self.ends_with_its_last_record())
    @rule(part=st.floats(0, 1, exclude_max=True))
    def cut_the_last_line(self, part: float) -> None:
        content = self.path.read_bytes()
        start = content.rfind(b"\n", 0, -1) + 1
        size = start + int(part * (len(content) - start))
        if size == len(content) - 1:
            return  # the newline alone: the record is whole
        self.path.write_bytes(content[:size])
        self.records.pop()
        self.saved = []  # more than appends happened to the file
        if size > start:
            self.damaged += 1
            self.is_torn = True
        self.count()

    def begins_with_a_line_of_papyras(self) -> bool:
        """Where garbage is all there is, it is somebody else's file."""
        return self.path.exists() and self.path.read_bytes()[:1] == b"{"

    def ends_with_its_last_record(self) -> bool:
        if not self.records or not self.path.exists():
            return False
        last = self.path.read_bytes().split(b"\n")[-2:]
        return last[-1] == b"" and b'"n":%d,' % self.records[-1].data["n"] in last[0]

    @rule()
    def reset(self) -> None:
        assert self.store.metrics.reset() == self.expected
        self.expected = dict.fromkeys(NAMES, 0)
        self.count()

    @rule(limit=st.integers(0, 10))
    def read_the_newest(self, limit: int) -> None:
        found = self.store.read(limit=limit)
        assert found == (self.records[-limit:] if limit else [])
        # How much damage lies between the newest is the store's to say.
        counted = (
            self.store.metrics.snapshot()["anomaly_detected"] - self.expected["anomaly_detected"]
        )
        assert 0 <= counted <= self.damaged
        self.count(records_read=len(found), anomaly_detected=counted)

    @rule()
    def recover(self) -> None:
        report = self.store.recover()
        assert (report.found, report.clean) == (self.damaged, True)
        self.count(recovery_attempts=1, scan_operations=1, anomaly_detected=self.damaged)
        self.damaged, self.is_torn = 0, False
        self.saved = [] if report.quarantine is None else [report.quarantine]

    @precondition(lambda self: self.saved and not self.damaged)
    @rule()
    def undo(self) -> None:
        """The damage is back; nothing else changed but what was appended."""
        before = self.store.read()
        self.store.recover(undo=self.saved.pop())
        report = self.store.scan()
        assert self.store.read() == before
        self.damaged = report.found
        self.is_torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        self.is_torn &= self.path.stat().st_size > 0
        assert self.damaged
        self.count(
            records_read=2 * len(before), scan_operations=1, anomaly_detected=2 * self.damaged
        )

    @rule(keep=st.integers(0, 30))
    def compact(self, keep: int) -> None:
        """By another object: a retention is one object's, and its reads would differ."""
        with self.opened(retention=Retention(max_records=keep)) as store:
            report = store.compact()
            assert store.metrics.snapshot()["anomaly_detected"] == report.found == self.damaged
        self.records = self.records[-keep:] if keep else []
        self.damaged, self.is_torn = 0, False
        self.saved = []
        self.count()

    @invariant()
    def is_what_the_model_says(self) -> None:
        before = self.files()
        assert self.store.read() == self.records
        self.expected["records_read"] += len(self.records)
        self.expected["anomaly_detected"] += self.damaged
        report = self.store.scan()
        assert (report.records, report.found) == (len(self.records), self.damaged)
        self.expected["scan_operations"] += 1
        self.expected["anomaly_detected"] += self.damaged
        assert self.store.metrics.snapshot() == self.expected
        assert self.files() == before

    def files(self) -> dict[str, bytes]:
        """Return the content of every file that is no page of counters."""
        return {p.name: p.read_bytes() for p in self.directory.iterdir() if p.is_file()}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.other.close()
            shutil.rmtree(self.directory)


_PLACE: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
