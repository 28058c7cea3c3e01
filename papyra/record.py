"""The entry of a store: a record with a kind, a timestamp and data; knows nothing of JSON."""

import time
from math import isfinite
from typing import Any, Final

from papyra.errors import RecordError

#: Names at the top level of a line that are not the data's.
RESERVED: Final = frozenset({"kind", "timestamp", "_id", "_crc"})
_MAX_KIND: Final = 255
#: The first integer that `float` refuses.
_BEYOND_FLOATS: Final = 2**1024 - 2**970


class Record:
    """
    One entry of a store; immutable.

    Args:
        kind: What it is: "event", "audit" and "dead_letter" by convention; 1 to 255 characters.
        timestamp: Wall-clock time in seconds since the epoch; now, if left out.
        data: A JSON object with any keys but kind, timestamp, _id and _crc at its top level.
            The dict is not copied; mutating it later changes the record.

    Attributes:
        id: Given by the store that holds it, unique over all stores; None before storing and
            for lines of Papyra 0.3.0. It takes no part in comparisons.

    Raises:
        RecordError: for a bad kind or timestamp, or a reserved key. An append refuses every other value that
            JSON cannot hold.
    """

    __module__ = "papyra"

    __slots__ = ("data", "id", "kind", "timestamp")
    __match_args__ = ("kind", "timestamp", "data")

    kind: str
    timestamp: float
    data: dict[str, Any]
    id: str | None

    def __init__(
        self, kind: str, *, timestamp: float | None = None, data: dict[str, Any] | None = None
    ) -> None:
        if timestamp is None:
            timestamp = time.time()
        elif not is_time(timestamp):
            raise RecordError(
                "timestamp", f"must be a finite number of seconds, got {_shown(timestamp)}"
            )
        if data is None:
            data = {}
        elif isinstance(data, dict) and not RESERVED.isdisjoint(
            data if type(data) is dict else _held(data)
        ):
            refuse_reserved(data)
        if (
            not isinstance(kind, str)
            or not 0 < (len(kind) if type(kind) is str else str.__len__(kind)) <= _MAX_KIND
        ):
            raise RecordError(
                "kind", f"must be a string of 1 to {_MAX_KIND} characters, got {kind!r:.80}"
            )
        set_kind(self, kind)
        set_timestamp(self, timestamp)
        set_data(self, data)
        set_id(self, None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Record is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Record is immutable: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return (self.kind, self.timestamp, self.data) == (other.kind, other.timestamp, other.data)

    def __hash__(self) -> int:
        return hash((self.kind, self.timestamp))

    def __repr__(self) -> str:
        shown = f"kind={self.kind!r}, timestamp={self.timestamp!r}, data={self.data!r}"
        return f"Record({shown}, id={self.id!r})" if self.id is not None else f"Record({shown})"

    def __reduce__(self) -> tuple[Any, tuple[str, float, dict[str, Any], str | None]]:
        return self._restored, (self.kind, self.timestamp, self.data, self.id)

    @classmethod
    def _restored(
        cls, kind: str, timestamp: float, data: dict[str, Any], id_: str | None
    ) -> "Record":
        """Return the record of a pickle or copy; as a method, so that pickles name the class alone."""
        return restore(kind, timestamp, data, id_)


# The slots' own setters go past __setattr__: a frozen object at the price of a plain one.
set_kind = Record.__dict__["kind"].__set__
set_timestamp = Record.__dict__["timestamp"].__set__
set_data = Record.__dict__["data"].__set__
set_id = Record.__dict__["id"].__set__


def restore(kind: str, timestamp: float, data: dict[str, Any], id_: str | None) -> Record:
    """Return a record without checking its values: the caller has checked them."""
    record = object.__new__(Record)
    set_kind(record, kind)
    set_timestamp(record, timestamp)
    set_data(record, data)
    set_id(record, id_)
    return record


def is_time(value: object) -> bool:
    """Tell whether *value* is a number that a float can hold, and finite; a bool is not one."""
    if type(value) is float:
        return value - value == 0
    if isinstance(value, bool):
        return False
    # The value of a subclass decides, because its own methods may return anything.
    if isinstance(value, float):
        return isfinite(float.__pos__(value))
    return isinstance(value, int) and int.__abs__(value) < _BEYOND_FLOATS


def _shown(value: object) -> str:
    """Return *value* for a message; an integer may have more digits than Python shows."""
    if isinstance(value, int) and not int.__abs__(value) < _BEYOND_FLOATS:
        return "an integer beyond the largest float"
    return f"{value!r:.80}"


def _held(data: Any) -> dict[str, Any]:  # noqa: ANN401  a dict of any subclass
    """Return the items of a dict; methods that a subclass overrides are not asked."""
    return dict.copy(data)


def refuse_reserved(data: dict[str, Any]) -> None:
    """Raise if a name that lines need for themselves is a key of *data*, by its characters."""
    keys = {str.__str__(key) for key in _held(data) if isinstance(key, str)}
    if taken := ", ".join(sorted(RESERVED & keys)):
        raise RecordError("data", f"reserved at its top level: {taken}; use another key")
