"""Compact a store from a shell, and ask before most of its records are dropped."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

import papyra
from papyra.cli import render
from papyra.cli.exit_codes import ConfirmationError
from papyra.cli.interrupts import open_store
from papyra.cli.output import printable, warnings_shown
from papyra.suggestions import got
from papyra.units import duration, size, whole_number

if TYPE_CHECKING:
    from papyra.reports import CompactionReport

_READERS = {"max_records": whole_number, "max_age": duration, "max_total_bytes": size}


def compact(
    url: str, limits: dict[str, str | None], *, dry_run: bool, yes: bool, as_json: bool
) -> "tuple[str, CompactionReport]":
    """
    Compact the store at *url*, or work out what that would do; return the place of the store, and the report.

    Raises:
        ConfirmationError: if most of the records would go, and the operator did not agree.
    """
    with (
        warnings_shown(unless=as_json),
        open_store(url, retention=_retention(limits), must_exist=True) as store,
    ):
        if dry_run or yes or (store.retention.keeps_all and not store._excess()):
            # No record can be dropped, so there is nothing to ask, and a look first would cost time.
            return store.source, store.compact(dry_run=dry_run)
        confirm = partial(_confirm, store.source, as_json=as_json)
        return store.source, store._compact_if_agreed(confirm)


def _retention(limits: dict[str, str | None]) -> papyra.Retention | None:
    """Return the retention that the options give; None if there are none."""
    given: dict[str, Any] = {}
    for name, text in limits.items():
        if text is None:
            continue
        try:
            given[name] = _READERS[name](text)
        except ValueError as error:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} {error}{got(text)}.") from None
    return papyra.Retention(**given) if given else None


def _confirm(source: str, report: "CompactionReport", *, as_json: bool) -> None:
    """Ask the operator to agree, if most of the records would go."""
    if 2 * report.dropped <= report.kept + report.dropped:
        return
    going = f"{source}: {render.going(report)}"
    if as_json or not _is_at_terminal():
        raise ConfirmationError(
            f"{going}, which is more than half; nothing was changed; add --yes to drop them,"
            " or look with --dry-run",
            source,
            report,
        )
    sys.stderr.write(f"{printable(going)}. They are not saved anywhere. Drop them? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # the end of the input, as by Ctrl-D
        sys.stderr.write("\n")
    if answer.strip().lower() not in {"y", "yes"}:
        raise ConfirmationError(
            f"{source}: the answer was not yes, so nothing was changed; answer y to drop them",
            source,
            report,
        )


def _is_at_terminal() -> bool:
    """Tell whether an operator can be asked."""
    streams = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)
