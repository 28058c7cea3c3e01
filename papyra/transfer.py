"""Copying one store into another, line by line, as often as it takes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Final, Protocol

from papyra.backend import PersistenceBackend
from papyra.capabilities import Importable
from papyra.errors import UnsupportedError
from papyra.reading.duplicates import copies_in
from papyra.reading.findings import Findings
from papyra.reading.fingerprints import fingerprint
from papyra.reading.foreign_lines import SEALED, Sealer
from papyra.reading.scanner import Line, intact
from papyra.reading.seen_ids import SeenIds, number_in
from papyra.record import Record
from papyra.reports import ImportReport

#: Lines and bytes that are written in one batch.
_LINES: Final = 1000
_BYTES: Final = 1024 * 1024


class Progress(Protocol):
    """A function that is called after each batch."""

    def __call__(self, read: int, copied: int, /) -> None:
        """Take the numbers of records that were read, and copied, so far."""
        ...


def import_store(
    source: PersistenceBackend,
    destination: PersistenceBackend,
    *,
    dry_run: bool = False,
    seal: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """
    Copy the records of *source* that *destination* does not hold, their lines as they are.

    The order is kept, and ids and checksums are those of the source. Records that *destination* holds already are
    passed over, so repeating an interrupted import finishes it. Records without an id (0.3.0's) are compared by
    their contents: of equal ones, only those missing are copied. Damage is reported and not copied. In the source this
    counts as one read, in the destination as writes, a batch each.

    Programs may append to both meanwhile; records that come into the source after the start are left for the next
    import. To know the destination takes a hundred bytes of memory for each record without an id in it, and almost
    none for the others.

    Args:
        source: Nothing in it is changed.
        destination: Compactions, recoveries and other imports there wait until this one is done.
        seal: Also take in lines that other tools wrote: JSON objects with a string kind, a finite
            timestamp and neither _id nor _crc. In the destination each gets an id and a checksum. A
            repeated import compares them by their contents: of equal ones, only those missing are copied.
            An object that `append` would refuse, or that has two equal keys, is still damage; the finding
            says why.
        dry_run: Only report what would be copied; change nothing.
        progress: Called after each batch.

    Raises:
        NotAStoreError: if *source* is not a papyra store; not with *seal*.
        UnsupportedError: if both are one store.
        StoreLockedError: if another import, a compaction or a recovery of *destination* is under way.
        StoreIOError, StoreFailedError, StoreClosedError: as `append` and `read`.
    """
    shared = destination if isinstance(destination, Importable) else None
    if destination is source or (shared is not None and shared._is_same(source)):
        raise UnsupportedError(
            f"{source.source}: a store cannot be imported into itself; name another destination"
        )
    if not seal:
        source._check_ours()
    sealer = Sealer() if seal else None
    findings = Findings()
    alone = nullcontext(lambda: None) if dry_run or shared is None else shared._maintained()
    try:
        with alone as check_alone:
            copy = _Copy(destination, check_alone, dry_run=dry_run, progress=progress)
            present = _Present(destination._lines(newest_first=False), sealer)
            lines = partial(_lines_in, source, findings, sealer)
            # No name holds the stream: what a failed import has read is counted when the stream is freed.
            for record, line in source._count_yielded(lines, findings, is_reported=True):
                copy.take(line, is_present=present.take(record))
            copy.finish()
    except BaseException as error:
        # Otherwise an interrupt may skip the block's exit, if that is a function of Python.
        alone.__exit__(type(error), error, error.__traceback__)
        raise
    return ImportReport(
        dry_run=dry_run,
        read=copy.read,
        copied=copy.copied,
        present=copy.read - copy.copied,
        anomalies=tuple(findings.listed),
        found=findings.found,
    )


def _lines_in(
    store: PersistenceBackend, findings: Findings, sealer: Sealer | None
) -> Iterator[tuple[Record, bytes]]:
    """Yield every record of *store* and its line; the *sealer* seals the lines that other tools wrote."""
    with store._view() as view:
        lines, seen = copies_in(view, store._new_seen_ids)
        for found in intact(lines, findings, places_only=True, seen=seen, reader=sealer):
            yield found.record, found.bytes


class _Present:
    """
    The records that a store holds, each of which is found once.

    Args:
        lines: The lines of the store.
        sealer: Seals lines of the source, unless it is None. It gives them new ids at every import, so they
            are compared by contents with those that earlier imports sealed.
    """

    def __init__(self, lines: Iterable[Line], sealer: Sealer | None) -> None:
        self._sealer = sealer
        self._sealed: Counter[int] = Counter()
        self._ids = SeenIds()
        self._contents: Counter[int] = Counter()
        for found in intact(lines, Findings(), places_only=True):
            if found.record.id is None or number_in(found.record.id) is None:
                self._contents[fingerprint(found.record)] += 1
            else:
                self._ids.add_id(found.record.id)
                if sealer is not None and found.record.id.startswith(SEALED):
                    self._sealed[fingerprint(found.record)] += 1

    def take(self, record: Record) -> bool:
        """Tell whether *record* is present, and take it: once by contents; an id is present from then on."""
        if self._sealer is not None and self._sealer.made(record):
            return _taken(self._sealed, record)
        if record.id is not None and number_in(record.id) is not None:
            return not self._ids.add_id(record.id)
        return _taken(self._contents, record)


def _taken(contents: Counter[int], record: Record) -> bool:
    """Take one like *record* out of *contents*; False if there is none."""
    print_ = fingerprint(record)
    if not contents[print_]:
        return False
    contents[print_] -= 1
    return True


class _Copy:
    """
    Writes lines into the destination, batch by batch.

    Attributes:
        read: Number of records that were read.
        copied: Number of those that the destination did not hold.
    """

    def __init__(
        self,
        destination: PersistenceBackend,
        check_alone: Callable[[], None],
        *,
        dry_run: bool,
        progress: Progress | None,
    ) -> None:
        self.read = self.copied = 0
        self._destination = None if dry_run else destination
        self._check_alone = check_alone
        self._progress = progress
        self._batch: list[bytes] = []
        self._size = 0

    def take(self, line: bytes, *, is_present: bool) -> None:
        """Write *line* with the next batch, unless it *is present*."""
        self.read += 1
        if not is_present:
            self._batch.append(line)
            self._size += len(line)
        if self._size >= _BYTES or len(self._batch) >= _LINES:
            self.finish()

    def finish(self) -> None:
        """Write the lines that wait for a batch."""
        if self._batch:
            if self._destination is not None:
                self._check_alone()
                self._destination._commit(self._batch, is_sealed=True)
            self.copied += len(self._batch)
            self._batch, self._size = [], 0
        if self._progress is not None:
            self._progress(self.read, self.copied)
