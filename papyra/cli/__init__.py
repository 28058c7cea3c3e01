"""
What can an operator do from a shell?

`commands` are the commands, `render` their texts, `exit_codes` how they end. Only this package imports click.
"""

import sys

# Type checkers know the name; an import here would widen the gap for an early Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: "Sequence[str] | None" = None) -> int:
    """
    Run one command and return its exit code; report a failure on stderr.

    Args:
        arguments: The words after the program's name; by default those that the shell gave.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # Here, so that a missing click and an early Ctrl-C are reported in one line too.
        from papyra.cli.interrupts import interrupts_later  # noqa: PLC0415
        from papyra.cli.loading import uncollected  # noqa: PLC0415

        with interrupts_later(), uncollected(is_alone=arguments is None):
            from papyra.cli.commands import run  # noqa: PLC0415

        return run(given)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  a shell takes a line and a code
        from papyra.cli.exit_codes import report_failure  # noqa: PLC0415

        return report_failure(error, as_json="--json" in given)
