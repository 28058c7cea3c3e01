"""A password is repeated in no message, wherever on a command line or in a URL it stood."""

import asyncio
import logging
import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import papyra
import papyra.aio
from papyra import PapyraError, store_url
from papyra.backends.redis import RedisBackend
from papyra.cli import main
from papyra.cli.exit_codes import EXIT_CODES
from papyra_otel import AddressError
from papyra_otel.prometheus import serve

#: The ends of every password: what is told in part is told.
HEAD, TAIL = "qxz7kf", "wjv9rm"
#: Nobody listens there.
NOBODY = "127.0.0.1:1"

#: What URLs give a meaning to, and what Unicode's NFKC turns into that.
SPECIAL = "@?/:#[]%&=+;,.~!$'\"()*<>{}\\ \N{FULLWIDTH COLON}\N{FULLWIDTH SOLIDUS}\N{FULLWIDTH COMMERCIAL AT}\N{FULLWIDTH NUMBER SIGN}\N{FULLWIDTH QUESTION MARK}\N{ACCOUNT OF}\N{PARENTHESIZED DIGIT ONE}"
INNER = st.lists(st.sampled_from(SPECIAL) | st.characters(exclude_characters="\0"), max_size=6).map(
    "".join
)
PASSWORDS = INNER.map(lambda inner: f"{HEAD}{inner}{TAIL}")
SPELT = st.sampled_from(
    [
        lambda text: text,
        lambda text: quote(text, safe="", errors="surrogatepass"),
        lambda text: quote(text, safe="@:/", errors="surrogatepass"),
        lambda text: text.replace("@", "%40"),
    ]
)
#: With a place for a password each.
URLS = [
    f"redis://:{{}}@{NOBODY}/0",
    f"redis://me:{{}}@{NOBODY}",
    f"redis://{{}}:word@{NOBODY}",
    f"redis://{{}}@{NOBODY}",
    f"redis://me:{{}}@{NOBODY},127.0.0.1:2",
    f"redis://:{{}}@127.0.0.1:2,:{{}}@{NOBODY}",
    f"redis:// :{{}}@{NOBODY}",
    f"redis://:{{}}@{NOBODY}?name=a",
    f"redis://:{{}}@{NOBODY}?name=a b",
    f"redis://:{{}}@{NOBODY}?name=a&colour=red",
    f"redis://:{{}}@{NOBODY}/x",
    f"redis://:{{}}@{NOBODY}0000",
    f"redis://:{{}}@{NOBODY}?sync=always",
    f"redis://:{{}}@{NOBODY}?layout=0.3.0",
    f"redis://:{{}}@{NOBODY}?layout=4",
    f"rediss://:{{}}@{NOBODY}",
    "unix://me:{}@/nowhere/redis.sock?db=1",
    "redis://me:{}@",
    "redis://127.0.0.1:{}",
    f"redis://{NOBODY}/{{}}",
    f"redis://{NOBODY}/0?password={{}}",
    f"redis://{NOBODY}/0?name=a&password={{}}",
    f"redis://{NOBODY}/0?{{}}",
    f"redis://{NOBODY}/0?{{}}=1",
    f"redis://{NOBODY}?sync={{}}",
    f"redis://{NOBODY}?timeout={{}}",
    f"redis://{NOBODY}?max_age={{}}",
    f"redis://{NOBODY}?max_records=1&max_total_bytes={{}}",
    f"redis://{NOBODY}?layout={{}}",
    f"rediss://{NOBODY}?ca={{}}",
    "unix:///nowhere?db={}",
    f"Redis://:{{}}@{NOBODY}",
    f"reds://:{{}}@{NOBODY}",
    f"valkey://me:{{}}@{NOBODY}",
    f"http://me:{{}}@{NOBODY}/",
    f"redis:me:{{}}@{NOBODY}",
    f"redis:/me:{{}}@{NOBODY}",
    f"me:{{}}@{NOBODY}",
    f":{{}}@{NOBODY}",
    f"{{}}@{NOBODY}",
    f"//:{{}}@{NOBODY}",
    f"json:redis://:{{}}@{NOBODY}",
    f"json:redis::{{}}@{NOBODY}",
    f"rotating:rediss://:{{}}@{NOBODY}",
    f"memory:redis://:{{}}@{NOBODY}",
    f"json:me:{{}}@{NOBODY}",
    f"json::{{}}@{NOBODY}",
    f"json:/me:{{}}@{NOBODY}/x",
    f"json:me:{{}}@{NOBODY}?max_records=1",
    f"json:x?me:{{}}@{NOBODY}",
    f"json:x?max_age=me:{{}}@{NOBODY}",
    f"rotating:me:{{}}@{NOBODY}",
    f"rotating::{{}}@{NOBODY}?max_files=2",
    f"memory:me:{{}}@{NOBODY}",
    f"memory:?me:{{}}@{NOBODY}",
    f"./x?me:{{}}@{NOBODY}",
    "memory:{}",
    f"json://me:{{}}@{NOBODY}/x",
    "json:x?password={}",
    "redis://[{}]/0",
    "redis://{}\0@127.0.0.1",
]
#: A command line each, of which one word is a URL.
COMMANDS: list[Callable[[str], list[str]]] = [
    lambda url: ["scan", "--store", url],
    lambda url: ["scan", f"--store={url}"],
    lambda url: ["scan", url],
    lambda url: ["recover", "--dry-run", url],
    lambda url: ["recover", "--list", url],
    lambda url: ["compact", url],
    lambda url: ["compact", "--max-age", "1d", url],
    lambda url: ["metrics", "persistence", url],
    lambda url: ["metrics", "reset", url],
    lambda url: ["import", url, "memory:"],
    lambda url: ["import", url, "json:nowhere/x"],
    lambda url: ["import", "memory:", url],
    lambda url: ["import", "json:nowhere/x", url],
]
#: A command line each, of which one word is a password, or a URL with one, in a wrong place.
MISTAKES: list[Callable[[str], list[str]]] = [
    lambda word: [word],
    lambda word: [word, "scan"],
    lambda word: ["metrics", word],
    lambda word: ["scan", "json:nowhere/x", word],
    lambda word: ["scan", "--store", "json:nowhere/x", word],
    lambda word: ["scan", "json:nowhere/x", "--", word, word],
    lambda word: ["import", "json:a", "json:b", word],
    lambda word: [f"--{word}"],
    lambda word: ["scan", f"--{word}"],
    lambda word: ["scan", f"-{word}"],
    lambda word: ["scan", f"--json={word}"],
    lambda word: ["scan", f"--stroe={word}"],
    lambda word: ["compact", "json:nowhere/x", "--max-age", word],
    lambda word: ["compact", "json:nowhere/x", f"--max-records={word}"],
    lambda word: ["compact", "memory:", f"--max-total-bytes={word}"],
]


def filled(url: str, password: str) -> str:
    """Return *url* with the *password* in it."""
    if "@" not in url and url.startswith("redis://127.0.0.1:{"):
        # What follows an "@" here is a host as far as anybody can tell.
        password = password.replace("@", "%40")
    return url.format(password, password)


class Overheard:
    """Everything that came out while it listened."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def error(self, error: BaseException | None) -> None:
        """Take in whatever can be seen of *error*, and of all that led to it."""
        if error is None:
            return
        self.texts += [str(error), repr(error), repr(error.args), repr(vars(error))]
        self.texts += getattr(error, "__notes__", [])
        self.texts += traceback.format_exception(error)
        self.error(error.__cause__)
        self.error(error.__context__)

    def check(self) -> None:
        """See that no part of the password is in it."""
        for text in self.texts:
            reported = text.lower()
            assert HEAD not in reported, text
            assert TAIL not in reported, text


@contextmanager
def listening(**variables: str) -> Iterator[Overheard]:
    """Hear what is printed, logged and warned of, with more *variables* in the environment."""
    heard = Overheard()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.texts += [record.getMessage(), repr(record.args)]

    ear, root = Ear(), logging.getLogger()
    level = root.level
    out = StringIO()
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        with (
            mock.patch.dict(os.environ, variables),
            # Reading the counters of a server that is not there is tried for seconds.
            mock.patch.object(store_url, "LOCK_TIMEOUT", 0.001),
            warnings.catch_warnings(record=True) as warned,
            redirect_stdout(out),
            redirect_stderr(out),
        ):
            yield heard
    finally:
        root.removeHandler(ear)
        root.setLevel(level)
    heard.texts += [out.getvalue(), *(str(warning.message) for warning in warned)]
    heard.check()


def hear(heard: Overheard, use: Callable[[], Any]) -> None:
    """Call *use*, which may fail, and take in what it tells of it."""
    try:
        made = use()
    except (PapyraError, ValueError, TypeError) as error:
        heard.error(error)
    else:
        heard.texts += [repr(made), str(made)]


async def _aio(url: str) -> None:
    await papyra.aio.open_store(url).aclose()


@given(url=st.sampled_from(URLS), password=PASSWORDS, spelt=SPELT)
@example(url=URLS[0], password=f"{HEAD}\N{FULLWIDTH COLON}{TAIL}", spelt=str)
@example(url=URLS[0], password=f"{HEAD}[secret]{TAIL}", spelt=str)
@example(url=URLS[21], password=f"{HEAD}@{TAIL}", spelt=str)
@example(url=URLS[0], password=f"{HEAD}%FF{TAIL}", spelt=str)
@example(url=URLS[0], password=f"{HEAD}%00{TAIL}", spelt=str)
@example(url=f"json://me:{{}}@{NOBODY}/x", password=f"{HEAD}/{TAIL}", spelt=str)
@settings(deadline=None, max_examples=400)
def test_no_error_of_the_library_repeats_it(
    url: str, password: str, spelt: Callable[[str], str]
) -> None:
    given_url = filled(url, spelt(password))
    with listening() as heard:
        hear(heard, lambda: papyra.open_store(given_url))
        hear(heard, lambda: papyra.open_store(given_url.encode(errors="replace")))  # type: ignore[arg-type]  # a mistake
        hear(heard, lambda: papyra.open_store(given_url, must_exist=True))
        hear(heard, lambda: papyra.open_counters(given_url))
        hear(heard, lambda: RedisBackend(given_url))
        hear(heard, lambda: RedisBackend(given_url, db=1, ca=password))
        hear(heard, lambda: asyncio.run(_aio(given_url)))
        hear(heard, lambda: papyra.aio.AsyncBackend(given_url))  # type: ignore[arg-type]  # likewise
        hear(heard, lambda: papyra.exposition(given_url))


@given(
    command=st.sampled_from(COMMANDS + MISTAKES),
    url=st.sampled_from(URLS),
    password=PASSWORDS,
    spelt=SPELT,
    json=st.booleans(),
    tracing=st.sampled_from(["", "1"]),
)
@settings(deadline=None, max_examples=400)
def test_no_command_repeats_it(
    command: Callable[[str], list[str]],
    url: str,
    password: str,
    spelt: Callable[[str], str],
    *,
    json: bool,
    tracing: str,
) -> None:
    given_url = filled(url, spelt(password))
    with listening(PAPYRA_TRACEBACK=tracing):
        code = main([*command(given_url), *["--json"] * json])
    assert code in EXIT_CODES


@given(
    command=st.sampled_from(MISTAKES),
    password=PASSWORDS,
    json=st.booleans(),
    tracing=st.sampled_from(["", "1"]),
)
@settings(deadline=None, max_examples=200)
def test_no_command_repeats_a_word_in_the_wrong_place(
    command: Callable[[str], list[str]], password: str, *, json: bool, tracing: str
) -> None:
    with listening(PAPYRA_TRACEBACK=tracing):
        assert main([*command(password), *["--json"] * json]) == 2


@given(
    command=st.sampled_from(
        [["scan"], ["scan", "--help"], ["--help"], ["metrics", "persistence"], ["scan", "-x"]]
    ),
    url=st.sampled_from([url for url in URLS if "\0" not in url]),
    password=st.text(
        st.sampled_from(SPECIAL)
        | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        max_size=6,
    ).map(lambda inner: f"{HEAD}{inner}{TAIL}"),
    spelt=SPELT,
    tracing=st.sampled_from(["", "1"]),
)
@settings(deadline=None, max_examples=200)
def test_no_command_repeats_what_is_in_the_environment(
    command: list[str], url: str, password: str, spelt: Callable[[str], str], tracing: str
) -> None:
    given_url = filled(url, spelt(password))
    with listening(PAPYRA_STORE=given_url, PAPYRA_TRACEBACK=tracing):
        assert main(command) in EXIT_CODES


@given(url=st.sampled_from(URLS), password=PASSWORDS)
@settings(deadline=None, max_examples=100)
def test_no_server_of_metrics_repeats_it(url: str, password: str) -> None:
    given_url = filled(url, password)
    with listening() as heard:
        hear(heard, lambda: serve(given_url, port=0))  # type: ignore[arg-type]  # a mistake
        with pytest.raises(AddressError) as raised:
            serve(host=given_url, port=0)
        heard.error(raised.value)


@pytest.mark.parametrize(
    ("given_words", "reported"),
    [
        (
            ["scan", "json:a", "redis://:s3cr3t@h"],
            "scan: too many arguments; it takes STORE only; ",
        ),
        (["redis://:s3cr3t@h"], "the command is not known; a command must come before the store, "),
        (["scan", "--s3cr3t"], "scan: the option is not known. 'papyra scan"),
        (["scan", "Redis://:s3cr3t@h"], "did you mean redis:?"),
        (["scan", "reds://:s3cr3t@h"], "did you mean redis:?"),
        (["scan", "s3cr3t@h"], "not shown"),
        (["scan", "redis://:s3@cr3t@h"], "an unescaped @, which must be written as %40"),
        (["scan", "redis://:s3cr3t@h,:s3cr3t@i"], "an unescaped @, which must be written as %40"),
        (["scan", "redis://:s3!cr3t@h"], "must be written as %XX"),
        (["scan", "redis://h?password=s3cr3t"], "user and password go before the host"),
        (["scan", "redis://:s3?cr3t@h"], "write ? as %3F, and @ as %40"),
        (["scan", "redis://:%FF@h"], "must be UTF-8"),
        (["scan", "json:redis://:s3cr3t@h"], "a path must follow, not the address of a server; "),
        (["scan", "json:me:s3cr3t@h"], "write ./ before the name of a new file"),
        (["scan", "rotating::s3cr3t@h"], "a path must follow, not the address of a server; "),
        (["scan", "json:h?s3cr3t@h"], "one of the options is not known; the options are "),
    ],
    ids=str,
)
def test_it_is_said_what_to_write(
    given_words: list[str], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given_words) == 2
    assert reported in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a@b.ndjson", "./a:b@c.ndjson", "logs/a:b@c.ndjson"])
def test_a_file_with_an_at_in_its_name_is_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    assert main(["scan", f"json:{name}"]) == 6
    assert name.removeprefix("./") in capsys.readouterr().err
    with papyra.open_store(f"json:{name}") as store:
        store.append(papyra.Record("event"))
    assert main(["scan", f"json:{name.removeprefix('./')}"]) == 0
    assert "1 record in" in capsys.readouterr().out
    assert main(["scan", f"json:{name.removeprefix('./')}?max_age=x"]) == 2
    assert name.removeprefix("./") in capsys.readouterr().err


def test_help_shows_the_name_of_the_variable_and_not_what_is_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAPYRA_STORE", "redis://:s3cr3t@h")
    with suppress(SystemExit):
        main(["scan", "--help"])
    shown = capsys.readouterr().out
    assert "PAPYRA_STORE" in shown
    assert "s3cr3t" not in shown
