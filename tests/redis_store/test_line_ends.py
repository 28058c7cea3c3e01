"""The look for repeated ids fetches the ends of lines alone, and finds what whole lines would show."""

import itertools
from collections.abc import Iterator
from zlib import crc32

import pytest
from redis_kind import Redis
from redis_store.test_rights import Keeper, user
from stores import event, numbers

from papyra import Record
from papyra.backends.redis import RedisBackend, stream
from papyra.backends.redis.scripts.reading import LINE_ENDS
from papyra.backends.redis.scripts.script import Script
from papyra.backends.redis.server_errors import COMMANDS
from papyra.backends.redis.stream import Entries
from papyra.format.codec import encode, seal
from papyra.reading.repeated_ids import MOST_SHOWN, ids_in, may_repeat


def line(n: int, writer: str = "w") -> bytes:
    return seal(encode(event(n)), writer, n)[:-1]


def checked(text: str) -> bytes:
    """Return a line of *text* and its checksum, as papyra would read it."""
    return f'{text},"_crc":"{crc32(text.encode()):08x}"}}'.encode()


NESTED = Record("event", timestamp=1.0, data={"n": 1, "of": [{"of": 1, "_crc": "0"}]})
#: Entries of other programs, whose fields papyra does not read as a line.
STRANGERS: list[dict[str, bytes]] = [{"line": line(1), "more": b""}, {"data": line(1)}]
#: Entries, each of which holds a record of id w-1 or hides it, and some that only seem to.
ENTRIES: list[dict[str, bytes]] = [
    {"line": line(1)},
    {"line": line(2)},
    {"line": line(1) + line(3)},
    {"line": line(3) + line(1)},
    {"line": line(4)[:30] + line(1)},
    {"line": line(1) + line(4)[:-5]},
    {"line": line(1)[:-3] + b"xyz"},
    {"line": line(1) + b" "},
    {"line": line(1).replace(b'"timestamp"', b'\n"timestamp"')},
    {"line": line(1) + b"\n" + line(5)},
    {"line": line(5) + b"\n" + line(1)},
    {"line": line(5)[:-4] + b"\n" + line(1)},
    {"line": seal(encode(NESTED), "w", 1)[:-1]},
    {"line": checked('{"kind":"event","timestamp":1.0,"n":1,"_id":"\\u0077-1"')},
    {"line": checked('{"kind":"event","timestamp":1.0,"n":1,"_id":"w-1" ')},
    {"line": checked('{"kind":"event","timestamp":1.0,"_id":"w-1","n":1')},
    {"line": line(1, "w" * 80)},
    {"line": line(1, "\u00e9")},
    {"line": b""},
    {"line": b'","_crc":"01234567"}'},
    {"line": b',"_crc":"01234567"}'},
    {"line": line(1)[-71:]},
    {"line": line(1)[-40:]},
    *STRANGERS,
]


@pytest.fixture
def store(kind: Redis) -> Iterator[RedisBackend]:
    """An open store, which a test may damage."""
    with kind.open() as opened:
        yield opened


def looks_agree(kind: Redis, store: RedisBackend, entries: list[dict[str, bytes]]) -> bool:
    """Tell whether the ends show each repeat, and a stream yields what a read does."""
    kind.client.delete(kind.key("records"))
    for fields in entries:
        kind.put_entry(fields)
    met_ids = [id_ for _, whole in store._lines(newest_first=False) for id_ in ids_in(whole)]
    shown = may_repeat(Entries(store._link).batches())
    ids = [record.id for record in store.records()]
    return shown >= (len(set(met_ids)) < len(met_ids)) and ids == [
        record.id for record in store.read()
    ]


def sizes(store: RedisBackend) -> list[int]:
    """Return how many lines come at once."""
    return [len(batch) for batch in Entries(store._link).batches() if batch]


def looks_once(kind: Redis, store: RedisBackend, entries: list[dict[str, bytes]]) -> bool:
    """Tell whether no id of *entries* seems to be repeated."""
    kind.client.delete(kind.key("records"))
    for fields in entries:
        kind.put_entry(fields)
    return not may_repeat(Entries(store._link).batches())


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
def test_an_entry_that_holds_no_record_of_papyras_shows_no_id(
    kind: Redis, store: RedisBackend, stranger: dict[str, bytes]
) -> None:
    assert looks_once(kind, store, [ENTRIES[0], stranger])
    assert not looks_once(kind, store, [ENTRIES[0], ENTRIES[0]])


def test_whatever_is_in_two_entries_the_ends_show_what_is_repeated(
    kind: Redis, store: RedisBackend
) -> None:
    for one, other in itertools.combinations_with_replacement(ENTRIES, 2):
        assert looks_agree(kind, store, [one, other]), (one, other)


def test_all_of_them_together_are_read_as_from_the_newest_end(
    kind: Redis, store: RedisBackend
) -> None:
    assert looks_agree(kind, store, [*ENTRIES, {"line": line(7)}, *ENTRIES, {"line": line(8)}])


def test_no_line_of_papyras_is_fetched_whole(kind: Redis) -> None:
    with kind.open() as store:
        long = [Record("event", data={"text": "x" * 3000, "n": n}) for n in range(2500)]
        store.append_many(long)
        batches = [batch for batch in Entries(store._link).batches() if batch]
        assert sum(map(len, batches)) == len(long)
        ends = [end for batch in batches for end in batch if isinstance(end, bytes)]
        assert {len(end) for end in ends} == {MOST_SHOWN}
        stored = kind.client.xrange(kind.key("records"))
        assert ends == [entry[b"line"][1 - MOST_SHOWN :] + b"\n" for _, entry in stored]
        assert not may_repeat(batches)
        assert numbers(list(store.records())) == list(range(len(long)))


def test_one_call_keeps_the_server_no_longer_than_a_page_does(
    kind: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(2500)])
        assert sizes(store) == [1000, 1000, 500]
        monkeypatch.setattr(stream, "_PAGE_BYTES", 1000)
        assert max(sizes(store)) * len(line(1)) <= 1000 + 8 * 200  # what was begun is finished
        kind.client.delete(kind.key("records"))
        for _ in range(100):
            kind.put_entry({"more": b"x" * 400, "than": b"y" * 400})
        assert set(sizes(store)) == {4, 8}


def test_a_look_sees_one_moment(kind: Redis) -> None:
    with kind.open() as store:
        store.append_many([event(1), event(2)])
        entries = Entries(store._link)
        assert sum(map(len, entries.batches())) == 2
        kind.put_entry({"line": line(1)})
        assert sum(map(len, entries.batches())) == 2
        assert len(list(entries.lines(newest_first=False))) == 2
        assert len(list(entries.lines(newest_first=True))) == 2


def test_an_empty_store_is_looked_at(kind: Redis) -> None:
    with kind.open() as store:
        assert sizes(store) == []
        assert list(store.records()) == []


def test_a_stream_needs_the_rights_of_a_reader_alone(kind: Redis) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(3)])
    keeper = Keeper(kind.server.port, kind.key)
    readers = [word for word in COMMANDS.split() if not word.startswith(("+x", "+h"))]
    for rights in (COMMANDS.split(), [*readers, "+xrange", "+xrevrange"]):
        with (
            user(keeper, "reader", *rights) as address,
            RedisBackend(address, name=kind.store_name) as store,
        ):
            assert numbers(list(store.records())) == [0, 1, 2]


def test_a_stream_goes_on_after_the_server_forgot_its_scripts(kind: Redis) -> None:
    with kind.open() as store:
        store.append_many([event(n) for n in range(3)])
        kind.client.script_flush()
        assert numbers(list(store.records())) == [0, 1, 2]


#: What the script says, and what it says with a step taken out.
STEPS = {
    "one mark": ("line:find(mark, 1, true) == #line - behind", "line:find(mark, -19, true)"),
    "at the end": ("line:find(mark, 1, true) == #line - behind", "line:find(mark, 1, true)"),
    "one field": ("#fields == 2 and", ""),
    "its name": ("fields[1] == 'line' and", ""),
}


@pytest.mark.parametrize("step", STEPS)
def test_without_a_step_of_the_script_an_entry_is_taken_for_another(
    kind: Redis, store: RedisBackend, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    said, lacking = STEPS[step]
    assert said in LINE_ENDS.text
    mutant = Script("records", LINE_ENDS.text.replace(said, lacking).partition("\n")[2])
    monkeypatch.setattr(stream, "LINE_ENDS", mutant)
    pairs = itertools.combinations_with_replacement(ENTRIES, 2)
    assert not (
        all(looks_agree(kind, store, list(pair)) for pair in pairs)
        and all(looks_once(kind, store, [ENTRIES[0], stranger]) for stranger in STRANGERS)
    )


def test_without_whole_lines_an_id_that_begins_before_the_end_is_passed_over(
    kind: Redis, store: RedisBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"line": line(1, "w" * 80)}] * 2
    assert looks_agree(kind, store, entries)
    monkeypatch.setattr(stream, "show_ids", lambda _: True)
    assert not looks_agree(kind, store, entries)
