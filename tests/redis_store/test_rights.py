"""A command that the server refuses, for want of a right or since it was renamed, leaves nothing behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_kind import Redis
from stores import counts, event, numbers

from papyra import (
    NotPublishedError,
    PapyraError,
    PersistenceBackend,
    Record,
    StoreIOError,
    open_counters,
    open_store,
)
from papyra.backends.redis import RedisBackend
from papyra.backends.redis.server_errors import COMMANDS
from papyra.format.codec import encode, seal
from servers import TRIED_SERVERS, running_redis

NAMES = [word.removeprefix("+") for word in COMMANDS.split()]
#: What a user had to be allowed once: nothing is asked of it any more.
FORMER = "+hsetnx"


class Keeper:
    """Looks into a store with every right, whatever a command is called there."""

    def __init__(self, port: int, keys: Callable[[str], str], renamed: str = "") -> None:
        self.client: Any = redis.Redis(port=port, protocol=2)
        self.keys = keys
        self.renamed = renamed

    def do(self, command: str, *words: str | bytes) -> Any:
        name = f"ALT_{command}" if command.lower() == self.renamed else command
        return self.client.execute_command(name, *words)

    def state(self) -> dict[str, Any]:
        """Return everything that is in the store."""
        streams = {k: self.do("XRANGE", self.keys(k), "-", "+") for k in ("records", "quarantine")}
        hashes = {k: self._hash(self.keys(k)) for k in ("writers", "counters")}
        return streams | hashes

    def _hash(self, key: str) -> dict[bytes, bytes]:
        flat = self.do("HGETALL", key)
        # redis-py makes a dict of the reply to the command's own name.
        return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))

    @property
    def lines(self) -> list[bytes]:
        """The lines in the stream."""
        found = []
        for _, fields in self.state()["records"]:
            found.append(fields[b"line"] if isinstance(fields, dict) else fields[1])
        return found


class Journal:
    """Appends, and notes what was acknowledged; what is refused must change nothing."""

    def __init__(self, store: PersistenceBackend, keeper: Keeper) -> None:
        self.store = store
        self.keeper = keeper
        self.acknowledged: list[int] = []
        self.refused = 0
        self._next = 0

    def append(self, *, batch: int = 1) -> None:
        """Append a *batch*, with counts to be told that were not told yet."""
        fresh = list(range(self._next, self._next + batch))
        self._next += batch
        self.store.metrics.increment("anomaly_detected")
        before = self.keeper.state()
        try:
            if batch == 1:
                self.store.append(event(fresh[0]))
            else:
                self.store.append_many([event(n) for n in fresh])
        except StoreIOError:
            self.refused += 1
            assert self.keeper.state() == before
        else:
            self.acknowledged += fresh

    def check(self, reported: dict[str, int]) -> None:
        """See that what was acknowledged is there, and nothing else; *told* are the server's counts."""
        own = self.store.metrics.totals()
        assert own["records_written"] == len(self.acknowledged) == len(self.keeper.lines)
        assert own["write_errors"] == self.refused
        assert reported == own


@pytest.fixture
def keeper(kind: Redis) -> Keeper:
    """Who sees all of the test's own store."""
    return Keeper(kind.server.port, kind.key)


@contextmanager
def user(keeper: Keeper, name: str, *rights: str) -> Iterator[str]:
    """Give the address of a user of *rights*."""
    keeper.do("ACL", "SETUSER", name, "reset", "on", ">p", "~papyra:*", *rights)
    try:
        yield f"redis://{name}:p@127.0.0.1:{keeper.client.get_connection_kwargs()['port']}/0"
    finally:
        keeper.do("ACL", "DELUSER", name)


@pytest.mark.parametrize("lacking", NAMES)
def test_whatever_right_is_missing_what_is_refused_is_not_stored_and_what_is_acknowledged_is(
    kind: Redis, keeper: Keeper, lacking: str
) -> None:
    with user(keeper, "limited", *COMMANDS.split(), f"-{lacking}") as address:
        try:
            store = RedisBackend(address, name=kind.store_name)
        except StoreIOError:
            assert lacking in {"eval", "evalsha", "type"}
            assert keeper.client.keys(kind.key("*")) == []
            return
        journal = Journal(store, keeper)
        for batch in (1, 3, 1, 3):  # the store's first, and those that follow, without the right
            journal.append(batch=batch)
        keeper.do("ACL", "SETUSER", "limited", f"+{lacking}")
        for batch in (1, 3):
            journal.append(batch=batch)
        keeper.do("ACL", "SETUSER", "limited", f"-{lacking}")
        for batch in (3, 1):  # in the middle of its life
            journal.append(batch=batch)
        keeper.do("ACL", "SETUSER", "limited", f"+{lacking}")
        for batch in (1, 3, 1):
            journal.append(batch=batch)
        assert numbers(store.read(strict=True)) == journal.acknowledged
        assert store.scan().clean
        store.close()
        journal.check(open_counters(kind.url).read().snapshot())


@pytest.mark.parametrize("source", TRIED_SERVERS)
@pytest.mark.parametrize("renamed", [*NAMES, "hsetnx"])
def test_whatever_command_was_renamed_what_is_refused_is_not_stored_and_what_is_acknowledged_is(
    source: str, renamed: str, tmp_path: Path
) -> None:
    def key(what: str) -> str:
        return f"papyra:{{local}}:{what}"

    options = ("--rename-command", renamed.upper(), f"ALT_{renamed.upper()}")
    with running_redis(source, tmp_path, *options) as server:
        keeper = Keeper(server.port, key, renamed)
        try:
            store = RedisBackend(f"redis://127.0.0.1:{server.port}")
        except StoreIOError:
            assert renamed in {"eval", "evalsha", "type"}
            assert keeper.client.keys("*") == []
            return
        journal = Journal(store, keeper)
        for batch in (1, 3, 1, 3):
            journal.append(batch=batch)
        needed = {"time", "xadd", "xdel", "hget", "hset", "hincrby", "hdel"}
        assert (journal.refused > 0) == (renamed in needed)
        totals = keeper.state()["counters"]
        assert int(totals.get(b"records_written", 0)) == len(journal.acknowledged)
        assert len(keeper.lines) == len(journal.acknowledged)
        assert store.metrics.totals()["records_written"] == len(journal.acknowledged)
        assert store.metrics.totals()["write_errors"] == journal.refused
        keeper.client.close()


@pytest.mark.parametrize("lacking", ["xadd", "xdel", "hset", "hincrby", "hdel", "hget", "time"])
def test_a_missing_right_is_warned_of_when_the_store_is_opened(
    kind: Redis, keeper: Keeper, lacking: str, caplog: pytest.LogCaptureFixture
) -> None:
    with user(keeper, "limited", *COMMANDS.split(), f"-{lacking}") as address:
        RedisBackend(address, name=kind.store_name).close()
    (warning,) = caplog.messages
    assert f"appends will fail: the server refuses {lacking}; it needs ~papyra:*" in warning
    assert keeper.client.keys(kind.key("*")) == []


def test_every_right_and_no_warning(
    kind: Redis, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    # With those that an earlier version asked for, too.
    for rights in (COMMANDS, f"{COMMANDS} {FORMER}"):
        with user(keeper, "full", *rights.split()) as address:
            RedisBackend(address, name=kind.store_name).close()
    assert caplog.messages == []


@pytest.mark.parametrize("command", ["hset", "hdel", "hincrby", "xadd", "xdel"])
@pytest.mark.parametrize("where", ["records", "writers", "counters"])
def test_a_right_to_one_of_the_keys_alone_leaves_nothing_either(
    kind: Redis, keeper: Keeper, command: str, where: str
) -> None:
    if int(keeper.client.info("server")["redis_version"].partition(".")[0]) < 7:
        pytest.skip("rights to one key for one command are Redis 7's")
    alone = f"(~{kind.key(where)} +{command})"
    with user(keeper, "limited", *COMMANDS.split(), f"-{command}", alone) as address:
        store = RedisBackend(address, name=kind.store_name)
        journal = Journal(store, keeper)
        for batch in (1, 3, 1):
            journal.append(batch=batch)
        keeper.do("ACL", "SETUSER", "limited", f"+{command}")
        for batch in (1, 3):
            journal.append(batch=batch)
        keeper.do("ACL", "SETUSER", "limited", "reset", "on", ">p", "~papyra:*", *COMMANDS.split())
        keeper.do("ACL", "SETUSER", "limited", f"-{command}", alone)
        for batch in (3, 1):
            journal.append(batch=batch)
        keeper.do("ACL", "SETUSER", "limited", f"+{command}")
        journal.append()
        assert numbers(store.read(strict=True)) == journal.acknowledged
        store.close()
        journal.check(open_counters(kind.url).read().snapshot())


@pytest.mark.parametrize("lacking", NAMES)
def test_a_recovery_that_is_refused_moves_an_entry_whole_or_not_at_all(
    kind: Redis, keeper: Keeper, lacking: str
) -> None:
    lines = [seal(encode(Record("event", timestamp=1.0, data={"n": n})), "w", n) for n in (1, 2)]
    with (
        user(keeper, "limited", *COMMANDS.split()) as address,
        RedisBackend(address, name=kind.store_name) as store,
    ):
        store.append(event(0))
        kind.put_entry({"line": lines[0][:-1] + b"torn" + lines[1][:-1]})
        before = keeper.state()
        keeper.do("ACL", "SETUSER", "limited", f"-{lacking}")
        try:
            store.recover()
        except PapyraError:
            after = keeper.state()
            assert after["records"] == before["records"]
            assert after["quarantine"] == []
        keeper.do("ACL", "SETUSER", "limited", f"+{lacking}")
        store.recover()
        assert numbers(store.read(strict=True)) == [0, 1, 2]
        assert kind.client.xlen(kind.key("quarantine")) == 1


@pytest.mark.parametrize("lacking", NAMES)
def test_a_reset_and_a_report_that_are_refused_change_nothing(
    kind: Redis, keeper: Keeper, lacking: str
) -> None:
    with (
        user(keeper, "limited", *COMMANDS.split()) as address,
        RedisBackend(address, name=kind.store_name) as store,
    ):
        store.append(event(0))
        shared = open_counters(f"{address}?name={kind.store_name}")
        keeper.do("ACL", "SETUSER", "limited", f"-{lacking}")
        store.metrics.increment("compaction_errors")  # one that is new to the server
        before = keeper.state()
        store._share_counts()
        reported = keeper.state() != before
        interval = counts(records_written=1, compaction_errors=int(reported))
        before = keeper.state()
        try:
            first = shared.reset()
        except StoreIOError:
            assert keeper.state() == before
            first = counts()
        else:
            assert first == interval
        keeper.do("ACL", "SETUSER", "limited", f"+{lacking}")
        store._share_counts()
        again = shared.reset()
        assert {name: first[name] + again[name] for name in first} == counts(
            records_written=1, compaction_errors=1
        )


@pytest.mark.parametrize("damaged", list(counts()))
@pytest.mark.parametrize("baseline", ["", "baseline:"])
def test_a_reset_over_a_damaged_total_moves_nothing(
    kind: Redis, keeper: Keeper, damaged: str, baseline: str
) -> None:
    with kind.open() as store:
        store.append(event(1))
        kind.client.hset(kind.key("counters"), f"{baseline}{damaged}", "many")
        before = keeper.state()
        with pytest.raises(NotPublishedError, match=f"{damaged} is not a number"):
            open_counters(kind.url).reset()
        assert keeper.state() == before


@pytest.mark.parametrize("damaged", ["records_written", "write_errors"])
def test_an_append_that_cannot_be_counted_is_refused_whole(
    kind: Redis, keeper: Keeper, damaged: str
) -> None:
    with kind.open() as store:
        store.append(event(1))
        store.metrics.increment("write_errors")
        kind.client.hset(kind.key("counters"), damaged, "many")
        before = keeper.state()
        for batch in ([event(2)], [event(3), event(4)]):
            with pytest.raises(StoreIOError, match=r"remove .*:counters to count from zero"):
                store.append_many(batch)
        assert keeper.state() == before
        kind.client.delete(kind.key("counters"))
        store.append(event(5))
        assert numbers(store.read()) == [1, 5]
    assert open_counters(kind.url).read().snapshot() == counts(
        records_written=1, write_errors=3, records_read=2
    )


@pytest.mark.parametrize("source", TRIED_SERVERS)
def test_a_full_server_takes_nothing_of_a_stores_first_batch(source: str, tmp_path: Path) -> None:
    """What is tried before the lines must not make the server forget that it is full."""
    with running_redis(source, tmp_path) as server:
        keeper = Keeper(server.port, "papyra:{{local}}:{}".format)
        with open_store(f"redis://127.0.0.1:{server.port}") as store:
            keeper.client.config_set("maxmemory", "1")
            for batch in ([event(1)], [event(2), event(3)]):
                with pytest.raises(StoreIOError, match="out of memory"):
                    store.append_many(batch)
            assert keeper.client.keys("*") == []
            keeper.client.config_set("maxmemory", "0")
            store.append(event(4))
            kept = keeper.state()
            keeper.client.config_set("maxmemory", "1")
            store.read()
            with pytest.raises(StoreIOError, match="out of memory"):
                store.append_many([event(5), event(6)])
            with pytest.raises(StoreIOError, match="out of memory"):
                RedisBackend(f"redis://127.0.0.1:{server.port}").append(event(7))
            assert keeper.state() == kept
            keeper.client.config_set("maxmemory", "0")
        assert open_counters(f"redis://127.0.0.1:{server.port}").read().snapshot() == counts(
            records_written=1, write_errors=3, records_read=1
        )


def test_what_an_earlier_version_left_is_gone_on_with(kind: Redis) -> None:
    """It noted the same; where it was refused in the middle, since when it counts may be missing."""
    writer, key = "0123456789abcdef", kind.key
    for number in (1, 2):
        line = seal(encode(event(number)), writer, number)[:-1]
        kind.put_entry({"line": line})
    kind.client.hset(key("writers"), writer, "1700000000 2")
    kind.client.hset(key("writers"), f"{'f' * 16}:counts", "1700000000 3 0 0 0 0 0 0 0 0")
    kind.client.hset(key("counters"), "records_written", 2)
    kind.client.hset(key("counters"), "write_errors", 3)
    with kind.open() as store:
        store._queue.writer = writer  # as if it had gone on itself
        store._stored = 2
        store.append(event(3))
        store.append_many([event(4), event(5)])
        assert [str(record.id) for record in store.read(strict=True)] == [
            f"{writer}-{n}" for n in (1, 2, 3, 4, 5)
        ]
        assert store.scan().clean
    shared = open_counters(kind.url).read()
    assert shared.snapshot() == counts(
        records_written=5, write_errors=3, records_read=5, scan_operations=1
    )
    assert shared.since > 1_700_000_000
