"""Redis servers of the tests' own, and a store in them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_kind import Redis

from papyra import PersistenceBackend
from servers import TRIED_SERVERS, Server, running_redis


@pytest.fixture(scope="session", params=TRIED_SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server of every version that is supported."""
    with running_redis(request.param, tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A directory of the test's own with a short path: a Unix socket's may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="papyra-") as place:
        yield Path(place)


@pytest.fixture
def kind(server: Server) -> Iterator[Redis]:
    """A store of the test's own."""
    store = Redis(server)
    yield store
    store.remove()


@pytest.fixture
def backend(kind: Redis) -> Iterator[PersistenceBackend]:
    """An open store; a test that does not damage it leaves it clean."""
    with kind.open() as store:
        yield store
        if not store.closed:
            assert store.scan().anomalies == ()
