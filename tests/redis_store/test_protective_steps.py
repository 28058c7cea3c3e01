"""Each step that protects a batch, a move or a reset is needed: without it something is lost or left."""

from collections.abc import Callable
from hashlib import sha1
from typing import NamedTuple

import pytest
from redis_kind import Redis
from redis_proxy import Proxy
from redis_store.test_acknowledgements import images
from redis_store.test_rights import Keeper, user
from stores import event, numbers

from papyra import PapyraError, WriteOutcomeUnknownError, open_counters
from papyra.backends.redis import RedisBackend, store
from papyra.backends.redis.scripts.append import APPEND, HAD, STORED
from papyra.backends.redis.scripts.counters import RESET
from papyra.backends.redis.scripts.rewrite import MOVE
from papyra.backends.redis.scripts.script import Script
from papyra.backends.redis.server_errors import COMMANDS

#: Tells whether all went well.
Scenario = Callable[[Redis], bool]


def _refused_and_unchanged(kind: Redis, lacking: str, do: Callable[[RedisBackend], object]) -> bool:
    keeper = Keeper(kind.server.port, kind.key)
    with (
        user(keeper, "limited", *COMMANDS.split()) as address,
        RedisBackend(address, name=kind.store_name) as limited,
    ):
        keeper.do("ACL", "SETUSER", "limited", f"-{lacking}")
        before = keeper.state()
        with pytest.raises(PapyraError):
            do(limited)
        unchanged = keeper.state() == before
        keeper.do("ACL", "SETUSER", "limited", f"+{lacking}")
    return unchanged


def _first_batch(lacking: str) -> Scenario:
    return lambda kind: _refused_and_unchanged(kind, lacking, lambda one: one.append(event(1)))


def _neither_deleted_nor_counted(kind: Redis) -> bool:
    """What was written cannot be taken back."""
    keeper = Keeper(kind.server.port, kind.key)
    with (
        user(keeper, "limited", *COMMANDS.split(), "-hdel", "-hincrby") as address,
        RedisBackend(address, name=kind.store_name) as limited,
    ):
        with pytest.raises(PapyraError):
            limited.append(event(1))
        return not kind.client.exists(kind.key("writers"), kind.key("counters"))


def _stream_that_ends(kind: Redis) -> bool:
    """The second line finds no id any more, and the first may not be deleted."""
    last = 2**64 - 1
    with kind.open() as one:
        one.append(event(0))
    kind.client.execute_command("XADD", kind.key("records"), f"{last}-{last - 1}", "line", b"x")
    return _refused_and_unchanged(kind, "xdel", lambda one: one.append_many([event(1), event(2)]))


def _move(kind: Redis) -> bool:
    kind.put_entry({"line": b"no record"})
    keeper = Keeper(kind.server.port, kind.key)
    with (
        user(keeper, "limited", *COMMANDS.split(), "-xdel") as address,
        RedisBackend(address, name=kind.store_name) as limited,
        pytest.raises(PapyraError),
    ):
        limited.recover()
    return bool(keeper.state()["quarantine"] == [])


def _on_a_full_server(kind: Redis, do: Callable[[RedisBackend], object]) -> bool:
    keeper = Keeper(kind.server.port, kind.key)
    with kind.open() as one:
        before = keeper.state()
        kind.client.config_set("maxmemory", "1")
        refused = False
        try:
            do(one)
        except PapyraError:
            refused = True
        finally:
            kind.client.config_set("maxmemory", "0")
        return refused and keeper.state() == before


def _full(kind: Redis) -> bool:
    return _on_a_full_server(kind, lambda one: one.append(event(1)))


def _move_on_a_full_server(kind: Redis) -> bool:
    kind.put_entry({"line": b"no record"})
    return _on_a_full_server(kind, lambda one: one.recover())


def _reset(kind: Redis) -> bool:
    keeper = Keeper(kind.server.port, kind.key)
    with kind.open() as one:
        one.append(event(1))
    kind.client.hset(kind.key("counters"), "compaction_errors", "many")
    before = keeper.state()
    with pytest.raises(PapyraError):
        open_counters(kind.url).reset()
    return keeper.state() == before


def _images(*sizes: int) -> Scenario:
    def scenario(kind: Redis) -> bool:
        one, other = images(kind)
        with one, other:
            for one_of_both, size in zip((one, other), sizes, strict=True):
                one_of_both.append_many([event(n) for n in range(size)])
            ids = {record.id for record in one.read()}
            return kind.stored() == 1 + sum(sizes) == len(ids)

    return scenario


def _reports(kind: Redis) -> bool:
    with Proxy(kind.server.port) as proxy:
        address = f"redis://127.0.0.1:{proxy.port}"
        with RedisBackend(address, name=kind.store_name, timeout=0.3) as one:
            one.append(event(0))
            proxy.cuts = ["after"] * 200
            with pytest.raises(WriteOutcomeUnknownError) as raised:
                one.append(event(1))
            proxy.cuts = []
            one.resend(raised.value)
            assert numbers(one.read()) == [0, 1]
    return open_counters(kind.url).read().snapshot()["write_errors"] == 1


class Step(NamedTuple):
    """What a script does to protect, what it would do without, and where that harms."""

    script: Script
    text: str
    without: str
    scenario: Scenario


STEPS = {
    "what was written is taken back": Step(
        APPEND,
        "for n = #undo, 1, -1 do redis.call(unpack(undo[n])) end",
        "",
        _first_batch("hincrby"),
    ),
    "deleting a new field is tried before it is set": Step(
        APPEND,
        "local no = refused(redis.pcall(unpack(gone)))",
        "local no",
        _neither_deleted_nor_counted,
    ),
    "a full server is asked before anything is deleted": Step(
        APPEND, "if #undo == 0 then", "if false then", _full
    ),
    "deleting a line is tried before there is one": Step(
        APPEND, "no = refused(redis.pcall('XDEL', records, '0-0'))", "", _stream_that_ends
    ),
    "numbers that another used in part are not used again": Step(
        APPEND, "if ahead > -count then", "if ahead >= 0 then", _images(1, 3)
    ),
    "a report that came with a batch that was there is not taken in": Step(
        APPEND, "return ahead >= 0 and 2 or 0", "return ahead >= 0 and 3 or 0", _reports
    ),
    "deleting an entry is tried before it is copied": Step(
        MOVE, "local no = refused(redis.pcall('XDEL', key, '0-0'))", "local no", _move
    ),
    "a full server is asked before an entry is moved": Step(
        MOVE,
        "local reply = redis.pcall('XADD', records, '0-0', 'line', '')",
        "local reply = {err = 'greater than 0-0'}",
        _move_on_a_full_server,
    ),
    "all totals are looked at before one baseline is moved": Step(
        RESET,
        "new[#new + 1], new[#new + 2] =",
        "redis.call('HSET', counters, 'baseline:' .. name, total) new[#new + 1], new[#new + 2] =",
        _reset,
    ),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kept", [True, False])
def test_a_script_that_lacks_a_step_is_found_out(
    kind: Redis, monkeypatch: pytest.MonkeyPatch, name: str, *, kept: bool
) -> None:
    step = STEPS[name]
    assert step.script.text.count(step.text) == 1
    if not kept:
        text = step.script.text.replace(step.text, step.without)
        monkeypatch.setattr(step.script, "text", text)
        monkeypatch.setattr(
            step.script, "sha", sha1(text.encode(), usedforsecurity=False).hexdigest()
        )
    assert step.scenario(kind) is kept


@pytest.mark.parametrize("kept", [True, False])
def test_without_doubting_what_the_server_says_that_it_has_records_are_lost(
    kind: Redis, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    if not kept:
        monkeypatch.setattr(store, "STORED", STORED | HAD)
    assert _images(1, 1)(kind) is kept
