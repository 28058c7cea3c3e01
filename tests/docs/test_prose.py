"""
No page, comment, docstring or message holds a turn of speech that a reader must read twice.

:data:`TURNS` is the table: each turn with its name, the expression that finds it, sentences that
it must find, and sentences that it must pass over. Two rules for prose are behind it.

1. *Subject, verb, object.* "Who", "Whoever", "What" or "Where" does not begin a clause that is the
   subject of a sentence, or the whole of one: name the caller, the leader, a reader, another
   process, the operator. A question, and "Where X, Y", are good English.
2. *Negate verbs, not nouns.* "is not valid JSON", "cannot be reached", "at most 10,000", "Otherwise
   ...". ``else`` counts only where it means otherwise, "stands" only of things that lie somewhere,
   "so many" only without "that".

A third rule is counted: a sentence has at most 25 words, in the comments and docstrings of both
packages, in the README and in the pages of docs. A sentence of a message has at most 35.

Code is not prose: blocks of code, and code within a line, are left out. Code within a sentence is
one word. Words of tables and trees are not counted.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import papyra

ROOT = Path(__file__).parents[2]
#: papyra itself may be installed elsewhere, as from a wheel.
INSTALLED = Path(papyra.__file__).parents[1]
FOLDERS = (
    *(INSTALLED / name for name in ("papyra", "papyra_otel")),
    *(ROOT / name for name in ("examples", "benchmarks")),
)
FILES = {
    path.relative_to(root).as_posix(): path
    for root, paths in (
        (INSTALLED, [path for folder in FOLDERS[:2] for path in folder.rglob("*.py")]),
        (ROOT, [path for folder in FOLDERS[2:] for path in folder.rglob("*.py")]),
        (ROOT, [*(ROOT / "tests" / "reference").glob("*.py")]),
        (ROOT, [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]),
        (ROOT, [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "tests/README.md")]),
    )
    for path in sorted(paths)
}


class Turn(NamedTuple):
    """A turn of speech that is not written here."""

    name: str
    expression: str
    bad: tuple[str, ...]
    good: tuple[str, ...]


#: Where a sentence begins: at the start of a text, or behind the end of another sentence.
_START = r"(?:(?:^|(?<=[.?!] ))[\"(*]?)"
#: A sentence that is not a question.
_SAYS = r"(?!(?:[^.?!]|\.(?! ))*\?)"
TURNS = (
    Turn(
        "is no X",
        r"(?<!\bthere )\b(?:is|are|was|were|be|been|being) no\b"
        r"(?! longer\b| more than\b| less than\b| \w+er than\b)",
        ("This is no store.", "Both are no records.", "what is no letter", "It must be no link."),
        (
            "It is not a store.",
            "It is no longer used.",
            "There is no space.",
            "It is no older than",
        ),
    ),
    Turn(
        "none of X's",
        r"\bnone of (?:(?:the|this|that|its) )?[\w.]+'s\b|\bnone of (?:ours|theirs)\b",
        ("a line that is none of papyra's", "none of 0.3.0's", "none of this store's"),
        ("It does not belong to this store.", "None of the records is lost."),
    ),
    Turn(
        "to be had",
        r"\bto be had\b",
        ("The lock is not to be had.",),
        ("The lock cannot be taken.", "It had to be opened."),
    ),
    Turn(
        "as X has it",
        r"\bas (?:[\w.']+ ){1,4}(?:has|have|had) it\b",
        ("two copies, as 0.3.0 has it", "as the other file had it"),
        ("two copies, as 0.3.0 wrote them", "as the file has itself"),
    ),
    Turn(
        "at the most",
        r"\bat the (?:most|least)\b",
        ("at the most 10,000", "a second at the least"),
        ("at most 10,000", "at the moment", "at least one"),
    ),
    Turn(
        "so many",
        r"\bso many\b(?![^.;:]*\bthat\b)",
        ("Only so many are kept.",),
        ("so many records that the disk is full", "only `max_files` files are kept"),
    ),
    Turn(
        "else, for otherwise",
        r"(?<!thing )(?<!body )(?<!one )(?<!where )(?<!what )(?<!whatever )(?<!who )(?<!\ball )\belse\b"
        r"|\bor where else\b",
        ("Else it waits.", "or else", "which would else be lost", "; else a reader waits"),
        ("Otherwise it waits.", "something else", "anywhere else", "what else", "elsewhere"),
    ),
    Turn("likewise", r"\blikewise\b", ("Likewise a reader.",), ("A reader does the same.",)),
    Turn(
        "stands, of a thing that lies somewhere",
        r"\b(?:stand|stands|stood|standing)\b(?!-| for\b| in for\b| still\b| out\b)",
        ("where a file stands", "the line stood there", "Two files stand beside it."),
        ("It stands for a path.", "a stand-in", "an outstanding call", "it stands in for one"),
    ),
    Turn(
        "nobody, somebody, whoever",
        r"\b(?:nobody|(?:some|any|every)(?:body|one)|whoever|whomever|whosoever)\b",
        ("Nobody waits.", "somebody's lock", "whoever opens it", "Someone waits."),
        ("No process waits.", "the lock of another process"),
    ),
    Turn(
        "a clause with who as a subject",
        rf"(?-i:{_START}Who\b){_SAYS}|; who\b",
        (
            "Who comes later waits.",
            "It leads. Who waits is told.",
            "It is full; who waits, waits on.",
        ),
        ("Callers that come later wait.", "a caller, who waits", "Who waits?"),
    ),
    Turn(
        "a clause with what as a subject",
        rf"(?-i:{_START}What(?:ever)?\b){_SAYS}|; what(?:ever)?\b(?! (?:to|happened)\b)",
        ("What is damaged is saved.", "What a line contains.", "one is kept; what is left goes"),
        ("Damaged lines are saved.", "Say what a line contains.", "What is it?", "; what to do"),
    ),
    Turn(
        "a clause with where as a subject",
        rf"(?-i:{_START}Where(?:ver)?\b){_SAYS}(?=(?:[^.,:]|\.(?! ))*(?:\. |[.:]$|$))",
        ("Where a file is is not known.", "Where the records lie"),
        ("Where the lock is missing, it waits.", "The place where it is.", "Where is it?"),
    ),
)


#: A string that is a program for Redis or Python, not something to read.
PROGRAM = re.compile(
    r"redis\.call\(|\bthen\b.*\bend\b|^(?:import|from) \w+", re.DOTALL | re.MULTILINE
)


def prose(path: Path) -> Iterator[str]:
    """Yield the texts in the file at *path* that people read."""
    texts = program(path) if path.suffix == ".py" else page(path)
    for text in texts:
        yield re.sub(r"\s+", " ", re.sub(r"(`+)[^`]+\1", "CODE", text)).strip()


def program(path: Path) -> Iterator[str]:
    """Yield each comment, as of several lines, and the paragraphs of each docstring and message."""
    code = path.read_text()
    yield from (" ".join(lines) for lines in comments(code))
    yield from messages(ast.parse(code))


def comments(code: str) -> list[list[str]]:
    """Return the lines of each comment in *code*; lines below each other are one comment."""
    found: list[list[str]] = []
    below = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            if token.start != below:
                found.append([])
            found[-1].append(token.string.lstrip("#: "))
            below = token.start[0] + 1, token.start[1]
    return found


def messages(tree: ast.AST) -> Iterator[str]:
    """Yield the paragraphs of each string in *tree* that is not a program."""
    nodes = list(ast.walk(tree))
    formatted = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in formatted for part in node.values}
    for literal in formatted:
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "VALUE"
            for part in literal.values
        )
    for node in nodes:
        text = node.value if isinstance(node, ast.Constant) and id(node) not in parts else None
        if isinstance(text, str) and not PROGRAM.search(text):
            yield from paragraphs(text)


def page(path: Path) -> Iterator[str]:
    """Yield the paragraphs of a page, without its code and its headings."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for part in paragraphs(text):
        if not part.startswith("#"):
            yield re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"^(?:[-*>]|\d+\.) ", "", part))


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs, entries and cells of *text*."""
    yield from re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\s\|\s|^\| ", text, flags=re.MULTILINE)


def faults(path: Path) -> list[str]:
    return [
        f"{turn.name}: ...{text[max(0, found.start() - 50) : found.end() + 40]}..."
        for text in prose(path)
        for turn in TURNS
        for found in re.finditer(turn.expression, text, re.IGNORECASE)
    ]


#: The most words of a sentence; a message says what happened and what to do in one.
MOST_WORDS = 25
MOST_WORDS_OF_A_MESSAGE = 35
COUNTED = [
    name
    for name in FILES
    if name.startswith(("papyra/", "papyra_otel/", "docs/")) or name == "README.md"
]
#: Between two sentences. A name in small letters may begin one.
_END = re.compile(
    r"(?:(?<=[.?!])|(?<=[.?!][*\")])|(?<=[.?!]\*\*)) (?=[^a-z]|(?:papyra|orjson|redis-py)\b)"
)
#: Before an entry of a list, or of the arguments, attributes or errors of a docstring.
_ENTRY = re.compile(
    r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?= {4}(?:\*{0,2}\w+(?:, )?)+: )|:\n(?= {4})"
)
#: A line of a tree or a table, whose columns are apart, or a line of code.
_ROW = re.compile(r"^ +\S+(?: \S+)* {2,}\S|^ {4,}.*->|[├└│]|^\s*\|")


def long_sentences(path: Path) -> Iterator[str]:
    """Yield each sentence in the file at *path* that has too many words, with their number."""
    text = path.read_text()
    texts = [(text, MOST_WORDS)]
    if path.suffix == ".py":
        tree = ast.parse(text)
        texts = [("\n".join(lines), MOST_WORDS) for lines in comments(text)]
        texts += [(docstring, MOST_WORDS) for docstring in cut_docstrings(tree)]
        texts += [(message, MOST_WORDS_OF_A_MESSAGE) for message in messages(tree)]
    for prose_of_one, most in texts:
        for sentence in sentences(prose_of_one):
            words = sum(1 for word in sentence.split() if re.search(r"\w", word))
            if words > most:
                yield f"{words} words: {sentence}"


def cut_docstrings(tree: ast.AST) -> list[str]:
    """Take the docstrings out of *tree*, so that the strings that are left are messages."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                found.append(docstring)
                node.body[0] = ast.Pass()
    return found


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of *text*, without the blocks of code and the rows of tables and trees."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for part in re.split(r"\n\s*\n", text):
        rows = part.splitlines()
        if any(_ROW.search(row) for row in rows) or re.match(r"#+ | {4}(?:class|def|async) ", part):
            continue
        for entry in _ENTRY.split(part):
            flat = re.sub(r"(`+)[^`]+\1", "CODE", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", entry))
            yield from _END.split(" ".join(flat.split()))


@pytest.mark.parametrize("name", COUNTED)
def test_a_sentence_is_short_enough_to_be_read_once(name: str) -> None:
    found = list(long_sentences(FILES[name]))

    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_no_turn_that_a_reader_must_read_twice(name: str) -> None:
    found = faults(FILES[name])

    assert not found, "\n".join(found)


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.name)
def test_an_expression_finds_its_turn_and_passes_over_good_sentences(turn: Turn) -> None:
    found = {
        text for text in turn.bad + turn.good if re.search(turn.expression, text, re.IGNORECASE)
    }

    assert found == set(turn.bad)


def test_what_people_read_is_told_from_code(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""Module\n\nof a `code`."""\n# One\n# comment\nx = 1  # two\nprint(f"three {x}" "four")\n'
    )
    document = tmp_path / "page.md"
    document.write_text("# Head\n\n- [What](x.md)\n  one `two`\n\n```text\ncode\n```\n| a | b |\n")

    assert {"Module", "of a CODE.", "One comment", "two", "three VALUEfour"} <= set(prose(module))
    assert [text for text in prose(document) if text] == ["What one CODE", "a", "b"]


WORDS = "One " + "word " * 23 + "more"


def test_the_words_of_each_sentence_are_counted(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        f'"""\n{WORDS}. {WORDS} a.\n\n{WORDS}:\n\n    name    {WORDS}\n    other   {WORDS}\n"""\n'
        f'def f():\n    """\n    {WORDS}.\n\n    Args:\n        x: {WORDS[9:]} b.\n'
        f'        y: {WORDS} `c d`.\n    """\n'
        f'# {WORDS}.\n# {WORDS} d.\nraise E("{WORDS} e. {WORDS} {WORDS[:53]} f")\n'
    )
    document = tmp_path / "page.md"
    document.write_text(
        f"# {WORDS} a\n\n{WORDS} b.\n\n- {WORDS}.\n- {WORDS}, [c d](x.md).\n\n"
        f"```\n{WORDS} d\n```\n\n| {WORDS} e |\n| --- |\n"
    )

    assert [found[-4:] for found in long_sentences(module)] == ["e d.", "e a.", "ODE.", "rd f"]
    assert [found[-4:] for found in long_sentences(document)] == ["e b.", "c d."]
