"""
The errors that papyra_otel raises of its own accord.

    PapyraError
    ├── BridgeError (ValueError)        a bridge or a name that would make the exported counts wrong
    └── AddressError (OSError)          the address cannot be listened on
"""

from papyra.errors import PapyraError


class BridgeError(PapyraError, ValueError):
    """A second bridge on one MeterProvider, or a second name for one store."""

    __module__ = "papyra_otel"


class AddressError(PapyraError, OSError):
    """
    The operating system refused the address to serve counters on.

    An `OSError`: `errno`, `strerror` and, as `filename`, the URL are set, and its cause is the
    original.
    """

    __module__ = "papyra_otel"

    def __init__(self, errno: int | None, strerror: str, filename: str) -> None:
        super().__init__(errno, strerror, filename)

    def __str__(self) -> str:
        """Return the place, the cause and what to do."""
        return f"{self.filename}: {self.strerror}"
