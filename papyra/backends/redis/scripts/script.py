"""A Lua script as the client sends it."""

from collections.abc import Sequence
from hashlib import sha1

from papyra.backends.redis.address import Keys


class Script:
    """
    A script, and its name in the server's cache.

    Args:
        keys: The names of the keys that the script uses, and no others. While a cluster moves their slot, it
            serves a script only if all of its keys are in one place. A key that does not exist is in none.
        texts: The parts of the script, which use these names for the keys.
    """

    def __init__(self, keys: str, *texts: str) -> None:
        self._keys = keys.split()
        names = (f"local {name} = KEYS[{n}]\n" for n, name in enumerate(self._keys, 1))
        self.text: str = "".join((*names, *texts))
        self.sha: str = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def words(self, keys: Keys, arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """Return the words of the command that follow the script: its keys, then *arguments*."""
        its: list[str] = [getattr(keys, name) for name in self._keys]
        return [len(its), *its, *arguments]
