"""
Durations and sizes as people write them in a URL or an option: "7d", "1.5h", "64MiB", "500MB".

A bare number is seconds, or bytes. Digits are ASCII, with an optional decimal point. The unit follows
without a blank. Units of time are lower case, because "M" could be read as months; the case of units
of size does not matter.
"""

import re
from typing import Final

#: Seconds of each unit of time, in milliseconds: integers, so that no decimal is lost.
_TIMES: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
#: Bytes of each unit of size.
_SIZES: Final = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_ANY_CASE: Final = {name.lower(): scale for name, scale in _SIZES.items()}
#: No bound needs more digits, and the interpreter refuses thousands of them.
_QUANTITY: Final = r"([0-9]{1,30})(?:\.([0-9]{1,30}))?([A-Za-z]*)"
_WHOLE: Final = r"[0-9]{1,30}"

#: The form of a duration and of a size, for messages.
DURATION: Final = (
    "seconds from 0 on, or a number and one of ms, s, m, h, d, w (as 90, 1.5h, 7d; lower case)"
)
SIZE: Final = (
    f"a whole number of bytes, or a number and one of {', '.join(_SIZES)} (as 1000000, 500MB, 2GiB)"
)
WHOLE_NUMBER: Final = "a whole number from 0 on"
NUMBER_FROM_1: Final = "a whole number from 1 on"


def duration(text: str) -> float:
    """
    Return the seconds that *text* means.

    Raises:
        ValueError: if it is not a duration; the message says what it must be.
    """
    match = re.fullmatch(_QUANTITY, text)
    scale = None if match is None else _TIMES.get(match[3] or "s")
    if match is None or scale is None:
        raise ValueError(f"must be {DURATION}")
    whole, decimals = match[1], match[2] or ""
    seconds: float = int(whole + decimals) * scale / (1000 * 10 ** len(decimals))
    return seconds


def size(text: str) -> int:
    """
    Return the bytes that *text* means; a part of a byte is left out.

    Raises:
        ValueError: if it is not a size; the message says what it must be.
    """
    match = re.fullmatch(_QUANTITY, text)
    scale = None if match is None else _ANY_CASE.get((match[3] or "B").lower())
    if match is None or scale is None or (scale == 1 and match[2]):
        raise ValueError(f"must be {SIZE}")
    whole, decimals = match[1], match[2] or ""
    count: int = int(whole + decimals) * scale // 10 ** len(decimals)
    return count


def whole_number(text: str) -> int:
    """
    Return the number that *text* is.

    Raises:
        ValueError: if it is not a whole number; the message says what it must be.
    """
    if not re.fullmatch(_WHOLE, text):
        raise ValueError(f"must be {WHOLE_NUMBER}")
    return int(text)


def number_from_1(text: str) -> int:
    """
    Return the number that *text* is, which is not 0.

    Raises:
        ValueError: if it is not a whole number from 1 on.
    """
    if not re.fullmatch(_WHOLE, text) or not int(text):
        raise ValueError(f"must be {NUMBER_FROM_1}")
    return int(text)
