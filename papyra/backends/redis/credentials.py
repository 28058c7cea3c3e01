"""Hold a user name and a password, and keep both out of every message."""

import re
from typing import Final, Self

#: A user name or password in a URL: characters that need no escape, and escapes for all others.
_PLAIN: Final = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPED: Final = (
    "the user name or password has a character that must be written as %XX: all but letters, digits"
    " and - . _ ~ (%40 is @, %3A is :, %2F is /, %3F is ?, %23 is #, %25 is %)"
)
_UNESCAPED_AT: Final = "the user name or password has an unescaped @, which must be written as %40"
#: The text of an error that would have the user name or password in it.
HIDDEN: Final = "not shown, since it repeats the user name or password"


class Credentials:
    """
    The user name and the password for a server.

    Args:
        username: None for the server's default user.
        password: None if the server wants none.
    """

    __slots__ = ("password", "username")

    def __init__(self, username: str | None, password: str | None) -> None:
        self.username: str | None = username
        self.password: str | None = password

    def __repr__(self) -> str:
        return "<Credentials>"

    @classmethod
    def of(cls, userinfo: str) -> Self:
        """
        Parse the part of a URL before its last "@": USER:PASSWORD.

        Raises:
            ValueError: if a character in it should be escaped; the message does not repeat it.
        """
        if "@" in userinfo:
            raise ValueError(_UNESCAPED_AT)
        texts = userinfo.split(":", 1)
        if not all(map(_PLAIN.fullmatch, texts)):
            raise ValueError(_ESCAPED)
        found = list(map(decoded, texts))
        if not all(map(_is_text, found)):
            raise ValueError("the %XX in the user name or password must be UTF-8")
        return cls(found[0] or None, (found[1] or None) if len(found) > 1 else None)

    def hide(self, error: BaseException) -> None:
        """
        Replace the text of *error*, and of the errors that led to it, if it has a secret in it.

        A server may repeat the words that it was sent. They may be the arguments of an AUTH that it does
        not know, or the name of a user that lacks a right.
        """
        seen: set[int] = set()
        left: list[BaseException | None] = [error]
        while left:
            one = left.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            left += [one.__cause__, one.__context__]
            if self._is_in(str(one)) or self._is_in(repr(one.args)):
                one.args = (HIDDEN,)

    def _is_in(self, text: str) -> bool:
        if self.password and (self.password in text or repr(self.password)[1:-1] in text):
            return True
        # As a whole word only, because a short name is a part of many words.
        name = self.username
        return bool(name) and re.search(rf"(?<!\w){re.escape(name or '')}(?!\w)", text) is not None


def decoded(text: str) -> str | None:
    """Decode the %XX in *text* as `os.fsdecode` does; return None if that is not possible."""
    try:
        data = text.encode(errors="surrogateescape")
    except UnicodeError:
        return None
    data = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), data)
    return data.decode(errors="surrogateescape")


def _is_text(text: str | None) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text or "")
