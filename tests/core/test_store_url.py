"""Stores named by a URL."""

import inspect
from pathlib import Path

import pytest
from stores import event

import papyra.aio
from papyra import (
    JsonBackend,
    MemoryBackend,
    NotPublishedError,
    Retention,
    RotatingBackend,
    StoreIOError,
    StoreNotFoundError,
    StoreURLError,
    open_counters,
    open_store,
)
from papyra.store_url import _KINDS, SCHEMES, is_in_memory


def test_a_url_names_a_store_and_its_options(tmp_path: Path) -> None:
    with open_store("memory:?max_records=3") as store:
        assert isinstance(store, MemoryBackend)
        assert store.retention == Retention(max_records=3)
    url = f"json:{tmp_path}/a.ndjson?sync=always&lock_timeout=0.5&max_age=60&max_total_bytes=9"
    with open_store(url) as store:
        assert isinstance(store, JsonBackend)
        assert (store.name, store.source) == ("a", f"{tmp_path}/a.ndjson")
        assert store.retention == Retention(max_age=60.0, max_total_bytes=9)
        assert (store._sync, store._lock_timeout) == ("always", 0.5)


def test_times_and_sizes_in_a_url_may_have_units(tmp_path: Path) -> None:
    with open_store(
        f"rotating:{tmp_path}/a?max_bytes=64KiB&max_age=7d&max_total_bytes=2GiB&lock_timeout=250ms"
    ) as store:
        assert isinstance(store, RotatingBackend)
        assert store.retention == Retention(max_age=7 * 86400, max_total_bytes=2 * 1024**3)
        assert (store._max_bytes, store._lock_timeout) == (64 * 1024, 0.25)
    with open_store(f"json:{tmp_path}/b", lock_timeout="1.5m") as store:
        assert store._lock_timeout == 90
    with pytest.raises(StoreURLError, match=r"lock_timeout must be seconds .*, got '5 s'"):
        open_store(f"json:{tmp_path}/b", lock_timeout="5 s")
    waiting = papyra.aio.open_store(f"json:{tmp_path}/c", lock_timeout="500ms")
    assert waiting.store._lock_timeout == 0.5


def test_options_may_stand_beside_the_url(tmp_path: Path) -> None:
    with open_store(
        f"json:{tmp_path}/a", retention=Retention(max_records=1), sync="none", lock_timeout=1
    ) as store:
        assert store.retention == Retention(max_records=1)
        assert (store._sync, store._lock_timeout) == ("none", 1)


@pytest.mark.parametrize("name", ["100%25 true", "what%3f", "what%3F", "%253F", "a=b&c #d", "ü"])
def test_a_path_is_literal_but_for_two_escapes(tmp_path: Path, name: str) -> None:
    with open_store(f"json:{tmp_path}/{name}") as store:
        store.append(event(1))
    plain = {"100%25 true": "100% true", "what%3f": "what?", "what%3F": "what?", "%253F": "%3F"}
    assert (tmp_path / plain.get(name, name)).is_file()


def test_a_path_without_a_scheme_is_refused_with_that_of_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set.log.000000000001").touch()
    Path("old.log.1").touch()
    Path("single").touch()
    for path, scheme in [("set.log", "rotating"), ("old.log", "rotating"), ("single", "json")]:
        for open_ in (open_store, open_counters):
            with pytest.raises(StoreURLError, match=rf"did you mean {scheme}:{path}\?$"):
                open_(path)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("actors.ndjson", "did you mean json:actors.ndjson?"),
        (
            "",
            "the store URL is empty, perhaps because a variable is not set; a store URL must begin with one of memory:",
        ),
        ("memory", "did you mean memory:, or json:memory?"),
        ("Memory", "did you mean memory:, or json:Memory?"),
        ("json", "did you mean json:PATH, or json:json?"),
        ("rotating", "did you mean rotating:PATH, or json:rotating?"),
        ("redis", "did you mean redis://HOST:PORT, or json:redis?"),
        ("rediss", "did you mean rediss://HOST:PORT, or json:rediss?"),
        ("unix", "did you mean unix:///SOCKET, or json:unix?"),
        ("sqlite:x", "begin with one of memory:, json:"),
        ("json:", "json: a path must follow, as in json:actors.ndjson"),
        (
            "json://x.ndjson",
            "json://x.ndjson: a path must follow the colon, not //; write json:x.ndjson for a file in the working directory, or json:/x.ndjson for one in the root directory",
        ),
        (
            "rotating://srv/x",
            "write rotating:srv/x for a file in the working directory, or rotating:/srv/x",
        ),
        (
            "rotating:x?max_files=0",
            "rotating:x: max_files must be a whole number from 1 on, got '0'",
        ),
        (
            "rotating:x?max_files=many",
            "rotating:x: max_files must be a whole number from 1 on, got 'many'",
        ),
        ("json:?sync=none", "json: a path must follow, as in json:actors.ndjson"),
        ("memory:x", "memory: a path must not follow; leave out the text after the colon"),
        (
            "json:x?max_bytes=5",
            "json:x: max_bytes is an option of rotating: alone; the options are sync, lock_timeout",
        ),
        ("json:x?sync", "sync must be one of none, interval, always, got ''"),
        ("json:x?sync=never", "one of none, interval, always"),
        ("json:x?max_records=many", "max_records must be a whole number from 0 on, got 'many'"),
        ("json:x?max_records=1k", "max_records must be a whole number from 0 on, got '1k'"),
        ("json:x?max_age=7D", "max_age must be seconds from 0 on, or a number and one of ms, s,"),
        ("json:x?max_age=1e5", "lower case), got '1e5'"),
        ("json:x?max_total_bytes=2G", "one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB (as "),
        ("rotating:x?max_bytes=64 MiB", "got '64 MiB'"),
        ("redis://h?timeout=1_0", "redis: timeout must be seconds from 0 on, "),
        ("json:x?max_records=1&max_records=2", "max_records is given twice"),
        ("json:x?max_records=-1", "must be a whole number from 0 on, got '-1'"),
        ("json:x?lock_timeout=nan", "lock_timeout must be seconds from 0 on, "),
        ("json:x?&", "json:x: '' is not an option; the options are sync, "),
        (
            "json:x?max_agee=1",
            "'max_agee' is not an option; the options are sync, lock_timeout, max_records, max_age, max_total_bytes; did you mean max_age?",
        ),
        ("rotating:x?Max_File=1", "max_files; did you mean max_files?"),
        (
            "redis://h?nam=x",
            "redis: one of the options is not known; user and password go before the host; the options",
        ),
        ("redis://h?nam=x", "layout; did you mean name?"),
        ("redis://h?ca=x", "redis: ca is an option of rediss: alone; user and password go"),
        (
            "json:x?sync=alwyas",
            "sync must be one of none, interval, always, got 'alwyas'; did you mean always?",
        ),
        (
            "redis://h?sync=Nonee",
            "redis: sync must be one of none, interval, always; did you mean none?",
        ),
        (
            "jsn:x",
            "unix:; the given one is not shown, since it may hold a password; did you mean json:?",
        ),
        ("rotate:x", "; did you mean rotating:?"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str, reason: str) -> None:
    for open_ in (open_store, open_counters, papyra.aio.open_store):
        with pytest.raises(StoreURLError) as raised:
            open_(url)
        assert reason in str(raised.value)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_help_of_open_store_has_every_scheme_and_every_option(scheme: str) -> None:
    text = inspect.getdoc(open_store)

    assert text is not None
    assert f"``{scheme}:" in text
    rest = {"": "", "path": "x", "server": "//h"}[_KINDS[scheme].place]
    with pytest.raises(StoreURLError, match="the options are ") as raised:
        open_store(f"{scheme}:{rest}?no_option=1")
    known = str(raised.value).partition("the options are ")[2].partition(";")[0].split(", ")
    assert {"sync", "lock_timeout", "max_records", "max_age", "max_total_bytes"} < {*known, scheme}
    for option in known:
        assert f"*{option}*" in text or f"``{option}=" in text


def test_what_is_said_twice_is_refused(tmp_path: Path) -> None:
    for options in ({"sync": "none"}, {"lock_timeout": 1}, {"retention": Retention()}):
        with pytest.raises(StoreURLError, match="give it once"):
            open_store(f"json:{tmp_path}/a?sync=none&lock_timeout=1&max_records=1", **options)


def test_a_store_that_must_exist_and_does_not_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError, match=r"a\.ndjson: no such store"):
        open_store(f"json:{tmp_path}/a.ndjson", must_exist=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(
        StoreNotFoundError, match="memory: a store in memory exists only in its own process"
    ):
        open_store("memory:", must_exist=True)
    with pytest.raises(StoreIOError, match="it is a directory"):
        open_store(f"json:{tmp_path}", must_exist=True)


def test_a_path_with_rotated_segments_is_not_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    for segment in ("a.log.1", "a.log.000000000007", "a.log.2.compact.tmp"):
        (tmp_path / segment).touch()
        with pytest.raises(StoreURLError, match=rf"{segment}; open it as rotating:"):
            open_store(f"json:{tmp_path}/a.log")
        (tmp_path / segment).unlink()
    open_store(f"rotating:{tmp_path}/a.log").close()


def test_a_store_in_memory_publishes_nothing() -> None:
    with pytest.raises(NotPublishedError, match=r"print store\.metrics\.snapshot\(\) there"):
        open_counters("memory:")


def test_another_scheme_of_a_store_in_memory_is_refused_where_memory_is_and_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert is_in_memory("memory:")
    assert not is_in_memory("plain:")
    monkeypatch.setitem(_KINDS, "plain", _KINDS["memory"])
    assert is_in_memory("plain:?max_records=1")
    assert not any(map(is_in_memory, ["plain", "json:plain:", "redis://memory:1", ":", ""]))
    with pytest.raises(StoreNotFoundError, match=r"^plain: a store in memory exists only "):
        open_store("plain:", must_exist=True)
    with pytest.raises(NotPublishedError, match=r"^plain: a store in memory has its counters "):
        open_counters("plain:")
