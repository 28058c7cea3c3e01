"""The command line; click is imported in this package alone."""

import sys
from collections.abc import Sequence

from papyra.cli.failure import tell


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run one command and return its exit code; a failure is told on stderr.

    Args:
        arguments: What follows the program's name; by default what the shell gave.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # Here, so that a missing click and an early Ctrl-C are told in one line too.
        from papyra.cli.app import run  # noqa: PLC0415

        return run(given)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  what a shell can take: a line, a code
        return tell(error, as_json="--json" in given)
