"""The counters' page, from `papyra.COUNTERS` and from what each store declares."""

from typing import Final

import papyra
from papyra.backends.redis import RedisBackend
from reference import markdown

#: The rule of each counter: what it counts and does not count. It is longer than the counter's line of help.
_RULES: Final = {
    "records_written": (
        'Records whose write was acknowledged: stored and, with `sync="always"`, on the disk.',
        "Failed writes, retries, rewrites by a compaction or recovery.",
    ),
    "write_errors": (
        (
            "Write calls whose records are not acknowledged, whatever the cause: not valid JSON, disk full, locked,"
            " closed. An `append_many` is one."
        ),
        "Damage that an append meets.",
    ),
    "records_read": (
        "Records that successful reads returned. A stream counts when it ends.",
        "Records that scan, recover and compact look at; reads that raised.",
    ),
    "read_errors": ("Read calls that raised.", "Damaged lines that were skipped."),
    "scan_operations": (
        "Scans that were started. Each recovery, and each dry run of one, includes one.",
        "Reads; `papyra scan` of files in a shell, which publishes nothing.",
    ),
    "anomaly_detected": (
        "[Damages](../anomalies.md) that any operation found; each once an operation.",
        "The same damage twice in one operation.",
    ),
    "recovery_attempts": (
        "Recoveries that were started.",
        "Dry runs; an undo of a recovery, which counts nothing.",
    ),
    "recovery_failures": (
        "Recoveries that raised, or left damage.",
        "Files beside the store that do not belong to it.",
    ),
    "compactions_triggered": (
        "Compactions that were started.",
        "Dry runs; compactions that were refused or answered with no.",
    ),
    "compaction_errors": ("Compactions that raised.", "Dry runs that raised."),
}
_BACKENDS: Final = (
    ("Memory", papyra.MemoryBackend),
    ("JSON", papyra.JsonBackend),
    ("Rotating", papyra.RotatingBackend),
    ("Redis", RedisBackend),
)
_INTRODUCTION = """\
Every store object has these ten counters. They are whole numbers that start at 0 when the object is made.
`store.metrics` holds the counts of that object alone; `papyra.open_counters(url)` and `papyra metrics persistence`
hold the sum over all programs. [The ten counters](../explanation/counters.md) says which of them to alert on, and how
not to export them."""
_READING = """\
`snapshot()` returns what was counted since the last reset, and `totals()` what was counted since the store object
was made. `reset()` starts a new interval and returns the one that ends. All three return a new dict of ten ints, in
the order of the table.

```python
import papyra

store = papyra.open_store("memory:")
store.append(papyra.Record("event"))

print(store.metrics.snapshot()["records_written"])
print(store.metrics.reset()["records_written"])
print(store.metrics.snapshot()["records_written"], store.metrics.totals()["records_written"])
```

```text
1
1
0 1
```

The results of all resets and the last snapshot add up to the totals. The outcome of a write decides what is
counted, not the place where an exception struck. After an interrupt anywhere in an append, the number of stored
records equals `records_written`. After `kill -9` a store may hold a few records more, which were written and not
yet acknowledged; never fewer."""
_NAMES = """\
Exporters read the totals, so a reset never makes an exported counter fall. Prometheus adds `_total` to the name of a
counter. Each series has the labels `papyra_backend_kind` and `papyra_store_name`; the sum over all programs also has
`papyra_scope="store"`. The text is the instrument's description in OpenTelemetry, and the HELP text in Prometheus."""
_MATRIX = """\
A counter that a store does not support stays at 0. `memory:` drops and reports in `compact()` what any store would
drop, but does not count the compaction."""


def make() -> str:
    """Return the page."""
    rules = [[f"`{counter.name}`", *_RULES[counter.name]] for counter in papyra.COUNTERS]
    names = [
        [
            f"`papyra.persistence.{counter.name}`",
            f"`{counter.unit}`",
            f"`papyra_persistence_{counter.name}_total`",
            counter.meaning,
        ]
        for counter in papyra.COUNTERS
    ]
    columns = [counter.name for counter in papyra.COUNTERS]
    matrix = [
        [name, *("No" if column in backend.unsupported else "Yes" for column in columns)]
        for name, backend in _BACKENDS
    ]
    return markdown.page(
        "Counters",
        "papyra.COUNTERS and tests/reference/counters.py",
        _INTRODUCTION,
        markdown.table(["counter", "counts", "does not count"], rules),
        "## Reading and resetting",
        _READING,
        "## Names in exporters",
        _NAMES,
        markdown.table(["OpenTelemetry", "unit", "Prometheus", "text"], names),
        "## Which store supports which counter",
        _MATRIX,
        markdown.table(["Backend", *columns], matrix),
    )
