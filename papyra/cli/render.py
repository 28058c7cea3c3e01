"""Turn reports and counters into lines for people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import papyra
from papyra.cli.output import printable
from papyra.metrics.multiprocess import unpublished_words
from papyra.retention import EARLIEST_WALL_CLOCK

if TYPE_CHECKING:
    from papyra.metrics.totals import CounterTotals
    from papyra.reports import (
        Anomaly,
        CompactionReport,
        ImportReport,
        Quarantined,
        RecoveryReport,
        ScanReport,
    )

#: The store of a command that does not name one.
DEFAULT_STORE: Final = "json:papyra.ndjson"
#: Kinds of dropped records that are named; the others are counted.
_MOST_KINDS: Final = 5
#: Timestamps after this, in the year 9999, are shown as numbers.
_LATEST: Final = 253_402_000_000


def about(source: str, counter_totals: "CounterTotals") -> dict[str, object]:
    """Return the facts about the counters for JSON, with None for what a server does not know."""
    is_known = bool(counter_totals.live or counter_totals.exited)
    return {
        "store": source,
        "since": counter_totals.since,
        "live": counter_totals.live if is_known else None,
        "exited": counter_totals.exited if is_known else None,
        "unpublished": counter_totals.unpublished if is_known else None,
    }


def counters(source: str, counter_totals: "CounterTotals") -> str:
    """Return a table of the ten counters, headed by the store, its store objects and the time of the last reset."""
    since = datetime.fromtimestamp(counter_totals.since).astimezone().isoformat(timespec="seconds")
    owners = (
        f"live    {_count(counter_totals.live, 'store object')}, open now",
        f"exited  {_count(counter_totals.exited, 'store object')}, closed or gone with the process",
    )
    return _text(
        f"store   {source}",
        *(
            owners if counter_totals.live or counter_totals.exited else ()
        ),  # A server does not know which store objects are open.
        f"since   {since}",
        *(
            [f"unseen  {unpublished_words(counter_totals.unpublished)}"]
            if counter_totals.unpublished
            else ()
        ),
        "",
        *_table("COUNT", counter_totals.snapshot()),
    )


def reset(source: str, interval: Mapping[str, int]) -> str:
    """Return a table of the *interval* that ended, and say that the next one has begun."""
    return _text(
        f"store   {source}",
        "",
        *_table("COUNT", interval),
        "",
        "These are the counts of the interval that ended; from now on the counters count from zero.",
    )


def scan(url: str, source: str, report: "ScanReport") -> str:
    """Return a line for each finding and for each file of 0.3.0 to keep, then a summary and what to do."""
    summary = f"{_count(report.records, 'record')} in {_count(report.bytes, 'byte')}"
    kept = [
        f"{file}: left by 0.3.0, with records that are in no other file; keep it"
        for file in report.leftovers
    ]
    if report.clean:
        return _text(*kept, f"{source}: {summary}; no anomalies")
    if all(anomaly.type == "unexpected_file" for anomaly in report.anomalies):
        hint = "no record is damaged; move away the files that do not belong to the store"
    elif any(option.startswith("layout=") for option in url.partition("?")[2].split("&")):
        hint = "the streams of 0.3.0 cannot be written; papyra import copies the intact records"
    else:
        hint = f"{_command('recover --dry-run', url)} shows what a recovery would remove"
        if not report.records:
            hint = f"it holds no record, so check that it is a papyra store; if it is, {hint}"
    return _text(
        *_findings(report.anomalies, report.found),
        *kept,
        f"{source}: {summary}; {_count(report.found, 'anomaly')}; {hint}",
    )


def recovery(source: str, report: "RecoveryReport") -> str:
    """Return a line for each finding, one for each that remains, and a summary."""
    if report.restored or (report.quarantine and not report.found):
        done = "would put" if report.dry_run else "put"
        restored = _count(report.restored, "byte")
        return _text(f"{source}: {done} back {restored} from quarantine {report.quarantine}")
    if not report.found and report.clean:
        return _text(f"{source}: no anomalies; there is nothing to recover")
    found, removed = _count(report.found, "anomaly"), _count(report.removed, "byte")
    if report.dry_run:
        actions = {step.type: step.action for step in report.plan}
        lines = [f"{actions[run.type]}: {run}" for run in _runs(report.anomalies)]
        lines += _unlisted(report.anomalies, report.found)
        summary = f"a recovery would move {removed} to the quarantine; nothing was changed"
        return _text(*lines, f"{source}: {found}; {summary}")
    left = len(report.remaining)
    state = f"{_count(left, 'anomaly')} left in it" if left else "the store is clean now"
    return _text(
        *_findings(report.anomalies, report.found, remaining=report.remaining),
        f"{source}: {found}; {_saved(report)}; {state}",
    )


def _saved(report: "RecoveryReport") -> str:
    if report.quarantine:
        return f"{_count(report.removed, 'byte')} saved in quarantine {report.quarantine}"
    if not report.remaining and any(step.action == "quarantine" for step in report.plan):
        return "another recovery or compaction removed the damage meanwhile"
    return "nothing had to be saved"


def quarantined(url: str, source: str, saved: "Sequence[Quarantined]") -> str:
    """Return a line for each recovery and compaction that saved something."""
    if not saved:
        return _text(f"{source}: nothing is in quarantine")
    if all(entry.obstacle for entry in saved):
        hint = "none of it can be put back"
    else:
        hint = f"{_command('recover --undo ID', url)} puts back what can be undone"
    return _text(
        *(
            f"{entry.id}  {_count(entry.bytes, 'byte')} out of"
            f" {', '.join(entry.files) or 'no file'}; {entry.obstacle or 'can be undone'}"
            for entry in saved
        ),
        f"{source}: {hint}",
    )


def compaction(source: str, report: "CompactionReport") -> str:
    """Return a line for each file that goes whole and each finding, and a summary."""
    files = report.files_dropped
    if report.dry_run:
        summary = (
            f"{going(report)}; {_count(report.bytes_before, 'byte')} before,"
            f" {report.bytes_after} after; nothing was changed"
        )
    else:
        summary = (
            f"{_count(report.kept, 'record')} kept, {report.dropped} dropped{_details(report)};"
            f" {_count(report.bytes_before, 'byte')} before, {report.bytes_after} after"
        )
    if files:
        would = "to be " if report.dry_run else ""
        summary = f"{_count(len(files), 'file')} {would}dropped beyond max_files; {summary}"
    if report.found:
        summary += f"; {_count(report.found, 'anomaly')}"
    if report.quarantine:
        summary += f"; the damage is saved in quarantine {report.quarantine}"
    remaining = () if report.dry_run else report.remaining
    return _text(
        *(f"{'would be ' if report.dry_run else ''}dropped: {file}" for file in files),
        *_findings(report.anomalies, report.found, remaining=remaining),
        f"{source}: {summary}",
    )


def going(report: "CompactionReport") -> str:
    """Say how many records a compaction would drop."""
    records = _count(report.kept + report.dropped, "record")
    return f"a compaction would drop {report.dropped} of {records}{_details(report)}"


def _details(report: "CompactionReport") -> str:
    """Return the bytes, kinds and times of the dropped records in brackets; "" if none is dropped."""
    oldest, newest = report.dropped_oldest, report.dropped_newest
    if oldest is None or newest is None:
        return ""
    kinds = sorted(report.dropped_by_kind.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds[:_MOST_KINDS])
    if len(kinds) > _MOST_KINDS:
        listed += f" and {len(kinds) - _MOST_KINDS} more kinds"
    times = f"of {_when(oldest)}" if oldest == newest else f"{_when(oldest)} to {_when(newest)}"
    return f" ({_count(report.dropped_bytes, 'byte')}; {listed}; {times})"


def _when(timestamp: float) -> str:
    """Return a timestamp in local time; return the number itself if it is not a wall-clock time."""
    if not EARLIEST_WALL_CLOCK <= timestamp <= _LATEST:
        return f"{timestamp:.12g}"  # An uptime, or a year beyond the calendar.
    return datetime.fromtimestamp(timestamp).astimezone().isoformat(timespec="seconds")


def imported(source: str, destination: str, report: "ImportReport") -> str:
    """Return a line for each finding, and a summary."""
    copied = "would be copied" if report.dry_run else "copied"
    summary = (
        f"{_count(report.read, 'record')} in {source}; {report.copied} {copied},"
        f" {report.present} there already"
    )
    if report.found:
        summary += f"; {_count(report.found, 'anomaly')}, not copied"
    return _text(*_findings(report.anomalies, report.found), f"{destination}: {summary}")


def _command(command: str, url: str) -> str:
    """Return *command* as the operator would type it for the store *url*."""
    # Most commands give no advice.
    from shlex import quote  # noqa: PLC0415

    from papyra.backends.redis.address import without_userinfo  # noqa: PLC0415

    store = "" if url == DEFAULT_STORE else f" --store {quote(without_userinfo(url))}"
    return f"'papyra {command}{store}'" if not store else f"papyra {command}{store}"


def _text(*lines: str) -> str:
    return "".join(printable(line) + "\n" for line in lines)


def _table(heading: str, counts: Mapping[str, int]) -> Iterable[str]:
    names = max(len(counter.name) for counter in papyra.COUNTERS)
    numbers = max(len(heading), *(len(str(count)) for count in counts.values()))
    yield f"{'COUNTER':{names}}  {heading:>{numbers}}  MEANING"
    for name, _unit, meaning in papyra.COUNTERS:
        yield f"{name:{names}}  {counts[name]:{numbers}}  {meaning}"


def _findings(
    anomalies: "tuple[Anomaly, ...]", found: int, *, remaining: "tuple[Anomaly, ...]" = ()
) -> Iterable[str]:
    left = {anomaly.identity for anomaly in remaining}
    yield from map(str, _runs(anomaly for anomaly in anomalies if anomaly.identity not in left))
    yield from _unlisted(anomalies, found)
    yield from (f"remains: {anomaly}" for anomaly in remaining)


def _runs(anomalies: "Iterable[Anomaly]") -> "Iterable[Anomaly]":
    """Yield *anomalies*, and yield neighbours that differ only in their place as one."""
    runs: list[list[Anomaly]] = []
    for anomaly in anomalies:
        if runs and _continues(runs[-1][-1], anomaly):
            runs[-1].append(anomaly)
        else:
            runs.append([anomaly])
    for first, *others in runs:
        if others:
            length = first.length + sum(other.length for other in others)
            detail = f"{first.detail}; {1 + len(others)} such in a row"
            yield first._replace(length=length, detail=detail)
        else:
            yield first


def _continues(before: "Anomaly", anomaly: "Anomaly") -> bool:
    return before.stop == anomaly.offset and before == anomaly._replace(
        offset=before.offset, length=before.length
    )


def _unlisted(anomalies: "tuple[Anomaly, ...]", found: int) -> Iterable[str]:
    if found > len(anomalies):
        yield f"... and {found - len(anomalies)} more, which are not listed"


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    plurals = {"anomaly": "anomalies", "process": "processes"}
    return f"{number} {plurals.get(noun, noun + 's')}"
