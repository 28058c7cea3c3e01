"""The commands: each parses, calls one method, and prints what it returned."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

import papyra
from papyra.cli import help_texts, render
from papyra.cli.exit_codes import ANOMALY, OK, UsageError
from papyra.cli.interrupts import interrupts_later, open_store
from papyra.cli.output import closed, emit, json_line, progress_shown, warnings_shown, write
from papyra.cli.store_argument import takes_store, url_of
from papyra.cli.usage import Group, explained
from papyra.store_url import is_in_memory

if TYPE_CHECKING:
    from papyra.reports import (
        Anomaly,
        CompactionReport,
        ImportReport,
        RecoveryReport,
        ScanReport,
        Step,
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
        UsageError: if the command, an option or an argument is missing or unknown.
        OSError: if stdout is closed; then nothing was done, because the outcome could not be shown.
        KeyboardInterrupt: at Ctrl-C.
    """
    if sys.stdout is None:
        raise closed("stdout")
    try:
        code: int = app.main(arguments, prog_name="papyra", standalone_mode=False)
    except click.UsageError as error:
        wrong = explained(error)
    except click.Abort as abort:
        # Its note may hold the interval that a reset ended.
        raise abort.__cause__ or KeyboardInterrupt from None
    except SystemExit:  # click raises it when the reader is gone, as in `papyra --help | head`.
        return OK
    else:
        return code
    # Not within the except, because click's error repeats the words of the command line.
    raise UsageError(wrong)


def _show_help(context: click.Context) -> int:
    """Show the help of a group that is called without a command."""
    if context.invoked_subcommand is None:
        emit(context.get_help() + "\n")
    return OK


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  click's signature
    """Show the version, or raise if papyra is not installed and so has none."""
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  for this option alone

        emit(f"papyra {version('papyra')}\n")
        context.exit()


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=help_texts.APP,
    epilog=help_texts.EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def app(context: click.Context) -> int:
    """Look after a store."""
    return _show_help(context)


@app.group(cls=Group, invoke_without_command=True, help=help_texts.METRICS)
@click.pass_context
def metrics(context: click.Context) -> int:
    """Show or reset the counters."""
    return _show_help(context)


@metrics.command(help=help_texts.PERSISTENCE)
@takes_store
@_json
def persistence(*, url: str, as_json: bool) -> int:
    """Show the counters."""
    source = papyra.open_counters(url)
    counter_totals = source.read()
    if as_json:
        emit(
            json_line(
                {**counter_totals.snapshot(), "about": render.about(source.source, counter_totals)}
            )
        )
    else:
        emit(render.counters(source.source, counter_totals))
    return OK


@metrics.command(help=help_texts.RESET)
@takes_store
@_json
def reset(*, url: str, as_json: bool) -> int:
    """Reset the counters."""
    source = papyra.open_counters(url)
    if as_json and sys.stderr is None:  # Closed by the shell. The interval would be lost.
        raise closed("stderr")
    with interrupts_later():  # The interval that ends is shown nowhere else.
        interval = source.reset()
        done = f"{source.source}: the counters were reset; the interval that ended is {json_line(interval)}"
        if as_json:
            try:
                # First, because only stderr shows the interval, and the reader of stdout may be gone.
                write(
                    sys.stderr, json_line({"store": source.source, "interval": interval}), done=done
                )
            finally:
                emit(json_line(dict.fromkeys(interval, 0)), done=done)
        else:
            emit(render.reset(source.source, interval), done=done)
    return OK


@app.command(help=help_texts.SCAN)
@takes_store
@_json
def scan(*, url: str, as_json: bool) -> int:
    """Look for damage."""
    with open_store(url, must_exist=True) as store:
        report = store.scan()
    emit(json_line(_fields(report)) if as_json else render.scan(url, store.source, report))
    return OK if report.clean else ANOMALY


@app.command(help=help_texts.RECOVER)
@takes_store
@click.option("--dry-run", is_flag=True, help="Only show what would be done; change nothing.")
@click.option(
    "--undo", metavar="ID", help="Put back the bytes that are saved under ID, as --list shows it."
)
@click.option(
    "--list",
    "listing",
    is_flag=True,
    help="Show the saved bytes, and which of them can be put back.",
)
@_json
def recover(*, url: str, as_json: bool, dry_run: bool, undo: str | None, listing: bool) -> int:
    """Take damage out."""
    if listing and (dry_run or undo is not None):
        raise click.UsageError("--list goes with neither --dry-run nor --undo; leave these out.")
    if listing:
        return _list(url, as_json=as_json)
    with warnings_shown(unless=as_json), open_store(url, must_exist=True) as store:
        report = store.recover(dry_run=dry_run, undo=undo)
    _show(report, render.recovery(store.source, report), as_json=as_json)
    return OK if report.clean else ANOMALY


def _list(url: str, *, as_json: bool) -> int:
    with open_store(url) as store:  # The quarantine may be all that is left of it.
        saved = store.quarantined()
    if not saved:
        open_store(url, must_exist=True).close()
    document = {"quarantined": [entry._asdict() for entry in saved]}
    emit(json_line(document) if as_json else render.quarantined(url, store.source, saved))
    return OK


@app.command(help=help_texts.COMPACT)
@takes_store
@click.option("--max-records", metavar="N", help="Keep the newest N records.")
@click.option("--max-age", metavar="TIME", help="Keep records up to this old, as 90s, 12h, 7d, 2w.")
@click.option("--max-total-bytes", metavar="SIZE", help="Keep at most this size, as 500MB, 2GiB.")
@click.option("--dry-run", is_flag=True, help="Only show what would go; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask, even if most of the records would go.")
@_json
def compact(*, url: str, as_json: bool, dry_run: bool, yes: bool, **limits: str | None) -> int:
    """Drop what the retention does not keep."""
    from papyra.cli import compacting  # noqa: PLC0415  for this command alone

    source, report = compacting.compact(url, limits, dry_run=dry_run, yes=yes, as_json=as_json)
    _show(report, render.compaction(source, report), as_json=as_json)
    return OK if report.clean else ANOMALY


@app.command("import", help=help_texts.IMPORT)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@click.option("--dry-run", is_flag=True, help="Only show what would be copied; change nothing.")
@click.option(
    "--seal",
    is_flag=True,
    help="Also take in lines that other tools wrote, if they have a kind and a timestamp.",
)
@_json
def import_(*, source: str, destination: str, dry_run: bool, seal: bool, as_json: bool) -> int:
    """Copy a store's records into another."""
    if is_in_memory(destination):
        raise click.UsageError("a store in memory ends with the command; name another DST.")
    with (
        warnings_shown(unless=as_json),
        open_store(url_of(source), must_exist=True) as old,
        open_store(destination) as new,
        progress_shown() as progress,
    ):
        report = papyra.import_store(old, new, dry_run=dry_run, seal=seal, progress=progress)
    _show(report, render.imported(old.source, new.source, report), as_json=as_json)
    return OK if report.clean else ANOMALY


def _show(
    report: "RecoveryReport | CompactionReport | ImportReport", text: str, *, as_json: bool
) -> None:
    """Show *report*, as JSON or as the *text*; its last line is told on stderr if stdout does not take it."""
    done = "" if report.dry_run else text.splitlines()[-1]
    emit(json_line(_fields(report)) if as_json else text, done=done)


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
