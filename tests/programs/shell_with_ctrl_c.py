"""The command line, also where Ctrl-C is ignored, as in what a shell runs in the background."""

import signal
import sys

from papyra.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
