"""The servers that the other tests run on."""

import redis

from servers import Server


def test_a_server_answers(server: Server) -> None:
    with redis.Redis(port=server.port) as client:
        assert client.ping()
