"""
Every error that papyra raises of its own accord.

    PapyraError
    ├── RecordError (ValueError)        a record that cannot be stored
    ├── CorruptRecordError              a strict read met a damaged line
    ├── UnreadableRecordError           an intact line whose record cannot be read
    ├── StoreURLError (ValueError)      a store URL that names no store
    ├── StoreNotFoundError              there is no store where one was asked for
    ├── NotPublishedError               no counters can be seen from outside
    ├── NotAStoreError                  a file that is not papyra's
    ├── UnsupportedError                this kind of store cannot do that
    ├── UndoError                       a recovery cannot be undone
    ├── StoreClosedError                used after close()
    ├── ForkedStoreError                opened before a fork, used after it
    ├── StoreLockedError                another thread or process held the store for too long
    ├── StoreBusyError                  this very thread is in the middle of a call on the store
    ├── StoreFailedError                an earlier failure made the store read-only
    ├── WriteOutcomeUnknownError        a server was lost before it said what became of a write
    └── StoreIOError (OSError)          the operating system refused

Each message names the place, the cause and what to do; the attributes carry the same as data.
"""


class PapyraError(Exception):
    """The root of papyra's errors."""

    __module__ = "papyra"

    #: The attributes that it is made from, in order: a copy or an unpickled error is made from them again.
    _made_of: "tuple[str, ...]" = ()

    def __reduce__(self) -> "str | tuple[object, ...]":
        """Have an error pickled and copied by what it is made from."""
        if not self._made_of:
            return super().__reduce__()
        return type(self), tuple(getattr(self, name) for name in self._made_of)


class RecordError(PapyraError, ValueError):
    """
    A record cannot be stored: something in it is not valid JSON, or it is too large.

    `Record()` raises it for a bad kind, a bad timestamp or a reserved key. An append raises it for every other
    reason, and counts it as one write error.

    Attributes:
        path: The place of the value in the record, such as ``data['items'][3]``.
    """

    __module__ = "papyra"
    _made_of = ("path", "reason")

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CorruptRecordError(PapyraError):
    """
    A stored record could not be decoded.

    A strict read raises it, and counts as one read error and no records read.

    Attributes:
        source: File path or stream key that holds the record.
        offset: First byte of the damaged line in *source*, or the id of the stream's entry.
    """

    __module__ = "papyra"
    _made_of = ("source", "offset", "reason")

    def __init__(self, source: str, offset: int | str, reason: str) -> None:
        super().__init__(f"{source}, {_at(offset)}: {reason}; recover() can repair it")
        self.source = source
        self.offset = offset
        self.reason = reason


class UnreadableRecordError(PapyraError):
    """
    A line is intact, by its checksum, but its record cannot be read.

    Every read that reaches the line raises this and counts as one read error, because an acknowledged record is never
    left out. Scans count the line as a record; recoveries and compactions keep it byte for byte.

    Attributes:
        source: File path or stream key that holds the line.
        offset: First byte of the line in *source*, or the id of the stream's entry.
    """

    __module__ = "papyra"
    _made_of = ("source", "offset", "reason")

    def __init__(self, source: str, offset: int | str, reason: str) -> None:
        super().__init__(
            f"{source}, {_at(offset)}: the checksum is right, but the record cannot be read: {reason};"
            " nothing was left out or changed; look at the line, and take it out by hand if it is forged"
        )
        self.source = source
        self.offset = offset
        self.reason = reason


class StoreURLError(PapyraError, ValueError):
    """A store URL has an unknown scheme or option, or a value that its option cannot take."""

    __module__ = "papyra"


class StoreNotFoundError(PapyraError):
    """
    The store does not exist, and the caller asked for an existing one.

    Attributes:
        source: The path of that place.
    """

    __module__ = "papyra"
    _made_of = ("source", "reason")

    def __init__(
        self,
        source: str,
        reason: str = "no such store; correct the name, or start the program: its first append makes the store",
    ) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class NotPublishedError(PapyraError):
    """A store's counters cannot be seen from another process; the message says why."""

    __module__ = "papyra"


class NotAStoreError(PapyraError):
    """
    A file that papyra was told to change is not a papyra store.

    Attributes:
        source: The file's path.
    """

    __module__ = "papyra"
    _made_of = ("source",)

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source}: not a papyra store (no line of its first 64 KiB is a record);"
            " nothing was changed; name another path, or move the file away"
        )
        self.source = source


class UnsupportedError(PapyraError):
    """A kind of store cannot do what was asked of it."""

    __module__ = "papyra"


class UndoError(PapyraError):
    """The bytes that a recovery or compaction saved cannot be put back; the message says why."""

    __module__ = "papyra"


class StoreClosedError(PapyraError):
    """A store was used after close(); open it again."""

    __module__ = "papyra"


class ForkedStoreError(PapyraError):
    """A store opened before a fork was used in the child: open it there, after the fork."""

    __module__ = "papyra"


class StoreLockedError(PapyraError):
    """
    Another thread or process held the store for longer than *lock_timeout*.

    Nothing of the call was stored or changed.

    Attributes:
        source: The store, or the part of it, that is locked.
    """

    __module__ = "papyra"
    _made_of = ("source", "waited", "holder")

    def __init__(self, source: str, waited: float, holder: str = "") -> None:
        held = f"held by {holder}" if holder else "held by another thread or process"
        super().__init__(
            f"{source}: {held} for more than {waited:g} s; nothing was changed;"
            " try again, or allow more time with lock_timeout"
        )
        self.source = source
        self.waited = waited
        self.holder = holder


class StoreBusyError(PapyraError):
    """
    A store was called from within one of its own calls, in the same thread: it would wait for itself.

    A finalizer, a weak reference callback or a signal's handler does that when it interrupts such a
    call. Nothing of the call was stored or changed. `append_soon` of the store never raises this.

    Attributes:
        source: The store or counters that are in use.
    """

    __module__ = "papyra"
    _made_of = ("source",)

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source}: this very thread is in the middle of a call on it, which a finalizer, a weak"
            " reference callback or a signal handler interrupted; nothing was changed;"
            " append with append_soon() there"
        )
        self.source = source


class StoreFailedError(PapyraError):
    """
    The store cannot vouch for what it wrote, so it takes no more; reading goes on.

    The operating system could not bring written bytes to the disk, or could not take them back. These bytes may or may
    not survive, and a second fsync would not tell: Linux marks the pages clean after the first failure. So the failure
    is final for this store object. Look at the disk, then close the store and open it again.
    """

    __module__ = "papyra"


class WriteOutcomeUnknownError(PapyraError):
    """
    A server was lost between a write and its reply: the records may be stored, or not.

    It counts as one write error of each call whose records are in the batch; all of these calls raise this one
    error. `resend` of the store stores the batch once, whether it was stored before or not.

    Attributes:
        source: The stream's key.
        writer: The first half of the ids of the records in the batch.
        first: The number of its first record, which is the other half.
        lines: Their lines: the records of one call, or of several that were written together.
        time: When it happened, in seconds since the epoch.
        resent: The batch was sent again since, and is stored.
    """

    __module__ = "papyra"
    _made_of = ("source", "reason", "writer", "first", "lines", "time")

    def __init__(  # noqa: PLR0913, PLR0917  all of it is needed to send the batch again
        self,
        source: str,
        reason: str,
        writer: str,
        first: int,
        lines: tuple[bytes, ...],
        time: float,
    ) -> None:
        super().__init__(
            f"{source}: {reason}; whether {len(lines)} {'record is' if len(lines) == 1 else 'records are'}"
            " stored is not known; resend() of the store makes sure of it, once the server is back"
        )
        self.source = source
        self.reason = reason
        self.writer = writer
        self.first = first
        self.lines = lines
        self.time = time
        self.resent = False

    @property
    def ids(self) -> list[str]:
        """The ids of the records in the batch."""
        return [f"{self.writer}-{self.first + n}" for n in range(len(self.lines))]


class StoreIOError(PapyraError, OSError):
    """
    The operating system, or a server, refused something that a store needs.

    An `OSError`: `errno`, `strerror` and `filename` are set, and its cause is the original.
    """

    __module__ = "papyra"

    def __init__(self, errno: int | None, strerror: str, filename: str) -> None:
        super().__init__(errno, strerror, filename)

    def __str__(self) -> str:
        """Return the place and the cause, and what to do if papyra knows it."""
        return f"{self.filename}: {self.strerror}"


def _at(offset: int | str) -> str:
    return f"byte {offset}" if isinstance(offset, int) else f"entry {offset}"


def not_copied(source: str) -> TypeError:
    """Return why the store object of *source* can be neither pickled nor copied."""
    return TypeError(
        f"{source}: a store object cannot be pickled or copied, since its locks and descriptors are its"
        " own; pass its URL or path, and open it there"
    )
