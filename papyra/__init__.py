"""
Persistence for actor systems that counts what it does, exactly, and shows it to Prometheus.

    store = papyra.open_store("json:actors.ndjson")
    store.append(papyra.Record("event", data={"actor": "local:42", "what": "started"}))
    print(store.read(limit=10), store.metrics.snapshot())

Names load with their first use, so that `import papyra` costs next to nothing.
"""

# Type checkers know the name; importing typing would cost more than all of the rest here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from papyra.backend import PersistenceBackend
    from papyra.backends.files.json_file import JsonBackend
    from papyra.backends.files.rotating import RotatingBackend
    from papyra.backends.memory import MemoryBackend
    from papyra.errors import (
        CorruptRecordError,
        ForkedStoreError,
        NotAStoreError,
        NotPublishedError,
        PapyraError,
        RecordError,
        StoreBusyError,
        StoreClosedError,
        StoreFailedError,
        StoreIOError,
        StoreLockedError,
        StoreNotFoundError,
        StoreURLError,
        UndoError,
        UnreadableRecordError,
        UnsupportedError,
        WriteOutcomeUnknownError,
    )
    from papyra.metrics.mixin import PersistenceMetricsMixin
    from papyra.metrics.names import COUNTERS, CounterName
    from papyra.metrics.persistence import PersistenceMetrics
    from papyra.record import Record
    from papyra.reports import (
        Anomaly,
        CompactionReport,
        ImportReport,
        Quarantined,
        RecoveryReport,
        ScanReport,
        Step,
    )
    from papyra.retention import Retention
    from papyra.store_url import open_counters, open_store
    from papyra.transfer import import_store

__all__ = [
    "COUNTERS",
    "Anomaly",
    "CompactionReport",
    "CorruptRecordError",
    "CounterName",
    "ForkedStoreError",
    "ImportReport",
    "JsonBackend",
    "MemoryBackend",
    "NotAStoreError",
    "NotPublishedError",
    "PapyraError",
    "PersistenceBackend",
    "PersistenceMetrics",
    "PersistenceMetricsMixin",
    "Quarantined",
    "Record",
    "RecordError",
    "RecoveryReport",
    "Retention",
    "RotatingBackend",
    "ScanReport",
    "Step",
    "StoreBusyError",
    "StoreClosedError",
    "StoreFailedError",
    "StoreIOError",
    "StoreLockedError",
    "StoreNotFoundError",
    "StoreURLError",
    "UndoError",
    "UnreadableRecordError",
    "UnsupportedError",
    "WriteOutcomeUnknownError",
    "import_store",
    "open_counters",
    "open_store",
]

_MODULES = {
    "papyra.backend": ["PersistenceBackend"],
    "papyra.backends.files.json_file": ["JsonBackend"],
    "papyra.backends.files.rotating": ["RotatingBackend"],
    "papyra.backends.memory": ["MemoryBackend"],
    "papyra.errors": [name for name in __all__ if name.endswith("Error")],
    "papyra.transfer": ["import_store"],
    "papyra.metrics.names": ["COUNTERS", "CounterName"],
    "papyra.metrics.mixin": ["PersistenceMetricsMixin"],
    "papyra.metrics.persistence": ["PersistenceMetrics"],
    "papyra.record": ["Record"],
    "papyra.reports": [
        "Anomaly",
        "CompactionReport",
        "ImportReport",
        "Quarantined",
        "RecoveryReport",
        "ScanReport",
        "Step",
    ],
    "papyra.retention": ["Retention"],
    "papyra.store_url": ["open_counters", "open_store"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> "Any":  # noqa: ANN401  any of the names
    from importlib import import_module  # noqa: PLC0415  it costs as much as typing

    if name == "exposition":
        return import_module("papyra.exposition")
    if name == "__version__":
        return import_module("importlib.metadata").version("papyra")
    if name not in _HOMES:
        raise AttributeError(f"module 'papyra' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
