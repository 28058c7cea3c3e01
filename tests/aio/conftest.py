"""Every kind of store on every kind of event loop."""

import asyncio
import gc
import importlib.util
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aio.gated import Run
from redis_kind import Redis
from stores import KINDS, Kind

from servers import Server, missing, running_redis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Debian's server."""
    with running_redis("debian", tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=[*KINDS, "redis"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    """One kind of store, of the test's own."""
    if request.param != "redis":
        yield KINDS[request.param](tmp_path)
        return
    store = Redis(request.getfixturevalue("redis_server"))
    yield store
    store.remove()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Otherwise a later test that counts threads would be blamed for it."""
    before = set(threading.enumerate())
    yield
    left = {one for one in threading.enumerate() if one.name == "papyra-aio"} - before
    if left:
        gc.collect()  # a store that was dropped in a cycle ends its thread now
    for one in left:
        one.join(20)
        assert not one.is_alive()


@pytest.fixture(autouse=True)
def _nobody_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a wake-up that is missing would cost a test a twentieth of a second, and pass."""
    monkeypatch.setattr("papyra.aio.loop_writer._LOOK_AGAIN", 300.0)
    monkeypatch.setattr("papyra.writing.group_commit._LOOK_AGAIN", 300.0)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes a loop of one kind."""
    if request.param == "asyncio":
        return asyncio.new_event_loop
    if importlib.util.find_spec("uvloop") is None:
        missing("no uvloop")
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


@pytest.fixture
def run(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Run]:
    """Run a coroutine on a loop of each kind, with asyncio's own checks; no task is left over."""
    with asyncio.Runner(debug=True, loop_factory=loop_factory) as runner:
        yield runner.run
        assert asyncio.all_tasks(runner.get_loop()) == set()
