"""
What is found of a store after a crash, and whether it is what it must be.

The state is laid out in a directory, and the store opened there as the next program would: it
looks, appends, repairs, undoes the repair, and its counters are read.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from faults.expected_state import Expected
from faults.inodes import Tree
from faults.traced_program import MAX_BYTES, numbered
from stores import counts

from papyra import JsonBackend, Record, RotatingBackend
from papyra.backends.files.store import FileBackend
from papyra.errors import NotPublishedError, PapyraError
from papyra.format.codec import has_checksum
from papyra.metrics.multiprocess import PublishedCounters
from papyra.reports import FILE_ANOMALIES, Anomaly

#: The number of the record that is appended after the crash, and of a large one after it.
_NEXT: Final = 9001
_NEXT_LARGE: Final = 9050
_NAME: Final = "store.ndjson"
#: What a kill alone leaves.
_REMNANTS: Final = frozenset({"truncated_line", "stale_temporary_file"})


class WrongError(Exception):
    """
    What was found is not what it must be.

    Attributes:
        what: "lost", "duplicated", "glued", "miscounted" or "broken", as in `Outcome`.
    """

    def __init__(self, what: str, detail: object) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what


def examine(place: Path, tree: Tree, expected: Expected, kind: str, *, killed: bool) -> None:
    """
    Lay *tree* out in the directory *place*, which is made for it and removed, and look.

    Raises:
        WrongError: at the first thing that is wrong.
    """
    _lay_out(place, tree)
    try:
        _CrashStateCheck(place, tree, expected, kind, killed=killed).perform()
    except (PapyraError, OSError, ValueError, LookupError) as error:
        raise WrongError("broken", f"the store cannot be used: {error!r}") from error
    finally:
        shutil.rmtree(place)


class _CrashStateCheck:
    def __init__(
        self, place: Path, tree: Tree, expected: Expected, kind: str, *, killed: bool
    ) -> None:
        self._path = place / _NAME
        self._tree = tree
        self._expected = expected
        self._kind = kind
        self._killed = killed
        self._appended: list[Record] = []

    def perform(self) -> None:
        expected = self._expected
        if expected.in_place and _NAME not in self._tree:
            _wrong("broken", "there is nothing at the path")
        written = self._written()
        if self._killed:
            flying = len(expected.flying.intersection(_numbers(self._lines())))
            if not expected.acknowledged <= written <= expected.acknowledged + flying:
                _wrong("miscounted", f"{expected} but records_written {written}")
        with self._open() as store:
            self._look(store)
        if self._killed and self._written() != written + len(self._appended):
            _wrong("miscounted", f"{written} became {self._written()}")

    def _look(self, store: FileBackend) -> None:
        before = store.read()
        scan = store.scan()
        if laid_out(self._path.parent) != self._tree:
            _wrong("broken", "a look changed the store")
        self._check_records(before)
        self._check_findings(scan.anomalies, scan.records - len(before))
        lines = self._lines()
        self._append(store)
        after = store.read()
        if after != before + self._appended:
            _wrong("lost", f"{_n(before)} became {_n(after)} by an append")
        self._check_evidence()
        repair = store.recover()
        repaired = store.read()
        again = store.scan()
        if repair.remaining or again.found:
            _wrong("broken", f"after a repair there is {repair.remaining}, {again.anomalies}")
        if repaired != after:
            _wrong("lost", f"{_n(after)} became {_n(repaired)} by a repair")
        kept = self._lines()
        if len(kept) != len(after) or not set(lines).issubset(kept):
            _wrong("lost", "a repair changed an intact line")
        self._check_evidence()
        looks = [_in_lines(scan.anomalies), scan.found, _in_lines(repair.anomalies), repair.found]
        self._check_counts(store, len(before) + len(after) + len(repaired), looks)
        if repair.quarantine is not None:
            store.recover(undo=repair.quarantine)
            if store.read() != after or len(store.scan().anomalies) < looks[2]:
                _wrong("broken", "a repair could not be undone")
            self._check_evidence()

    def _open(self) -> FileBackend:
        if self._kind == "json":
            return JsonBackend(self._path, sync="none")
        return RotatingBackend(self._path, max_bytes=MAX_BYTES, sync="none")

    def _check_records(self, records: list[Record]) -> None:
        """Check that each is there that must, and none that may not be, once and in order."""
        found = [int(record.data["n"]) for record in records]
        in_lines = _numbers(self._lines())
        # Where NULs took a newline's place a record shares its line, and is read all the same.
        seen = found == in_lines if self._killed else set(found).issuperset(in_lines)
        if not seen or records != list(map(numbered, found)):
            _wrong("glued", f"{records} is read, {in_lines} is there")
        if missing := self._expected.must.difference(found):
            _wrong("lost", f"{sorted(missing)} of {found}")
        if strange := set(found) - self._expected.may:
            _wrong("duplicated", f"{sorted(strange)} came back")
        if found != sorted(set(found)):
            _wrong("duplicated", found)

    def _check_findings(self, findings: tuple[Anomaly, ...], uncounted: int) -> None:
        for anomaly in findings:
            content = self._tree.get(os.path.relpath(anomaly.source, self._path.parent))
            known = not self._killed or self._expected.evidence or anomaly.type in _REMNANTS
            if (
                not known
                or anomaly.type in {"unexpected_file", "duplicate_record"}
                or not isinstance(content, bytes)
                or not isinstance(anomaly.stop, int)
                or anomaly.stop > len(content)
            ):
                _wrong("broken", f"a crash leaves no {anomaly}")
        if uncounted:
            _wrong("broken", "a scan and a read see different records")

    def _append(self, store: FileBackend) -> None:
        """Append records; each has a line of its own, and a new segment a number of its own."""
        self._appended.append(numbered(_NEXT))
        store.append(self._appended[-1])
        if self._kind == "rotating":
            self._appended.append(numbered(_NEXT_LARGE))
            store.append(self._appended[-1])
            numbers = [int(path.name[-12:]) for path in self._segments()]
            if max(numbers) <= self._expected.highest:
                _wrong("broken", f"segment {max(numbers)}, after {self._expected.highest}")
        wanted = [record.data["n"] for record in self._appended]
        if _numbers(self._lines())[-len(wanted) :] != wanted:
            _wrong("glued", "a record that was appended has no line of its own")

    def _check_evidence(self) -> None:
        """Check that damaged bytes are in the store, or saved."""
        files = [*self._segments(), self._path, *self._path.parent.glob("*.quarantine/*/removed")]
        contents = [file.read_bytes() for file in files if file.exists()]
        for evidence in self._expected.evidence:
            if not any(evidence.rstrip(b"\n") in content for content in contents):
                _wrong("lost", f"{evidence!r} is neither in the store nor saved")

    def _check_counts(self, store: FileBackend, read: int, looks: list[int]) -> None:
        found = store.metrics.snapshot()
        # Besides both looks, both reads with damage, and the repair, an append may meet the last.
        at_least = sum(looks)
        anomalies = min(max(found["anomaly_detected"], at_least), at_least + looks[0])
        wanted = counts(
            records_written=len(self._appended),
            records_read=read,
            scan_operations=3,
            recovery_attempts=1,
            anomaly_detected=anomalies,
        )
        if found != wanted:
            _wrong("miscounted", f"{found} instead of {wanted}")

    def _written(self) -> int:
        """Return what all programs wrote, as their counters say; 0 where they say nothing yet."""
        if self._killed:
            with suppress(NotPublishedError):
                counters = PublishedCounters(
                    _NAME, f"{self._path}.metrics", kind="json", name=_NAME
                )
                return counters.read().snapshot()["records_written"]
        return 0

    def _segments(self) -> list[Path]:
        return sorted(self._path.parent.glob(f"{_NAME}.{'[0-9]' * 12}"))

    def _lines(self) -> list[bytes]:
        """Return the intact lines of all files, as they are, newlines and NULs apart."""
        return [
            core
            for file in [*self._segments(), self._path]
            if file.exists()
            for line in file.read_bytes().split(b"\n")
            if has_checksum((core := line.strip(b"\0")) + b"\n")
        ]


def _numbers(lines: list[bytes]) -> list[int]:
    return [int(line.partition(b'"n":')[2].partition(b",")[0]) for line in lines]


def _n(records: list[Record]) -> list[object]:
    return [record.data.get("n") for record in records]


def _in_lines(anomalies: tuple[Anomaly, ...]) -> int:
    return sum(anomaly.type not in FILE_ANOMALIES for anomaly in anomalies)


def _wrong(what: str, detail: object) -> NoReturn:
    raise WrongError(what, detail)


def _lay_out(place: Path, tree: Tree) -> None:
    place.mkdir()
    for name in sorted(tree):
        content = tree[name]
        if content is None:
            (place / name).mkdir()
        else:
            (place / name).write_bytes(content)


def laid_out(place: Path) -> Tree:
    """Return all that is in the directory *place*."""
    return dict(_walk(os.fspath(place), ""))


def _walk(place: str, below: str) -> Iterator[tuple[str, bytes | None]]:
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir():
                yield below + entry.name, None
                yield from _walk(entry.path, f"{below}{entry.name}/")
            else:
                with open(entry.path, "rb") as file:
                    yield below + entry.name, file.read()
