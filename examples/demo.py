"""
Papyra at work: one program that appends, and three places that show the same counts.

    python examples/demo.py [--port 9464] [--seconds 3] [--store URL]

For some seconds the actors of pykka_lifecycle.py keep their records in a store, by default a
temporary one, while http://127.0.0.1:PORT/metrics shows its counters to Prometheus (0 is any free
port). Then it reads, scans, and has one record refused, and prints what became of the orders,
one scrape, and what `papyra metrics persistence` says in a process of its own. The exit code is
0 if the scrape, the command line and the program's own snapshot agree, 1 if they do not or
something failed, 130 after Ctrl-C.
"""

import argparse
import json
import logging
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from itertools import takewhile

try:
    import pykka_lifecycle

    import papyra
    import papyra_otel
except ModuleNotFoundError as missing:
    sys.exit(f"demo: {missing}; `make demo` installs all that it needs")

_SAMPLE = re.compile(r"papyra_persistence_(\w+)_total(?:{.*})? (\S+)")


def main() -> int:
    """Run the demo and return its exit code; tell any failure in one line."""
    options = parse_arguments()
    # Noted, not raised, because the actors end in their own time, and all that is open gets closed.
    signals: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: signals.append(number))
    try:
        with tempfile.TemporaryDirectory() as directory:
            url = options.store or f"json:{directory}/actors.ndjson"
            agreed = demonstrate(url, options.port, options.seconds, lambda: bool(signals))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has ended, as in `demo.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (papyra.PapyraError, OSError, ModuleNotFoundError) as error:
        agreed = False
        if not signals:
            print(f"demo: {error}", file=sys.stderr)
    if signals:
        print("demo: interrupted", file=sys.stderr)
        return 130
    return 0 if agreed else 1


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line; end the program if they make no sense."""

    def port(text: str) -> int:
        if not 0 <= int(text) <= 65535:  # noqa: PLR2004  the ports that there are
            raise ValueError
        return int(text)

    def seconds(text: str) -> float:
        if not 0 <= float(text) < math.inf:
            raise ValueError
        return float(text)

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=port, default=9464, help="default 9464; 0: any free port")
    parser.add_argument("--seconds", type=seconds, default=3.0, help="default 3")
    parser.add_argument("--store", metavar="URL", help="default: a temporary one, of kind json")
    return parser.parse_args()


def demonstrate(url: str, port: int, seconds: float, stopped: Callable[[], bool]) -> bool:
    """Show everything; tell whether the numbers agree."""
    before = published(url)
    logging.getLogger("pykka").addHandler(logging.NullHandler())  # failures are in the store
    with (
        papyra.open_store(url) as store,
        papyra_otel.prometheus.serve(store, port=port) as server,
    ):
        # The first append publishes the counters for other processes; if it fails, all would.
        store.append(papyra.Record("event", data={"actor": "demo", "what": "opened"}))
        print(f"{url} for {seconds:g} s; look at {server.url}", flush=True)
        orders = takewhile(lambda _: not stopped(), pykka_lifecycle.arriving(seconds))
        taken = pykka_lifecycle.run(store, orders)
        if stopped():
            return False
        use_otherwise(store, taken)
        scraped = scrape(server.url)
        reported = ask_command_line(url)
        own = store.metrics.snapshot()
        # The command line adds up all programs that ever used this store.
        reported = {name: n - before.get(name, 0) for name, n in reported.items()}
        for name in store.metrics.supported:
            if not scraped.get(name) == reported.get(name) == own[name]:
                print(
                    f"demo: {name} differs: scrape {scraped.get(name)}, command line"
                    f" {reported.get(name)}, program {own[name]}; does another program use the store?",
                    file=sys.stderr,
                )
                return False
    print("\nThe scrape, the command line and the program agree.")
    return True


def published(url: str) -> dict[str, int]:
    """Return what other programs have counted for the store so far."""
    try:
        return papyra.open_counters(url).read().snapshot()
    except (papyra.StoreNotFoundError, papyra.NotPublishedError):
        return {}


def use_otherwise(store: papyra.PersistenceBackend, taken: int) -> None:
    """Read, scan, and have a record refused, so that more counters move than one."""
    became = pykka_lifecycle.outcome(store.records())
    print(f"orders {taken}:", ", ".join(f"{what} {n}" for what, n in became.items()))
    print("damage found:", store.scan().found)
    try:
        store.append(papyra.Record("event", data={"temperature": math.nan}))
    except papyra.RecordError as error:
        print("refused:", error)


def scrape(url: str) -> dict[str, int]:
    """Print what Prometheus is given, and return the counters in it."""
    # Otherwise a proxy that the environment names would be asked for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as response:
        lines = response.read().decode().splitlines()
    print(f"\n$ curl {url}")
    print(*(line for line in lines if line.startswith("papyra_")), sep="\n")
    samples = filter(None, map(_SAMPLE.fullmatch, lines))
    return {sample[1]: int(float(sample[2])) for sample in samples}


def ask_command_line(url: str) -> dict[str, int]:
    """Print what `papyra metrics persistence` says, and return the counters in it."""
    arguments = ["metrics", "persistence", "--store", url]
    print("\n$ papyra", *arguments)
    print(papyra_command(*arguments), end="")
    document = json.loads(papyra_command(*arguments, "--json"))
    return {counter.name: document[counter.name] for counter in papyra.COUNTERS}


def papyra_command(*arguments: str) -> str:
    """Return what the command line prints, in a process of its own."""
    command = [sys.executable, "-m", "papyra", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode:
        raise papyra.PapyraError(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
