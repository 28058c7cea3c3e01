"""
Tell which errors of a server pass by themselves, and turn the others into errors that say what to do.

No message holds the user name or the password.
"""

import re
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from papyra.backends.redis.address import Address, Keys
from papyra.errors import StoreIOError

#: The codes that redis-py turns into classes and takes out of the message.
_CLASSES: Final[dict[type[Exception], str]] = {
    AuthenticationError: "WRONGPASS",
    BusyLoadingError: "LOADING",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    MovedError: "MOVED",
    AskError: "MOVED",
    NoPermissionError: "NOPERM",
    NoScriptError: "NOSCRIPT",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    TryAgainError: "TRYAGAIN",
}
#: Codes of errors that pass by themselves, or when another server takes the name. A command that meets one is
#: retried until the timeout is over. "" is a connection that was lost, or not made. Any other code, as OOM,
#: is raised at once.
_PASSING: Final = frozenset(
    {"", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "TRYAGAIN"}
)
# Redis 6.2 puts the code of an error within a script in the middle of its message.
_CODE: Final = re.compile(
    r"\b(BUSY|CROSSSLOT|DAMAGED|MISCONF|NOPERM|NOREPLICAS|OOM|READONLY|WRONGTYPE)\b"
    r"|(?P<NOPERM>can't run this command or subcommand|has no permissions|can't access at least one)"
    r"|(?P<UNKNOWN>[Uu]nknown Redis command|unknown command)"
    r"|(?P<DAMAGED>hash value is not an integer)"
    r"|(?P<DB>DB index is out of range)"
)
#: Words of the driver's errors for a server that was reached, but does not speak the protocol.
_MISUNDERSTOOD: Final = r"(?i)timeout|timed out|closed|reset by peer|broken pipe|ssl|protocol"
#: The commands that a user of the server must be allowed.
COMMANDS: Final = (
    "+eval +evalsha +select +info +type +exists +time"
    " +xadd +xdel +xrange +xrevrange +hget +hgetall +hset +hincrby +hdel +hscan"
)
_CURES: Final = {
    "CLUSTERDOWN": "its cluster lost a node and answers no command; look at CLUSTER INFO",
    "DB": (
        "it does not have a database of this number; lower the number in the address, or raise"
        " `databases` in the server's configuration (16 by default, counted from 0)"
    ),
    "LOADING": "it is loading its data; try again",
    "MISCONF": "it cannot save to its disk and takes no writes; look at its log",
    "MOVED": "each node of its cluster says that another node has the store; look at CLUSTER NODES",
    "NOREPLICAS": "it has too few replicas to take writes; start a replica, or lower min-replicas-to-write",
    "OOM": "it is out of memory (maxmemory); compact the store, or give the server more",
    "TRYAGAIN": "its cluster is moving the store to another node; try again",
    "READONLY": "it is a read-only replica; name its master in the address",
    "WRONGPASS": "it refuses the user name or password; correct them: redis://USER:PASSWORD@HOST:PORT",
    "WRONGTYPE": "one of the store's keys holds data of another program; choose another name= or prefix=",
}


def passes(error: Exception) -> bool:
    """Tell whether to try again after *error*, until the timeout is over."""
    return code_of(error) in _PASSING


def code_of(error: Exception) -> str:
    """Return the code of an error reply, such as OOM; "" if there was no reply."""
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return code
    if not isinstance(error, ResponseError):
        return ""
    return code_of_text(str(error))


def code_of_text(text: str) -> str:
    """Return the code in the *text* of an error reply, as a script sees it; "ERR" for most."""
    found = _CODE.search(text)
    if found is None:
        return "ERR"
    return found[1] or found.lastgroup or "ERR"


def needed(keys: Keys) -> str:
    """Say which rights a user of the store needs."""
    return f"it needs ~{keys.prefix}:* {COMMANDS} (ACL SETUSER), none of them renamed"


def _connection_cure(text: str, scheme: str) -> str:
    """Say what to do about a server that did not reply; *text* is the driver's error."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "name the file of its CA as ca="
    cure = "start the server, or correct the address"
    # A server that speaks the other protocol is reached, and closes the connection or is silent.
    if not re.search(_MISUNDERSTOOD, text):
        return cure
    if scheme == "rediss":
        return f"{cure}; if the server does not use TLS, write redis:// for rediss://"
    return (
        f"{cure}; if the server uses TLS, write rediss:// for redis://"
        if scheme == "redis"
        else cure
    )


def refusal(error: Exception, address: Address, keys: Keys) -> StoreIOError:
    """Return *error* with the place and what to do, and without the credentials that it may repeat."""
    code = code_of(error)
    cure = _connection_cure(str(error), address.scheme)
    is_without_password = "without any password" in str(error)
    address.credentials.hide(error)
    if code == "":
        why = f"the server did not reply ({error}); {cure}"
    elif code == "WRONGPASS" and address.credentials.password is None:
        why = (
            "it asks for a password, and the address has none; write it before the host:"
            " redis://USER:PASSWORD@HOST:PORT"
        )
    elif code == "WRONGPASS" and is_without_password:
        why = "it does not ask for a password, and the address has one; leave it out of the address"
    elif code == "NOPERM":
        why = f"this user lacks a right; {needed(keys)}; the server says: {error}"
    elif code == "UNKNOWN":
        why = f"the server does not know a command; {needed(keys)}; the server says: {error}"
    elif code == "DAMAGED":
        why = (
            f"the store's counters are damaged; remove {keys.counters} to count from zero;"
            f" the server says: {error}"
        )
    elif code in _CURES:
        why = _CURES[code]
    else:
        why = f"the server refused: {str(error).rstrip('.')}; look at its log"
    return StoreIOError(None, f"{address.shown}: {why}", keys.records)
