"""
How do many processes and hosts share one store in a Redis stream?

`RedisBackend` loads with its first use; that is when the extra is needed: pip install 'papyra[redis]'.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from papyra.backends.redis.store import RedisBackend

__all__ = ["RedisBackend"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever the name is of
    if name != "RedisBackend":
        raise AttributeError(f"module 'papyra.backends.redis' has no attribute {name!r}")
    return load("store").RedisBackend


def load(module: str) -> Any:  # noqa: ANN401  a module
    """Return the *module* of this package that needs redis-py, or say how to install it."""
    try:
        return import_module(f"papyra.backends.redis.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise ModuleNotFoundError(
            "a Redis store needs redis-py: pip install 'papyra[redis]'", name="redis"
        ) from error
