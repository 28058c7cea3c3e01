"""
Fail unless every public name of the packages that are given has a type that all checkers agree on.

Needs pyright, as `make types` has it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

OPTIONS = ("--outputjson", "--ignoreexternal", "--verifytypes")


def main(*packages: str) -> str:
    """Return what is not typed, a line each; "" if everything is."""
    environment = Path(sys.executable).parent
    reported = []
    for package in packages:
        # From elsewhere: in a project pyright looks for what is installed, and not in the project.
        with tempfile.TemporaryDirectory() as elsewhere:
            done = subprocess.run(
                [environment / "pyright", *OPTIONS, package],
                cwd=elsewhere,
                env=os.environ | {"PATH": f"{environment}{os.pathsep}{os.environ['PATH']}"},
                check=False,
                capture_output=True,
                text=True,
            )
        report = json.loads(done.stdout)
        reported += [
            f"{message.get('file', package)}: {message['message']}"
            for symbol in report["typeCompleteness"]["symbols"]
            for message in symbol["diagnostics"]
            if message["severity"] == "error"
        ]
        reported += [f"{package}: {message['message']}" for message in report["generalDiagnostics"]]
        if not report["typeCompleteness"]["symbols"]:
            reported.append(f"{package}: pyright found no public name")
        elif not reported and report["typeCompleteness"]["completenessScore"] != 1:
            reported.append(f"{package}: the score is below 1, for no reason that pyright gives")
    return "\n".join(reported)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or None)
