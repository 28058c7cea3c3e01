"""The page of Python's API, from signatures and docstrings; nothing is imported for it."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import griffe

import papyra
import papyra_otel
from reference import markdown

_INTRODUCTION = """\
These are the public names. Import each from the module that its part of the page names. A signature leaves out
`self`, and string annotations are shown without their quotes.
[Errors](errors.md) has the exceptions; [Counters](counters.md) explains the ten counters."""
#: Each part of the page: the heading, the module to import from, the names.
_PARTS: Final = (
    ("Stores", "papyra", ("open_store", "Record", "Retention", "PersistenceBackend")),
    ("Kinds of stores", "papyra", ("MemoryBackend", "JsonBackend", "RotatingBackend")),
    ("The Redis store", "papyra.backends.redis", ("RedisBackend",)),
    (
        "Reports",
        "papyra",
        (
            *("Anomaly", "ScanReport", "RecoveryReport", "Step", "Quarantined"),
            *("CompactionReport", "ImportReport"),
        ),
    ),
    ("Copying a store", "papyra", ("import_store",)),
    (
        "Counting",
        "papyra",
        (
            *("COUNTERS", "CounterName", "PersistenceMetrics", "PersistenceMetricsMixin"),
            "open_counters",
        ),
    ),
    ("Counters of all programs", "papyra.metrics.exportable", ("CounterSource", "CounterTotals")),
    ("asyncio", "papyra.aio", ("AsyncBackend", "open_store")),
    ("Prometheus without OpenTelemetry", "papyra.exposition", ("exposition", "CONTENT_TYPE")),
    ("OpenTelemetry", "papyra_otel", ("MetricsBridge",)),
    (
        "Prometheus by OpenTelemetry",
        "papyra_otel.prometheus",
        ("serve", "PrometheusServer", "GuardedReader"),
    ),
    ("A store of your own", "papyra.primitives", ("Primitives",)),
)
#: Where a heading would come twice, what tells the second from the first.
_SECOND: Final = {"papyra.aio.open_store": "aio.open_store"}
#: Notes on the constants, which do not have docstrings.
_CONSTANTS: Final = {
    "COUNTERS": "The ten counters, in order: each a tuple of `name`, `unit` and `meaning`. See [Counters](counters.md).",
    "CounterName": "The names of the ten counters, for type checkers.",
    "CONTENT_TYPE": "The media type of the text that `exposition` returns.",
}
_OWN_ERRORS: Final = frozenset({*papyra.__all__, *papyra_otel.__all__})
_WIDTH: Final = 96


def make() -> str:
    """Return the page."""
    shown = {name for _, module, names in _PARTS if module == "papyra" for name in names}
    missing = {name for name in papyra.__all__ if not name.endswith("Error")} ^ shown
    if missing:
        raise ValueError(f"tests/reference/api.py and papyra.__all__ differ: {sorted(missing)}")
    parts = [_INTRODUCTION]
    for heading, module, names in _PARTS:
        parts += [
            f"## {heading}",
            f"Import from `{module}`:",
            *(_shown(module, name) for name in names),
        ]
    return markdown.page("Python API", "the docstrings", *parts)


@cache
def _packages() -> griffe.ModulesCollection:
    """Return both packages, parsed: from where Python would import them."""
    loader = griffe.GriffeLoader(docstring_parser="google", search_paths=[_root()])
    for package in ("papyra", "papyra_otel"):
        loader.load(package)
    loader.resolve_aliases(implicit=True, external=False)
    return loader.modules_collection


def _root() -> Path:
    spec = find_spec("papyra")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parents[1]


def found(module: str, name: str) -> griffe.Object:
    """Return what *name* of *module* is, wherever it is defined."""
    thing = _packages()[f"{module}.{name}"]
    target = thing.final_target if isinstance(thing, griffe.Alias) else thing
    assert isinstance(target, griffe.Object)
    return target


def _shown(module: str, name: str) -> str:
    thing = found(module, name)
    title = _SECOND.get(f"{module}.{name}", name)
    if isinstance(thing, griffe.Class):
        return "\n\n".join([f"### {title}", *_class(thing)])
    if isinstance(thing, griffe.Function):
        return "\n\n".join([f"### {title}", *_function(thing)])
    return f"### {title}\n\n{_CONSTANTS[name]}"


def _class(thing: griffe.Class) -> Iterator[str]:
    bases = ", ".join(str(base) for base in thing.bases)
    made = _constructor(thing)
    arguments = _fields(thing) if bases == "NamedTuple" else _arguments(made) if made else []
    called = _call(thing.name, arguments, "") if arguments else thing.name
    yield markdown.code(f"class {called}")
    if bases:
        yield f"Derives from {', '.join(f'`{base}`' for base in bases.split(', '))}."
    yield from described(thing, made.parameters if made else None)
    for name, member in {**thing.members, **_of_bases_without_a_heading(thing)}.items():
        if not _is_shown(thing, name, member):
            continue
        if isinstance(member, griffe.Function):
            yield f"#### {thing.name}.{name}"
            yield from _function(member)
        elif isinstance(member, griffe.Attribute):
            yield f"#### {thing.name}.{name}"
            yield markdown.code(f"{name}: {_annotation(member.annotation)}")
            yield from described(member)


def _of_bases_without_a_heading(thing: griffe.Class) -> dict[str, griffe.Object | griffe.Alias]:
    """Return the members of *thing* that only a base has which these pages do not show."""
    return {
        name: member
        for base in thing.resolved_bases
        if base.name == "StoreObject"
        for name, member in base.members.items()
        if name not in thing.members
    }


def _constructor(thing: griffe.Class) -> griffe.Function | None:
    """Return the method that says which arguments *thing* takes, also an inherited one."""
    made = thing.all_members.get("__init__")
    target = made.final_target if isinstance(made, griffe.Alias) else made
    return target if isinstance(target, griffe.Function) else None


def _fields(thing: griffe.Class) -> list[str]:
    """Return the fields of a named tuple, as arguments."""
    return [
        f"{name}: {_annotation(field.annotation)}"
        + (f" = {field.value}" if field.value is not None else "")
        for name, field in thing.members.items()
        if isinstance(field, griffe.Attribute) and "property" not in field.labels
    ]


def _is_shown(thing: griffe.Class, name: str, member: griffe.Object | griffe.Alias) -> bool:
    """Tell whether a *member* gets a heading: it has a docstring, and is for callers or for authors."""
    if member.docstring is None or name.startswith("__"):
        return False
    return not name.startswith("_") or thing.name == "Primitives"


def _function(thing: griffe.Function) -> Iterator[str]:
    returned = f" -> {_annotation(thing.returns)}" if thing.returns is not None else ""
    keyword = "async def" if "async" in thing.labels else "def"
    yield markdown.code(f"{keyword} {_call(thing.name, _arguments(thing), returned)}")
    yield from described(thing, thing.parameters)


def _arguments(thing: griffe.Function) -> list[str]:
    """Return the arguments of a call, without the object itself."""
    shown, is_starred = [], False
    for parameter in thing.parameters:
        if parameter.name in {"self", "cls"}:
            continue
        kind = parameter.kind
        stars = {
            griffe.ParameterKind.var_positional: "*",
            griffe.ParameterKind.var_keyword: "**",
        }.get(kind) if kind else None  # fmt: skip
        if kind is griffe.ParameterKind.keyword_only and not is_starred:
            shown.append("*")
            is_starred = True
        is_starred |= stars == "*"
        text = f"{stars or ''}{parameter.name}"
        if parameter.annotation is not None:
            text += f": {_annotation(parameter.annotation)}"
        if parameter.default is not None and stars is None:
            text += f" = {parameter.default}"
        shown.append(text)
    return shown


def _annotation(annotation: object) -> str:
    """Return an annotation; one that is a string, since it is loaded late, without its quotes."""
    text = str(annotation)
    return str(ast.literal_eval(text)) if text[:1] in {'"', "'"} else text


def _call(name: str, arguments: Sequence[str], returned: str) -> str:
    line = f"{name}({', '.join(arguments)}){returned}"
    if len(line) <= _WIDTH:
        return line
    # A star alone stays with what follows it: each line is one argument.
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return f"{name}(\n{lines}){returned}"


_TITLES: Final = {
    griffe.DocstringSectionKind.parameters: "Arguments",
    griffe.DocstringSectionKind.attributes: "Attributes",
    griffe.DocstringSectionKind.raises: "Raises",
    griffe.DocstringSectionKind.returns: "Returns",
    griffe.DocstringSectionKind.yields: "Yields",
}


def described(thing: griffe.Object, parameters: griffe.Parameters | None = None) -> Iterator[str]:
    """Yield what the docstring of *thing* says, section by section."""
    if thing.docstring is None:
        return
    for section in thing.docstring.parse("google", warnings=False):
        if section.kind is griffe.DocstringSectionKind.text:
            yield markdown.prose(section.value)
            continue
        yield f"**{_TITLES[section.kind]}**"
        yield "\n".join(_item(item, section.kind, parameters) for item in section.value)


def _item(
    item: Any,
    kind: griffe.DocstringSectionKind,
    parameters: griffe.Parameters | None,
) -> str:
    text = markdown.line(item.description)
    if kind is griffe.DocstringSectionKind.raises:
        return f"- {_errors(str(item.annotation))}: {text}"
    if kind in {griffe.DocstringSectionKind.returns, griffe.DocstringSectionKind.yields}:
        return f"- {text}"
    annotation = item.annotation
    if annotation is None and parameters is not None and item.name in parameters:
        annotation = parameters[item.name].annotation
    typed = f" (`{_annotation(annotation)}`)" if annotation is not None else ""
    return f"- `{item.name}`{typed}: {text}"


def _errors(names: str) -> str:
    """Return *names* of exceptions; papyra's lead to the page that explains them."""
    return ", ".join(
        f"[`{name}`](errors.md#{name.lower()})" if name in _OWN_ERRORS else f"`{name}`"
        for name in names.strip("()").split(", ")
    )
