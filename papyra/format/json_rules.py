"""
JSON without exceptions to the rule: which data is accepted, and where a value that is not was found.

`json.dumps` turns the key 1 into "1" and writes NaN, which is not JSON; some encoders write null for
it, or take UUIDs. The contents of a store must not depend on the encoder that is installed. So these
walks over the types decide, whichever encoder then writes the bytes. A value of a subclass counts as
one of its base type. The characters or digits that it holds count, not the answers of its own
methods. Tuples count as lists.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from json import JSONEncoder
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from papyra.errors import RecordError

#: How deep objects and lists may nest, the data itself included: every parser can follow that.
MAX_DEPTH: Final = 200
#: The most digits of an integer: every supported Python reads that many by default.
MAX_DIGITS: Final = 4300

_BEYOND: Final = 10**MAX_DIGITS
#: Digits that every Python converts, whatever sys.set_int_max_str_digits was given.
_PIECE: Final = 512
_ENOUGH_KEYS: Final = 1024
#: The number of items from which the encoder of a list pays for its start.
_LONG_LIST: Final = 9
_SAME_EVERYWHERE: Final = frozenset({str, int, bool, type(None)})
_SCALARS: Final = _SAME_EVERYWHERE | {float}


def _all_of(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple.__getitem__(value, slice(None))


_encode_list = JSONEncoder(allow_nan=False, separators=(",", ":")).encode
# An OrderedDict has an order of its own, which dict's methods do not know.
_PLAIN: Final = _SCALARS | {dict, list, tuple, OrderedDict}
_COPIES: Final[dict[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__pos__,
    float: float.__pos__,
    dict: dict.copy,
    list: list.copy,
    tuple: _all_of,
}


class _Keys(dict[str, str]):
    """Keys as they are written, colon included; kept, because records repeat them."""

    def __missing__(self, key: str) -> str:
        text = quoted(key) + ":"
        if len(self) < _ENOUGH_KEYS:
            self[key] = text
        return text


def _odd(key: object) -> str:
    """
    Refuse a key whose type is not `str` itself.

    A subclass may compare equal to other texts, so the kept keys could return the text of another key.
    """
    raise TypeError(key)


class _Encoders(dict[type, Callable[[Any], str]]):
    """How a value of each type is written."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        for base in (str, int, float, dict, list, tuple):
            if issubclass(kind, base):
                write = self[base]
                return lambda value: write(plain(value))
        raise TypeError(kind)


def plain(value: Any) -> Any:  # noqa: ANN401  JSON is whatever it says
    """Return the plain value that a value of a subclass holds, without asking its methods; others unchanged."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    for base, copy in _COPIES.items():
        if issubclass(kind, base):
            return copy(value)
    return value


def members(data: dict[str, Any]) -> str:
    """
    Return the members of *data* as they are written between the braces, in ASCII.

    Raises:
        TypeError, ValueError, RecursionError: when it is not JSON, which `find_fault` tells, or when
            only `members_by_character` can write it.
    """
    return ",".join(
        [
            (_keys[key] if type(key) is str else _odd(key)) + _encoders[type(value)](value)
            for key, value in (data if type(data) is dict else plain(data)).items()
        ]
    )


def members_by_character(data: dict[str, Any]) -> str:
    """Return what `members` does, also for keys of subclasses and integers over Python's limit."""
    return _written(data)[1:-1]


def _written(value: Any) -> str:  # noqa: ANN401  JSON is whatever it says
    value = plain(value)
    if isinstance(value, dict):
        return (
            "{" + ",".join(f"{quoted(key)}:{_written(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(value)
    return _encoders[type(value)](value)


def _digits(value: int) -> str:
    """Return an integer as text, however low this interpreter's limit of digits is."""
    rest = int.__abs__(value)
    fragments = []
    while rest:
        rest, fragment = divmod(rest, 10**_PIECE)
        fragments.append(f"{fragment:0{_PIECE}d}")
    text = "".join(reversed(fragments)).lstrip("0") or "0"
    return text if int.__ge__(value, 0) else f"-{text}"


def _object(value: dict[str, Any]) -> str:
    return "{" + members(value) + "}"


def _array(value: list[Any] | tuple[Any, ...]) -> str:
    if len(value) >= _LONG_LIST and _SCALARS.issuperset(map(type, value)):
        return _encode_list(value)  # twice as fast for long lists, and slower to start
    return "[" + ",".join([_encoders[type(item)](item) for item in value]) + "]"


def _float(value: float) -> str:
    if value - value != 0:
        raise ValueError(value)
    return float.__repr__(value)


_keys = _Keys()
_encoders = _Encoders(
    {
        str: quoted,
        int: int.__repr__,
        float: _float,
        bool: lambda value: "true" if value else "false",
        type(None): lambda _: "null",
        dict: _object,
        list: _array,
        tuple: _array,
    }
)


def are_plain(values: Iterable[Any]) -> bool:
    """
    Tell whether *values* are of JSON's own types alone, without NaN, infinities or subclasses.

    Then every encoder that refuses keys other than strings writes the same, lone surrogates and
    integers over 64 bit apart.
    """
    for value in values:
        kind = type(value)
        if kind in _SAME_EVERYWHERE:
            continue
        if kind is float:
            if value - value != 0:
                return False
        elif kind is dict:
            if not are_plain(value.values()):
                return False
        elif (kind is not list and kind is not tuple) or not are_plain(value):
            return False
    return True


def find_fault(value: object, path: str, depth: int = 1) -> RecordError | None:  # noqa: PLR0911  one a type
    """Return why *value* cannot be stored, and its path; None if it can."""
    value = plain(value)
    if isinstance(value, str):
        return _text_fault(value, path)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return _integer_fault(value, path)
    if isinstance(value, float):
        finite = value - value == 0
        return (
            None
            if finite
            else RecordError(path, f"{value} is not valid JSON; use None or a string")
        )
    if isinstance(value, (dict, list, tuple)):
        if depth > MAX_DEPTH:
            return RecordError(path[:200], f"nests deeper than {MAX_DEPTH} levels")
        return _container_fault(value, path, depth)
    return RecordError(
        path, f"must be of a JSON type, got {type(value).__name__}; convert it first"
    )


def _container_fault(
    value: dict[Any, Any] | list[Any] | tuple[Any, ...], path: str, depth: int
) -> RecordError | None:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                kind = type(key).__name__
                return RecordError(
                    path, f"the key {key!r:.80} must be a string, got {kind}; convert it first"
                )
            if fault := _text_fault(key, f"the key {key!r:.80} of {path}"):
                return fault
        texts = {characters(key) for key in value}
        if len(texts) < len(value):
            return RecordError(
                path, "two of its keys have the same characters; a reader would see one; rename one"
            )
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if fault := find_fault(item, f"{path}[{key!r:.80}]", depth + 1):
            return fault
    return None


def characters(text: str) -> str:
    """Return the characters of *text*, whatever a subclass's own methods say."""
    return str.__str__(text)


def _text_fault(text: str, path: str) -> RecordError | None:
    try:
        str.encode(text)
    except UnicodeEncodeError as error:
        return RecordError(
            path, f"a lone surrogate at character {error.start} is not text; replace it"
        )
    return None


def _integer_fault(value: int, path: str) -> RecordError | None:
    if int.__abs__(value) < _BEYOND:
        return None
    return RecordError(
        path,
        f"must be an integer of at most {MAX_DIGITS} digits, got more, which Python does not read by"
        " default; store it as a string",
    )
