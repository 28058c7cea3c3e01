"""Read one expression or statement a line, run it, and answer with one line of JSON."""

import json
import os  # noqa: F401  for the lines
import signal  # noqa: F401
import sys
import threading  # noqa: F401
from pathlib import Path  # noqa: F401

import papyra  # noqa: F401
from papyra import Record, Retention, open_counters, open_store  # noqa: F401

for line in sys.stdin:
    try:
        try:
            answer = eval(line)
        except SyntaxError:
            exec(line)
            answer = None
    except BaseException as error:  # noqa: BLE001  the answer says it
        answer = {"raised": type(error).__name__, "message": str(error)}
    print(json.dumps(answer, default=str), flush=True)
