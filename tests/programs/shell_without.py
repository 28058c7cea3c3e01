"""The command line where a module is not installed: MODULE ARGUMENT..."""

import sys

sys.modules[sys.argv[1]] = None  # type: ignore[assignment]
from papyra.cli import main  # noqa: E402

sys.exit(main(sys.argv[2:]))
