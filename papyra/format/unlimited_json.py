"""
JSON without the interpreter's own limits: of digits, of depth, and of what it forgives.

The standard library's parser refuses integers of more digits than `sys.set_int_max_str_digits` allows
and runs out of stack in deep values. A stored line must not depend on either, so `papyra.format.codec` comes
here if that parser stopped. `papyra.format.damaged_lines` uses it to find where in a damaged line a value ends.
Nothing here recurses, and the work grows with the length of the text alone.
"""

import json
import re
from typing import Any, Final, NamedTuple

_BLANK: Final = re.compile(r"[ \t\n\r]*+")
_SPECIAL: Final = re.compile(r'["\\\x00-\x1f]')
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*+))(\.[0-9]++)?([eE][-+]?[0-9]++)?")
_NAMES: Final = re.compile(r"null|true|false|NaN|-?Infinity")
_VALUES: Final = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
#: Digits that every Python converts, whatever limit it was given.
_PIECE: Final = 512


class Value(NamedTuple):
    """
    The JSON value that begins at a place of a text, whole or broken.

    Attributes:
        value: The value, if it is whole.
        end: The first character behind the value, or the one at which it is broken.
        is_whole: Whether it is whole.
        closed: If it is broken, where the last whole object begins that ends right before *end*;
            -1 if none does.
    """

    value: Any
    end: int
    is_whole: bool
    closed: int = -1


class _BrokenError(Exception):
    """The text stops being JSON at the character that is given."""


def parse_unlimited(text: str) -> Any:  # noqa: ANN401  JSON is whatever it says
    """
    Return the JSON value that *text* is.

    Raises:
        ValueError: when it is not one.
    """
    value, end, is_whole, _ = value_at(text, 0)
    if not is_whole:
        raise ValueError(f"it is not valid JSON from character {end} on")
    if end != len(text):
        raise ValueError(f"something follows the JSON value at character {end}")
    return value


def value_at(text: str, start: int) -> Value:  # noqa: C901, PLR0912  one loop, since nothing may recurse
    """Return the JSON value that begins at *start* of *text*, or how far it is valid."""
    open_: list[
        tuple[Any, str | None, int]
    ] = []  # containers, the key each waits for, their starts
    closed = closed_end = -1
    at = start
    try:
        while True:
            # A value begins at `at`.
            first = text[at : at + 1]
            if first in {"{", "["}:
                begin = at
                container: Any = {} if first == "{" else []
                at = _blank(text, at + 1)
                if text[at : at + 1] not in {"}", "]"} or text[at] != (
                    "}" if first == "{" else "]"
                ):
                    key = None
                    if first == "{":
                        key, at = _key(text, at)
                    open_.append((container, key, begin))
                    continue
                at += 1
                closed, closed_end = (begin if first == "{" else -1), at
                value: Any = container
            elif first == '"':
                value, at = _string(text, at)
            else:
                value, at = _scalar(text, at)
            # It belongs to the innermost container, which may end, and so on outwards.
            while open_:
                container, key, begin = open_[-1]
                if key is None:
                    container.append(value)
                else:
                    container[key] = value
                at = _blank(text, at)
                mark = text[at : at + 1]
                if mark == ",":
                    at = _blank(text, at + 1)
                    if key is not None:
                        key, at = _key(text, at)
                        open_[-1] = container, key, begin
                    break
                if mark != ("]" if key is None else "}"):
                    raise _BrokenError(at)  # noqa: TRY301  a function would cost as much as the step
                at += 1
                open_.pop()
                value = container
                closed, closed_end = (-1 if key is None else begin), at
            else:
                return Value(value, at, is_whole=True)
    except _BrokenError as broken:
        end: int = broken.args[0]
        is_next = closed >= 0 and _blank(text, closed_end) == end
        return Value(None, end, is_whole=False, closed=closed if is_next else -1)


def _blank(text: str, at: int) -> int:
    """Return the first place from *at* on that is not blank."""
    match = _BLANK.match(text, at)
    return at if match is None else match.end()


def _key(text: str, at: int) -> tuple[str, int]:
    """Return the key at *at*, and where its value begins."""
    if text[at : at + 1] != '"':
        raise _BrokenError(at)
    key, at = _string(text, at)
    at = _blank(text, at)
    if text[at : at + 1] != ":":
        raise _BrokenError(at)
    return key, _blank(text, at + 1)


def _string(text: str, begin: int) -> tuple[str, int]:
    """Return the string whose quote is at *begin*, and the place behind it."""
    at = begin + 1
    while True:
        special = _SPECIAL.search(text, at)
        if special is None:
            raise _BrokenError(len(text))
        at = special.start()
        if special.group() == '"':
            return str(json.loads(text[begin : at + 1])), at + 1
        escape = _ESCAPE.match(text, at)
        if escape is None:
            raise _BrokenError(at)
        at = escape.end()


def _scalar(text: str, at: int) -> tuple[Any, int]:
    """Return the number or name at *at*, and the place behind it."""
    if name := _NAMES.match(text, at):
        return _VALUES[name.group()], name.end()
    number = _NUMBER.match(text, at)
    if number is None:
        raise _BrokenError(at)
    whole, fraction, exponent = number.groups()
    if fraction or exponent:
        return float(number.group()), number.end()
    return _integer(whole), number.end()


def _integer(digits: str) -> int:
    """Return the integer of *digits*, exactly, however many there are."""
    sign = -1 if digits.startswith("-") else 1
    digits = digits.removeprefix("-")
    ends = range(len(digits), 0, -_PIECE)
    fragments = [int(digits[max(0, end - _PIECE) : end]) for end in ends]  # the last ones first
    base = 10**_PIECE
    while len(fragments) > 1:
        if len(fragments) % 2:
            fragments.append(0)
        pairs = zip(fragments[::2], fragments[1::2], strict=True)
        fragments = [low + high * base for low, high in pairs]
        base *= base
    return sign * fragments[0]
