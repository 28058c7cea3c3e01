"""The command line, which writes a byte to the descriptor FIRST before it waits for a lock: FIRST ARGUMENT..."""

import os
import signal
import sys
import time

from papyra.cli import main

sleep = time.sleep


def announced(seconds: float) -> None:
    os.write(int(sys.argv[1]), b"w")
    sleep(seconds)


signal.signal(signal.SIGINT, signal.default_int_handler)
time.sleep = announced  # type: ignore[assignment]
sys.exit(main(sys.argv[2:]))
