"""Any arguments, over any bytes: a documented code, one line or one document, no traceback."""

import json
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.shell import PICTURE, STORE, STRANGE, TORN, intact
from hypothesis import example, given, settings
from hypothesis import strategies as st

from papyra.cli import main
from papyra.cli.exit_codes import EXIT_CODES

LINE = intact(1)
#: What no shell can pass: NUL, and what is not in any encoding of bytes.
PASSABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
OPTIONS = st.one_of(
    st.sampled_from(["", "max_records=1", "max_age=1", "max_total_bytes=0", "sync=always"]),
    st.sampled_from(["max_age=nan", "lock_timeout=-1", "x=1", "&", "max_records=1&max_records=1"]),
    st.text(PASSABLE, max_size=5),
)
URLS = st.one_of(
    st.just(f"json:{STORE}"),
    st.sampled_from(["json:none", "json:.", f"json:{STORE}/x", "json:none/x", "memory:", "tape:x"]),
    st.sampled_from([STORE, "none", ".", f"{STORE}/x", f"{STORE}.lock", f"{STORE}.metrics"]),
    OPTIONS.map(f"{STORE}?".__add__),
    OPTIONS.map(f"json:{STORE}?".__add__),
)
WORDS = st.one_of(
    st.sampled_from(["metrics", "persistence", "reset", "scan", "recover", "compact", "--"]),
    st.sampled_from(
        [
            "--yes",
            "--max-age",
            "7d",
            "--max-records",
            "--json",
            "--dry-run",
            "--store",
            "--help",
            "--version",
            "--store=",
            "-h",
            "-x",
        ]
    ),
    URLS,
    st.text(PASSABLE, max_size=5),
)
COMMANDS = st.sampled_from(
    [
        ["metrics", "persistence"],
        ["metrics", "reset"],
        ["scan"],
        ["recover"],
        ["recover", "--dry-run"],
        ["compact"],
        ["compact", "--yes"],
        ["compact", "--dry-run"],
        ["compact", "--max-records", "1"],
    ]
)
SENSIBLE = st.tuples(COMMANDS, st.sampled_from([[], ["--json"]]), URLS).map(
    lambda parts: [*parts[0], *parts[1], "--store", parts[2]]
)
PIECES = st.sampled_from([LINE, LINE[:-1], LINE[:40], TORN, STRANGE, PICTURE, b"\0" * 9, b"\n"])
BYTES = st.lists(PIECES | st.binary(max_size=20), max_size=6).map(b"".join)


@given(arguments=SENSIBLE | st.lists(WORDS, max_size=6), content=BYTES)
@example(["recover", "--json"], TORN + STRANGE)
@settings(deadline=None, max_examples=300)
def test_whatever_is_asked_of_whatever_store_ends_as_documented(
    arguments: list[str], content: bytes
) -> None:
    out, err = StringIO(), StringIO()
    with TemporaryDirectory() as directory, chdir(directory):
        Path(STORE).write_bytes(content)
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)

    assert code in EXIT_CODES
    assert "Traceback" not in err.getvalue()
    assert "this is a bug" not in err.getvalue()
    if code not in {0, 3}:
        assert out.getvalue() == ""
        assert err.getvalue().count("\n") == 1
    elif not {"reset", "--json"} <= set(arguments):  # which tells stderr the interval
        assert err.getvalue() == ""
    informs = {"--help", "-h", "--version"} & set(arguments)
    if "--json" in arguments and not (informs and code == 0):
        if code in {0, 3}:
            assert isinstance(json.loads(out.getvalue()), dict)
        else:
            assert json.loads(err.getvalue())["error"]["exit"] == code
