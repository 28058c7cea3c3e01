"""Nodes that send one from one to the other, for ever: no real cluster can be made to."""

import socketserver
import threading

import pytest

from papyra import StoreIOError
from papyra.backends.redis import RedisBackend


class _Elsewhere(socketserver.StreamRequestHandler):
    """Answers each command with where to go: here."""

    def handle(self) -> None:
        port = self.connection.getsockname()[1]
        while words := self.rfile.readline():
            for _ in range(int(words[1:])):
                self.rfile.read(int(self.rfile.readline()[1:]) + 2)
            self.wfile.write(f"-MOVED 1 127.0.0.1:{port}\r\n".encode())


def test_endless_redirections_are_an_error() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(StoreIOError, match=f"127.0.0.1:{server.socket.getsockname()[1]}"):
                RedisBackend(f"redis://127.0.0.1:{server.socket.getsockname()[1]}")
        finally:
            server.shutdown()
            thread.join()
