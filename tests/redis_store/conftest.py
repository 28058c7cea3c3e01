"""Redis servers of the tests' own."""

from collections.abc import Iterator

import pytest

from servers import REDIS_SERVERS, Server, running_redis


@pytest.fixture(scope="session", params=REDIS_SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server of every version that is supported."""
    with running_redis(request.param, tmp_path_factory.mktemp("redis")) as running:
        yield running
