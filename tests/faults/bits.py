"""Files cut at every byte, and with every bit flipped: each costs the lines that it touches."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from faults.checked_store import CheckedStore
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.scratch_stores import KINDS, data_files, opened, scratch

from papyra import Record

_LEGACY: Final = Path(__file__).parents[1] / "data" / "papyra-0.3.0"


def cut(*, long: bool) -> Outcome:
    """Cut each file of a store at every byte."""
    outcome_log = OutcomeLog()
    tried = 0
    for kind in KINDS:
        with scratch() as directory:
            store = _Sample(kind, directory, outcome_log, records=24 if long else 4)
            for file, content in store.files.items():
                for size in range(len(content)):
                    tried += 1
                    store.damage(file, content[:size], at=size)
    return outcome_log.outcome("file cut at every byte", f"{tried:,} cuts")


def flip(*, long: bool) -> Outcome:
    """Flip every bit of each file; in the short form one of several, at random."""
    outcome_log = OutcomeLog()
    tried = 0
    for kind in KINDS:
        with scratch() as directory:
            store = _Sample(kind, directory, outcome_log, records=9 if long else 5)
            for file, content in store.files.items():
                bits = range(8 * len(content))
                for bit in bits if long else random.sample(bits, len(bits) // 12):
                    tried += 1
                    damaged = bytearray(content)
                    damaged[bit // 8] ^= 1 << bit % 8
                    store.damage(file, bytes(damaged), at=bit // 8)
    return outcome_log.outcome("every bit flipped", f"{tried:,} flips")


def cut_legacy(*, long: bool) -> Outcome:
    """Cut each file that Papyra 0.3.0 wrote at one byte in three; in the short form at some."""
    outcome_log = OutcomeLog()
    tried = 0
    step = 3 if long else 60
    for sample in sorted(_LEGACY.rglob("*")):
        if sample.suffix not in {".ndjson", ".log"} or not sample.stat().st_size:
            continue
        content = sample.read_bytes()
        with scratch() as directory:
            path = directory / "store.ndjson"
            for size in range(random.randrange(step), len(content), step):
                tried += 1
                path.write_bytes(content[:size])
                _check_legacy(path, content, size, outcome_log)
                shutil.rmtree(directory / "store.ndjson.quarantine", ignore_errors=True)
    return outcome_log.outcome("0.3.0's files cut", f"{tried:,} cuts")


class _Sample:
    """
    A small store of known bytes, to be damaged again and again.

    Attributes:
        files: The content of each of its files.
    """

    def __init__(
        self, kind: str, directory: Path, outcome_log: OutcomeLog, *, records: int
    ) -> None:
        self._kind = kind
        self._outcome_log = outcome_log
        self._path = directory / "store.ndjson"
        with opened(kind, self._path) as store:
            ids = [store.append(made("sample", n, size=n)) for n in range(records)]
        self.files = {file: file.read_bytes() for file in data_files(self._path)}
        #: Each id's file, and where its line begins and ends there.
        self._lines = dict(zip(ids, _lines_of(self.files), strict=True))

    def damage(self, file: Path, content: bytes, *, at: int) -> None:
        """Try a store whose *file* has another *content*, from or at one byte on."""
        for other, whole in self.files.items():
            other.write_bytes(whole)
        file.write_bytes(content)
        is_cut = len(content) < len(self.files[file])
        untouched = [
            id_
            for id_, (where, start, stop) in self._lines.items()
            # A record that lost its newline alone is whole, and a flipped newline touches two.
            if where != file or stop - is_cut <= at or (not is_cut and at < start - 1)
        ]
        with opened(self._kind, self._path) as store:
            checked_store = CheckedStore(store, self._outcome_log)
            checked_store.is_damaged = True
            self._outcome_log.check_records(checked_store.do("read"), untouched)
            checked_store.append(made("after", 1))
            self._outcome_log.check_records(store.read(), untouched + checked_store.acknowledged)
            checked_store.do("recover")
            checked_store.is_damaged = False
            found = checked_store.do("scan").anomalies
            reported = f"at byte {at} of {file.name}, {content[at - 1 : at + 2]!r}: {found}"
            self._outcome_log.expect("broken", reported, holds=not found)
            self._outcome_log.check_records(
                checked_store.do("read"), untouched + checked_store.acknowledged
            )
        self._clear()

    def _clear(self) -> None:
        for path in self._path.parent.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _lines_of(files: dict[Path, bytes]) -> Iterator[tuple[Path, int, int]]:
    for file, content in files.items():
        start = 0
        for line in content.splitlines(keepends=True):
            yield file, start, start + len(line)
            start += len(line)


def _check_legacy(path: Path, content: bytes, size: int, outcome_log: OutcomeLog) -> None:
    """Expect the records of all lines before the cut, in their order, and those alone."""
    lines = content[:size].split(b"\n")
    whole = [line for line in lines[:-1] if _is_record(line)]
    # What is left of the last line may be whole but for its newline.
    expected = whole + [line for line in lines[-1:] if _is_record(line)]
    with opened("json", path) as store:
        found = store.read()
        _compare(found, expected, content[:size], outcome_log)
        store.append(made("after", 1))
        _compare(store.read()[:-1], expected, content[:size], outcome_log)
        store.recover()
        outcome_log.expect("broken", "a scan after recover", holds=store.scan().clean)
        _compare(store.read()[:-1], expected, content[:size], outcome_log)


def _compare(
    found: list[Record], expected: list[bytes], content: bytes, outcome_log: OutcomeLog
) -> None:
    known = [(parsed["kind"], parsed["timestamp"]) for parsed in map(_parsed, expected)]
    there = Counter((record.kind, record.timestamp) for record in found)
    if missing := [key for key in known if key not in there]:
        outcome_log.note("lost", f"{missing!r:.200}", len(missing))
    # Of a line that two appends of 0.3.0's share, papyra may read both: each, as often as it stands.
    for (kind, timestamp), times in there.items():
        stands = content.count(f'"timestamp": {timestamp!r}'.encode())
        outcome_log.expect("duplicated", f"{kind} of {timestamp}", holds=times <= stands)


def _is_record(line: bytes) -> bool:
    try:
        parsed = _parsed(line)
        return isinstance(parsed["kind"], str) and isinstance(parsed["timestamp"], (int, float))
    except (ValueError, LookupError, TypeError):
        return False


def _parsed(line: bytes) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(line.strip(b"\0\r"))
    return parsed
