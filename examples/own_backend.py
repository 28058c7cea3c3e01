"""
A store of your own, from papyra's five primitives: here on SQLite.

    with SqliteBackend("actors.sqlite", retention=papyra.Retention(max_records=1000)) as store:
        store.append(papyra.Record("event", data={"actor": "local:42", "what": "started"}))

Ids, checksums, filters, retention, scan, recover, compact and all ten counters are inherited:
nothing below counts. A store knows bytes, and keeps three promises: an append stores all of its
lines or none, a reader sees one moment, and a rewrite replaces nothing before its rewrite filter
has finished. SQLite's transactions keep them, for any number of threads and processes; appends wait
while a rewrite runs, at most *lock_timeout* seconds, since SQLite has one writer at a time.

Run as a program, it damages one of three records and prints the results of scan and recover.
"""

import os
import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from time import monotonic

import papyra
from papyra.primitives import MAX_LINE, Line, RewriteFilter, Rewritten, Sync

_ROW = "(number INTEGER PRIMARY KEY, line BLOB NOT NULL CHECK (typeof(line) = 'blob'))"
# The length alone of a line that is longer than any record may be.
_READ = "SELECT number, iif(length(line) > ?, length(line), line) FROM lines ORDER BY number "
_SAVE = "INSERT INTO quarantine SELECT ?, ?, number, substr(line, ?, ?) FROM lines WHERE number = ?"
_SYNCHRONOUS = {"none": "OFF", "interval": "NORMAL", "always": "FULL"}


class SqliteBackend(papyra.PersistenceBackend):
    """A row for each line, in a database that is made where it is missing."""

    kind = "sqlite"
    survives_fork = False  # a child may neither use nor close a connection of its parent's

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        retention: papyra.Retention | None = None,
        sync: Sync = "interval",
        lock_timeout: float = 5.0,
    ) -> None:
        super().__init__(retention=retention, sync=sync, lock_timeout=lock_timeout)
        self.source = os.path.realpath(path)
        self.name = os.path.splitext(os.path.basename(self.source))[0]
        with self._connection() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"CREATE TABLE IF NOT EXISTS lines {_ROW}")
            db.execute("CREATE TABLE IF NOT EXISTS quarantine (id, type, number, bytes)")
        self._writer: sqlite3.Connection = self._connect()
        self._writer.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[sync]}")

    def _append(
        self,
        lines: Sequence[bytes],
        *,
        deadline: float,
        may_wait: bool,  # noqa: ARG002  it always waits for the disk, so asyncio appends in a thread
    ) -> list[papyra.Anomaly]:
        db, before = self._writer, self._stored
        try:
            db.execute(f"PRAGMA busy_timeout = {max(0, round(1000 * (deadline - monotonic())))}")
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO lines (line) VALUES (?)", [(line,) for line in lines])
            # Before COMMIT, because an interrupt (Ctrl-C) may strike between any two calls: nothing
            # is left to do once the rows are stored.
            self._stored = before + len(lines)
            db.execute("COMMIT")
        except sqlite3.Error as error:  # if COMMIT itself raised, no row is stored
            self._stored = before
            db.rollback()
            raise self._refusal(error) from error
        except BaseException:
            if db.in_transaction:  # otherwise it came after COMMIT: rows and number stay
                self._stored = before
                db.rollback()
            raise
        return []

    def _lines(self, *, newest_first: bool) -> Iterator[Line]:
        order = "DESC" if newest_first else "ASC"
        with self._connection() as db:  # one SELECT sees one moment, whatever is written meanwhile
            for number, line in db.execute(_READ + order, (MAX_LINE,)):
                yield (self.source, str(number)), line

    def _check(self) -> Iterable[papyra.Anomaly]:
        with self._connection() as db:
            return [
                papyra.Anomaly("corrupted_line", self.source, f"quick_check {n}", 0, fault)
                for n, (fault,) in enumerate(db.execute("PRAGMA quick_check"))
                if fault != "ok"
            ]

    def _rewrite(self, rewrite_filter: RewriteFilter) -> Rewritten:
        # Otherwise an append of this very thread, from a finalizer, would wait for it for ever.
        return self._queue.alone(self, partial(self._rewrite_alone, rewrite_filter))

    def _rewrite_alone(self, rewrite_filter: RewriteFilter) -> Rewritten:
        before, after, removed, saved = 0, 0, 0, os.urandom(4).hex()
        with self._connection() as db:  # closing it takes back what is not committed
            db.execute("BEGIN IMMEDIATE")
            rewrite_filter.begin(self._lines)
            db.execute(f"CREATE TABLE kept {_ROW}")
            for number, line in db.execute(_READ, (MAX_LINE,)):
                before += line if isinstance(line, int) else len(line)
                whole: bytes = b"" if isinstance(line, int) else line  # too long: damage, all of it
                for start, stop, anomaly in rewrite_filter((self.source, str(number)), line):
                    if anomaly is None:
                        kept = whole[start:stop].removesuffix(b"\n") + b"\n"
                        db.execute("INSERT INTO kept (line) VALUES (?)", (kept,))
                        after += len(kept)
                    elif start < stop:
                        db.execute(_SAVE, (saved, anomaly.type, start + 1, stop - start, number))
                        removed += stop - start
            rewrite_filter.finish(self.source)
            db.execute("DROP TABLE lines")
            db.execute("ALTER TABLE kept RENAME TO lines")
            db.execute("COMMIT")
        return Rewritten(before, after, removed, saved if removed else None)

    def _close(self) -> None:
        if not self._forked:
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.source, timeout=self._lock_timeout, isolation_level=None, check_same_thread=False
        )

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        try:
            with closing(self._connect()) as db:
                yield db
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def _refusal(self, error: sqlite3.Error) -> papyra.PapyraError:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return papyra.StoreLockedError(self.source, self._lock_timeout)
        return papyra.StoreIOError(None, str(error), self.source)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, SqliteBackend(f"{place}/actors.sqlite") as store:
        store.append_many(papyra.Record("event", data={"n": n}) for n in (1, 2, 3))
        store._writer.execute("UPDATE lines SET line = substr(line, 1, 30) WHERE number = 2")
        print("scan:   ", store.scan().anomalies[0].type)
        print("recover:", store.recover().removed, "bytes removed")
        print("left:   ", [record.data for record in store.read()])
        print("counted:", {name: n for name, n in store.metrics.snapshot().items() if n})
