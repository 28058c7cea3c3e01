"""
Check a server when a store is opened.

So a misconfigured server fails there, and not at the first append.
"""

from typing import Final

from papyra.backends.redis.client import Link
from papyra.backends.redis.scripts.startup_check import TYPES
from papyra.backends.redis.server_errors import code_of_text, needed
from papyra.errors import StoreIOError, StoreNotFoundError

_OLDEST: Final = (6, 2)


def look(link: Link, *, must_exist: bool) -> list[str]:
    """
    Check that the store can be used, and return the warnings for its operator.

    Raises:
        StoreIOError: if the server cannot be reached, refuses this user, or is too old, or if one of
            the keys holds something else.
        StoreNotFoundError: if *must_exist* is true and the store does not exist.
    """
    keys = link.keys
    types, refused = link.run(TYPES, patient=False)
    names = (keys.records, keys.writers, keys.counters, keys.quarantine)
    wanted = (b"stream", b"hash", b"hash", b"stream")
    for name, type_, expected in zip(names, types, wanted, strict=True):
        if type_ not in {b"none", expected}:
            raise StoreIOError(
                None,
                f"{link.address.shown}: the key must be a {expected.decode()}, got a"
                f" {type_.decode()} of another program; choose another name= or prefix=",
                name,
            )
    if must_exist and types[0] == b"none":
        raise StoreNotFoundError(keys.records)
    facts = _facts(link)
    _check_cluster(link, facts)
    return _warnings(link, facts) + _lacks(link, refused)


def check_nodes(link: Link) -> None:
    """
    Check that several servers of one address form a cluster, as `look` does; ask a single server nothing.

    Raises:
        StoreIOError: if they do not form a cluster, cannot be reached or refuse this user.
    """
    if len(link.address.nodes) > 1:
        # Otherwise a lost server would count as one that refuses INFO.
        link.ask("EXISTS", link.keys.records)
        _check_cluster(link, _facts(link))


def _check_cluster(link: Link, facts: dict[str, str]) -> None:
    if len(link.address.nodes) == 1 or facts.get("cluster_enabled") == "1":
        return
    why = (
        "these servers do not form a cluster"
        if facts
        else "this user may not ask whether these servers form a cluster (+info)"
    )
    raise StoreIOError(
        None,
        f"{link.address.shown}: {why}; name the one server that has the store",
        link.keys.records,
    )


def _lacks(link: Link, refused: list[tuple[bytes, bytes]]) -> list[str]:
    """Return a warning if this user may not run a command that an append needs."""
    lacking = [
        command.decode().lower()
        for command, why in refused
        if code_of_text(why.decode(errors="replace")) in {"NOPERM", "UNKNOWN"}
    ]
    if not lacking:
        return []
    what = f"the server refuses {', '.join(lacking)}; {needed(link.keys)}"
    return [f"{link.address.shown}: appends will fail: {what}"]


def _facts(link: Link) -> dict[str, str]:
    """Return the facts of INFO; none if this user may not ask."""
    try:
        text: bytes = link.ask("INFO", patient=False)
    except StoreIOError:
        return {}
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _warnings(link: Link, facts: dict[str, str]) -> list[str]:
    version = facts.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if version and numbers < _OLDEST:
        raise StoreIOError(
            None,
            f"{link.address.shown}: the server must be Redis 6.2 or later, got {version}; upgrade it",
            link.keys.records,
        )
    found = []
    if facts.get("role") == "slave" and facts.get("slave_read_only") == "1":
        master = f"{facts.get('master_host')}:{facts.get('master_port')}"
        found.append(f"it is a read-only replica, so appends will fail; name its master, {master}")
    policy = facts.get("maxmemory_policy", "")
    if policy.startswith("allkeys") and facts.get("maxmemory") != "0":
        found.append(
            f"maxmemory-policy is {policy}: when memory runs short the server drops the whole"
            " store; set it to noeviction"
        )
    return [f"{link.address.shown}: {what}" for what in found]
