"""
What can an operator do from a shell?

`commands` are the commands, `render` their texts, `exit_codes` how they end. Only this package imports click.
"""

import sys

TYPE_CHECKING = False  # as type checkers know it; what is loaded here an early Ctrl-C could meet
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: "Sequence[str] | None" = None) -> int:
    """
    Run one command and return its exit code; a failure is told on stderr.

    Args:
        arguments: What follows the program's name; by default what the shell gave.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # Here, so that a missing click and an early Ctrl-C are told in one line too.
        from papyra.cli.interrupts import interrupts_later  # noqa: PLC0415

        with interrupts_later():
            from papyra.cli.commands import run  # noqa: PLC0415

        return run(given)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  what a shell can take: a line, a code
        from papyra.cli.exit_codes import report_failure  # noqa: PLC0415

        return report_failure(error, as_json="--json" in given)
