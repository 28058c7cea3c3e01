"""The ten counters by name: everything that lists them, or checks a name, is made from this table."""

import operator
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

#: The names, for type checkers.
CounterName: TypeAlias = Literal[
    "records_written",
    "write_errors",
    "records_read",
    "read_errors",
    "scan_operations",
    "anomaly_detected",
    "recovery_attempts",
    "recovery_failures",
    "compactions_triggered",
    "compaction_errors",
]


class Counter(NamedTuple):
    """
    One row of `COUNTERS`.

    Attributes:
        name: Its key in a snapshot; the same in every exporter, after their prefix.
        unit: OpenTelemetry's annotation, in braces.
        meaning: One line for people, and the HELP text of Prometheus.
    """

    name: CounterName
    unit: str
    meaning: str


#: The counters in the specification's order: everything that lists them is made from this.
COUNTERS: Final = (
    Counter("records_written", "{record}", "Records whose write was acknowledged."),
    Counter("write_errors", "{error}", "Write calls that failed."),
    Counter("records_read", "{record}", "Records handed out by reads that succeeded."),
    Counter("read_errors", "{error}", "Read calls that failed."),
    Counter("scan_operations", "{scan}", "Scans started."),
    Counter("anomaly_detected", "{anomaly}", "Damages found, by any operation."),
    Counter("recovery_attempts", "{recovery}", "Recoveries started."),
    Counter("recovery_failures", "{recovery}", "Recoveries that failed or left damage."),
    Counter("compactions_triggered", "{compaction}", "Compactions started."),
    Counter("compaction_errors", "{error}", "Compactions that failed."),
)

#: The names in that order, as the keys of every snapshot.
NAMES: Final[tuple[str, ...]] = tuple(counter.name for counter in COUNTERS)


def checked(unsupported: Iterable[str], where: str) -> frozenset[str]:
    """Return *unsupported* as a set, or raise what is wrong with it."""
    if isinstance(unsupported, str) or not isinstance(unsupported, Iterable):
        raise TypeError(
            f"{where} must be a set of names of counters, got {unsupported!r}; write, for example,"
            ' frozenset({"compaction_errors"})'
        )
    names = tuple(unsupported)
    unknown = [name for name in names if name not in NAMES]  # of a tuple: it may have no hash
    if unknown:
        raise ValueError(f"{where}: {not_a_counter(min(unknown, key=repr))}")
    return frozenset(names)


def not_a_counter(name: object) -> str:
    """Return what is wrong with *name*, and the nearest one that is right."""
    from difflib import get_close_matches  # noqa: PLC0415  which costs more than the rest of this module

    near = get_close_matches(name, NAMES, 1) if isinstance(name, str) else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{name!r:.80} is not a counter; {hint}the ten are {', '.join(NAMES)}"


def misnamed(name: object) -> Exception:
    """Return the error for *name*, which is not a counter."""
    if isinstance(name, str):
        return ValueError(not_a_counter(name))
    return TypeError(f"name must be a string, the name of a counter, got {name!r:.80}")


def whole(n: object) -> int:
    """
    Return *n* as an int.

    Raises:
        TypeError: if it is not an integer, or a bool.
    """
    try:
        if not isinstance(n, bool):
            return operator.index(n)  # type: ignore[arg-type]  # raises for what is not one
    except TypeError:
        pass
    raise TypeError(f"n must be an integer, by how much the counter rises, got {n!r:.80}")
