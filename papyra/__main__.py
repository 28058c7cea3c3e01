"""`python -m papyra` is the command `papyra`."""

import sys

from papyra.cli import main

if __name__ == "__main__":
    sys.exit(main())
