"""The commands: each parses, calls one method, and prints what it returned."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

import papyra
from papyra.cli import wording
from papyra.cli.failure import ANOMALY, EXIT_CODES, OK, UsageError
from papyra.cli.output import emit, json_line, progress_told, warnings_told

if TYPE_CHECKING:
    from papyra.anomaly import Anomaly
    from papyra.reports import CompactionReport, ImportReport, RecoveryReport, ScanReport, Step

_EPILOG: Final = "\b\nExit codes, the same for every command:\n" + "\n".join(
    f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items()
)

_store = click.option(
    "--store",
    "url",
    metavar="URL",
    envvar="PAPYRA_STORE",
    show_envvar=True,
    default=wording.DEFAULT_STORE,
    show_default=True,
    help="The store, as in json:/var/lib/app/actors.ndjson?lock_timeout=30",
)
_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document to stdout; an error is one on stderr.",
)


def run(arguments: Sequence[str]) -> int:
    """
    Run the command that *arguments* name and return its exit code.

    Raises:
        UsageError: if they name none, or give it what it does not take.
        KeyboardInterrupt: at Ctrl-C.
    """
    try:
        code: int = app.main(arguments, prog_name="papyra", standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "papyra"
        raise UsageError(f"{error.format_message()} '{command} --help' tells more.") from error
    except click.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:  # click's own answer to a reader that has gone, as in `papyra --help | head`
        return OK
    return code


@click.group(
    epilog=_EPILOG,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(
    package_name="papyra", message="%(prog)s %(version)s", help="Show the version and exit."
)
def app() -> None:
    """
    Look after a papyra store: its counters, its damage, its size.

    Programs may go on using the store meanwhile.
    """


@app.group(no_args_is_help=False)
def metrics() -> None:
    """
    Show or reset the ten counters of a store.

    They are those of all programs that have the store open, or had; the store itself is not
    touched.
    """


@metrics.command()
@_store
@_json
def persistence(*, url: str, as_json: bool) -> int:
    """
    Show what was counted since the last reset.

    The counts of all programs that have the store open, or had, are added up. A program
    publishes its own with its first append, recover or compact; where none ever did, nothing
    is known, and the exit code is 4.
    """
    source = papyra.open_counters(url)
    tally = source.read()
    if as_json:
        emit(json_line(tally.snapshot()))
    else:
        emit(wording.counters(source.source, tally))
    return OK


@metrics.command()
@_store
@_json
def reset(*, url: str, as_json: bool) -> int:
    """
    Set all ten counters to zero, and show what they were.

    Programs that have the store open are not disturbed: they go on. Of a store in files they see
    zero in their own snapshot, too; of a Redis store these are their own. What Prometheus is given
    never falls. With --json, the counters are read again after the reset and shown as they are then.
    """
    source = papyra.open_counters(url)
    interval = source.reset()
    if as_json:
        emit(json_line(source.read().snapshot()))
    else:
        emit(wording.reset(source.source, interval))
    return OK


@app.command()
@_store
@_json
def scan(*, url: str, as_json: bool) -> int:
    """
    Look for damage; nothing in the store is changed, and no file is made.

    Every finding is shown with its address: the file, and where in it the damaged line begins. If
    there is any, the exit code is 3.
    """
    with papyra.open_store(url, must_exist=True) as store:
        report = store.scan()
    emit(json_line(_fields(report)) if as_json else wording.scan(url, store.source, report))
    return OK if report.clean else ANOMALY


@app.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be done; change nothing.")
@click.option("--undo", metavar="ID", help="Put back what was saved under ID in the quarantine.")
@click.option("--list", "listing", is_flag=True, help="Show what was saved, and can be put back.")
@_store
@_json
def recover(*, url: str, as_json: bool, dry_run: bool, undo: str | None, listing: bool) -> int:
    """
    Take damage out of the store.

    Every byte that is removed is saved in the quarantine first, the directory PATH.quarantine
    beside the store. Intact records stay as they are. If damage or a file that is none of the
    store's remains, or a dry run found any, the exit code is 3.

    --undo puts back what a recovery or compaction saved, byte for byte. That works while the
    store has only been appended to since.
    """
    if listing and (dry_run or undo is not None):
        raise UsageError("--list goes with neither --dry-run nor --undo.")
    if listing:
        return _list(url, as_json=as_json)
    with warnings_told(unless=as_json), papyra.open_store(url, must_exist=True) as store:
        report = store.recover(dry_run=dry_run, undo=undo)
    emit(json_line(_fields(report)) if as_json else wording.recovery(store.source, report))
    return OK if report.clean else ANOMALY


def _list(url: str, *, as_json: bool) -> int:
    with papyra.open_store(url) as store:  # what was saved may be all that is left of it
        saved = store.quarantined()
    if not saved:
        papyra.open_store(url, must_exist=True).close()
    document = {"quarantined": [entry._asdict() for entry in saved]}
    emit(json_line(document) if as_json else wording.quarantined(url, store.source, saved))
    return OK


@app.command()
@_store
@_json
def compact(*, url: str, as_json: bool) -> int:
    """
    Drop the records that the retention does not keep, for good.

    The retention is what the URL says, as in json:actors.ndjson?max_records=1000 (or max_age,
    in seconds, or max_total_bytes); without one no record is dropped. Of rotating: the oldest
    files beyond max_files go first, whole. Damage is moved to the quarantine, as by recover. If
    anything remains that is none of the store's, the exit code is 3.
    """
    with warnings_told(unless=as_json), papyra.open_store(url, must_exist=True) as store:
        report = store.compact()
    emit(json_line(_fields(report)) if as_json else wording.compaction(store.source, report))
    return OK if report.clean else ANOMALY


@app.command("import")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@click.option("--dry-run", is_flag=True, help="Only show what would be copied; change nothing.")
@_json
def import_(*, source: str, destination: str, dry_run: bool, as_json: bool) -> int:
    """
    Copy the records of the store SRC into the store DST.

    Their lines are copied as they are, in their order, with their ids. What DST holds already
    is passed over: after an interruption, do it again. Damage is shown and not copied, and the
    exit code is 3 then.
    """
    if destination.startswith("memory:"):
        raise UsageError("A store in memory is gone with the command; name another DST.")
    with (
        warnings_told(unless=as_json),
        papyra.open_store(source, must_exist=True) as old,
        papyra.open_store(destination) as new,
        progress_told() as progress,
    ):
        report = papyra.import_store(old, new, dry_run=dry_run, progress=progress)
    emit(
        json_line(_fields(report)) if as_json else wording.imported(old.source, new.source, report)
    )
    return OK if report.clean else ANOMALY


def _fields(
    report: "ScanReport | RecoveryReport | CompactionReport | ImportReport",
) -> dict[str, object]:
    """Return the fields of *report*, its findings and steps as dicts."""
    return {
        name: [_item(item) for item in value] if isinstance(value, tuple) else value
        for name, value in {**report._asdict(), **_plan(report)}.items()
    }


def _plan(
    report: "ScanReport | RecoveryReport | CompactionReport | ImportReport",
) -> dict[str, object]:
    return {"plan": report.plan} if isinstance(report, papyra.RecoveryReport) else {}


def _item(item: "Anomaly | Step | str") -> "dict[str, object] | str":
    return item if isinstance(item, str) else item._asdict()
