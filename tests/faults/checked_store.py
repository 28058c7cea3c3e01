"""A store whose every operation is compared with what it counted."""

from collections.abc import Callable
from typing import Any

from faults.outcome_log import OutcomeLog

from papyra import PapyraError, PersistenceBackend, StoreFailedError
from papyra.metrics.names import NAMES

#: What an operation must count, given what it was called with and returned; None if it raised.
_Rule = Callable[[tuple[Any, ...], Any], dict[str, int]]


class CheckedStore:
    """
    Runs the operations of a store, and compares whole snapshots before and after.

    Attributes:
        acknowledged: The ids that appends returned.
        uncertain: Records that may be stored though no call returned: it was interrupted, or
            the sync failed.
        error: Why the last operation failed; None if it did not.
        failures: Operations that failed.
        is_damaged: Appends and reads may meet damage.
        is_final: A sync failed, so that no append may succeed any more.
    """

    def __init__(self, store: PersistenceBackend, outcome_log: OutcomeLog) -> None:
        self.store = store
        self.acknowledged: list[str] = []
        self.uncertain = 0
        self.error: BaseException | None = None
        self.failures = 0
        self.is_damaged = False
        self.outcome_log = outcome_log
        self.is_final = False

    def append(self, *records: Any) -> None:
        """Append one record, or several in one batch."""
        if len(records) == 1:
            id_ = self.do("append", *records)
            ids = [] if id_ is None else [id_]
        else:
            ids = self.do("append_many", records) or []
        self.acknowledged += ids
        if isinstance(self.error, (StoreFailedError, KeyboardInterrupt)):
            self.uncertain += len(records)
        if self.is_final:
            what = f"after a failed sync an append ended with {self.error!r}"
            self.outcome_log.expect("broken", what, holds=isinstance(self.error, StoreFailedError))
        self.is_final |= isinstance(self.error, StoreFailedError)

    def do(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Return what *operation* returned; None, and `error`, where it raised."""
        before = self.store.metrics.totals()
        answer, self.error = None, None
        try:
            answer = getattr(self.store, operation)(*arguments, **options)
        except (PapyraError, KeyboardInterrupt) as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  what is no error of papyra's is a finding
            self.error = error
            self.outcome_log.note("broken", f"{operation} raised {error!r}")
        self.failures += self.error is not None
        after = self.store.metrics.totals()
        moved = {name: after[name] - before[name] for name in NAMES if after[name] != before[name]}
        reported = operation if "undo" not in options else "undo"
        self._check(reported, moved, _RULES[reported](arguments, answer))
        return answer

    def _check(self, operation: str, moved: dict[str, int], expected: dict[str, int]) -> None:
        if self.is_damaged and operation in {"append", "append_many", "read"}:
            moved.pop("anomaly_detected", None)
        if self.error is not None:
            # What it had found, and whether its scan had begun, when it failed.
            for name in ("anomaly_detected", "scan_operations"):
                moved.pop(name, None)
                expected.pop(name, None)
        allowed = [expected]
        if isinstance(self.error, KeyboardInterrupt) and operation.startswith("append"):
            # Not queued yet, withdrawn, or written all the same.
            allowed += [{}, {"records_written": moved.get("records_written", 0)}]
        what = f"{operation} counted {moved}, not {expected} ({self.error!r})"
        self.outcome_log.expect("miscounted", what, holds=moved in [_moving(a) for a in allowed])


def _moving(expected: dict[str, int]) -> dict[str, int]:
    return {name: n for name, n in expected.items() if n}


def _append(_: tuple[Any, ...], answer: Any) -> dict[str, int]:
    return {"write_errors": 1} if answer is None else {"records_written": 1}


def _append_many(_: tuple[Any, ...], answer: Any) -> dict[str, int]:
    return {"write_errors": 1} if answer is None else {"records_written": len(answer)}


def _read(_: tuple[Any, ...], answer: Any) -> dict[str, int]:
    return {"read_errors": 1} if answer is None else {"records_read": len(answer)}


def _scan(_: tuple[Any, ...], answer: Any) -> dict[str, int]:
    return {"scan_operations": 1, "anomaly_detected": 0 if answer is None else answer.found}


def _compact(_: tuple[Any, ...], answer: Any) -> dict[str, int]:
    if answer is None:
        return {"compactions_triggered": 1, "compaction_errors": 1}
    return {"compactions_triggered": 1, "anomaly_detected": answer.found}


def _recover(arguments: tuple[Any, ...], answer: Any) -> dict[str, int]:
    if answer is None:
        return {"recovery_attempts": 1, "recovery_failures": 1}
    left = any(anomaly.type != "unexpected_file" for anomaly in answer.remaining)
    return {"recovery_attempts": 1, "recovery_failures": int(left)} | _scan(arguments, answer)


def _nothing(_: tuple[Any, ...], _answer: Any) -> dict[str, int]:
    return {}


_RULES: dict[str, _Rule] = {
    "append": _append,
    "append_many": _append_many,
    "read": _read,
    "scan": _scan,
    "compact": _compact,
    "recover": _recover,
    "undo": _nothing,
    "close": _nothing,
}
