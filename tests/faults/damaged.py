"""Damage that crashes and strangers leave, and what people do about it."""

import random
from pathlib import Path

from faults.checked_store import CheckedStore
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.scratch_stores import KINDS, data_files, opened, scratch

from papyra.format.codec import has_checksum


def torn_tail(*, long: bool) -> Outcome:
    """Cut the last line at every byte, and append."""
    outcome_log = OutcomeLog()
    tried = 0
    for kind in KINDS:
        for number in range(10 if long else 1):
            with scratch() as directory:
                path = directory / "store.ndjson"
                with opened(kind, path) as store:
                    ids = [store.append(made("before", n, 10 * number)) for n in range(4)]
                before = data_files(path)
                content = path.read_bytes()
                start = content.rfind(b"\n", 0, -1) + 1
                for size in range(start + 1, len(content) - 1):
                    path.write_bytes(content[:size])
                    with opened(kind, path) as store:
                        ids_after = [store.append(made("after", n)) for n in range(2)]
                        outcome_log.check_records(store.read(), ids[:-1] + ids_after)
                    _check_lines(path, outcome_log)
                    for file in data_files(path):
                        if file not in before:
                            file.unlink()
                    tried += 1
    return outcome_log.outcome("torn last line, then appends", f"{tried:,} torn lines")


def _check_lines(path: Path, outcome_log: OutcomeLog) -> None:
    """Expect each record on a line of its own, though papyra reads one behind a torn line, too."""
    for file in data_files(path):
        for line in file.read_bytes().splitlines(keepends=True):
            is_glued = line.endswith(b'"}\n') and not has_checksum(line)
            outcome_log.expect("glued", f"{line!r}", holds=not is_glued)


def invalid_utf8(*, long: bool) -> Outcome:
    """Put one byte that is not UTF-8 into one of 100 lines, and read, scan, compact, recover."""
    outcome_log = OutcomeLog()
    tried = 0
    for kind in KINDS:
        for _ in range(100 if long else 10):
            with scratch() as directory:
                path = directory / "store.ndjson"
                with opened(kind, path, sync="none") as store:
                    ids = store.append_many([made("one", n) for n in range(100)])
                lines = path.read_bytes().splitlines(keepends=True)
                which = random.randrange(len(lines))
                lines[which] = lines[which].replace(b'"pad":"', b'"pad":"\xff')
                path.write_bytes(b"".join(lines))
                del ids[which]
                with opened(kind, path) as store:
                    checked_store = CheckedStore(store, outcome_log)
                    checked_store.is_damaged = True
                    for operation in random.sample(("read", "scan", "compact", "recover"), 4):
                        checked_store.do(operation)
                        error = checked_store.error
                        outcome_log.expect("broken", f"{operation}: {error!r}", holds=error is None)
                    outcome_log.check_records(store.read(strict=True), ids)
                tried += 1
    return outcome_log.outcome("one byte that is not UTF-8", f"{tried:,} stores of 100 records")


def recovered_twice(*, long: bool) -> Outcome:
    """Damage a store, recover it, append, and recover it again."""
    outcome_log = OutcomeLog()
    tried = 0
    for kind in KINDS:
        for _ in range(100 if long else 10):
            with scratch() as directory:
                path = directory / "store.ndjson"
                with opened(kind, path) as store:
                    checked_store = CheckedStore(store, outcome_log)
                    for number in range(16):
                        checked_store.append(made("before", number))
                for file in data_files(path):
                    file.write_bytes(file.read_bytes() + b'no record\n{"torn')
                with opened(kind, path) as store:
                    again = CheckedStore(store, outcome_log)
                    again.is_damaged = True
                    again.do("recover")
                    again.is_damaged = False
                    again.append(made("after", 1))
                    again.do("recover")
                    outcome_log.expect("broken", "not clean", holds=again.do("scan").clean)
                    reported = checked_store.acknowledged + again.acknowledged
                    outcome_log.check_records(again.do("read"), reported)
                tried += 1
    return outcome_log.outcome("recovered twice", f"{tried:,} stores")
