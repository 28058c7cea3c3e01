"""A cluster of three masters: the store is found, follows its slot, and outlives its node."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from redis_proxy import Proxy
from stores import counts, event, numbers

from papyra import StoreIOError, open_counters, open_store
from papyra.backends.redis import RedisBackend
from servers import TRIED_SERVERS, Server, free_port, redis_cli, running_redis, wait_until


@pytest.fixture(scope="module", params=TRIED_SERVERS)
def nodes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """The nodes, joined by redis-cli's own command."""
    with ExitStack() as stack:
        running = []
        for _ in range(3):
            directory = tmp_path_factory.mktemp("node")
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            # The port of its bus is 10,000 higher, which only 7.0 and later can be told otherwise.
            running.append(stack.enter_context(running_redis(request.param, directory, *options)))
        addresses = [f"127.0.0.1:{node.port}" for node in running]
        redis_cli("--cluster", "create", *addresses, "--cluster-yes")
        for node in running:  # each goes on refusing for a while
            wait_until(lambda node=node: cluster_info(node)["cluster_state"] == "ok")  # type: ignore[misc]
        yield running


def admin(node: Server) -> Any:
    """Return a client of one node alone."""
    return redis.Redis(port=node.port, protocol=2, decode_responses=True)


def cluster_info(node: Server) -> Any:
    with admin(node) as client:
        return client.cluster("INFO")


def url(*nodes: Server) -> str:
    return "redis://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_any_node_leads_to_the_store(nodes: list[Server], name: str) -> None:
    for number, node in enumerate(nodes):
        with open_store(f"{url(node)}?name={name}&max_records=2") as store:
            store.append(event(number))
    with open_store(f"{url(*nodes)}?name={name}&max_records=2") as store:
        assert store.scan().records == 3
        assert store.compact().dropped == 1
        assert numbers(store.read(limit=5)) == [1, 2]
    assert open_counters(f"{url(nodes[1])}?name={name}").read().snapshot() == counts(
        records_written=3, scan_operations=1, compactions_triggered=1, records_read=2
    )


@pytest.mark.parametrize("name", ["e", "f", "g", "h"])
def test_a_stream_finds_the_ends_of_lines_at_whichever_node_has_them(
    nodes: list[Server], name: str
) -> None:
    with open_store(f"{url(*nodes)}?name={name}") as store:
        store.append_many([event(n) for n in range(3)])
        assert numbers(list(store.records())) == [0, 1, 2]


def test_a_node_that_is_not_there_is_passed_over(nodes: list[Server]) -> None:
    missing = f"redis://127.0.0.1:{free_port()},{url(*nodes).removeprefix('redis://')}"
    with open_store(f"{missing}?name=over") as store:
        store.append(event(1))
        assert numbers(store.read()) == [1]


def test_a_lost_connection_is_looked_for_at_the_other_nodes(nodes: list[Server]) -> None:
    with (
        Proxy(nodes[0].port) as one,
        Proxy(nodes[1].port) as other,
        RedisBackend(f"redis://127.0.0.1:{one.port},127.0.0.1:{other.port}", name="cut") as store,
    ):
        for n in range(20):
            one.cuts, other.cuts = ["after"], ["before"]
            store.append(event(n))
        assert numbers(store.read(strict=True)) == list(range(20))


def test_a_cluster_has_one_database(nodes: list[Server]) -> None:
    with pytest.raises(StoreIOError, match=r"(?i)select is not allowed in cluster mode"):
        open_store(f"{url(nodes[0])}/1")


def test_appends_go_on_while_the_slot_moves(nodes: list[Server]) -> None:
    """The keys go one after the other, and now and then nobody can serve all of them."""
    store = RedisBackend(url(*nodes), name="moving", timeout=20, lock_timeout=60)
    store.append(event(-1))
    with admin(nodes[0]) as client:
        slot = client.execute_command("CLUSTER", "KEYSLOT", store.source)
    ids = {node.port: id_of(node) for node in nodes}
    ended = threading.Event()
    written: list[int] = []

    def work() -> None:
        while not ended.is_set():
            store.append(event(len(written)))
            written.append(len(written))

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for _ in range(6):
            source = next(node for node in nodes if has(node, store.source))
            target = nodes[(nodes.index(source) + 1) % 3]
            move(slot, source, target, ids, nodes)
            enough = len(written) + 5
            wait_until(lambda enough=enough: len(written) > enough)  # type: ignore[misc]
    finally:
        ended.set()
        writer.join()
    assert numbers(store.read(strict=True)) == [-1, *range(len(written))]
    assert store.metrics.snapshot()["write_errors"] == 0
    store.close()
    shared = open_counters(f"{url(nodes[2])}?name=moving").read().snapshot()
    assert shared["records_written"] == len(written) + 1


def test_a_store_that_has_moved_is_reached_before_the_cluster_knows(nodes: list[Server]) -> None:
    with RedisBackend(url(*nodes), name="asked") as store:
        store.append(event(1))
        with admin(nodes[0]) as client:
            slot = client.execute_command("CLUSTER", "KEYSLOT", store.source)
        ids = {node.port: id_of(node) for node in nodes}
        source = next(node for node in nodes if has(node, store.source))
        target = nodes[(nodes.index(source) + 1) % 3]
        move_keys(slot, source, target, ids)
        store.append(event(2))  # the old node says to ask the new one, which wants to be asked
        assert numbers(store.read(strict=True)) == [1, 2]
        assign(slot, source, target, ids, nodes)


def id_of(node: Server) -> str:
    with admin(node) as client:
        return str(client.execute_command("CLUSTER", "MYID"))


def has(node: Server, key: str) -> bool:
    with admin(node) as client:
        try:
            return bool(client.exists(key))
        except redis.exceptions.MovedError:
            return False


def move(
    slot: int, source: Server, target: Server, ids: dict[int, str], nodes: list[Server]
) -> None:
    """Move *slot* as redis-cli does."""
    move_keys(slot, source, target, ids)
    assign(slot, source, target, ids, nodes)


def move_keys(slot: int, source: Server, target: Server, ids: dict[int, str]) -> None:
    """Move what is in *slot*, a key at a time; the source still owns it."""
    with admin(source) as old, admin(target) as new:
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        while keys := old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1):
            old.execute_command("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000)


def assign(
    slot: int, source: Server, target: Server, ids: dict[int, str], nodes: list[Server]
) -> None:
    """Have the whole cluster know that *slot* is the target's."""
    with admin(source) as old, admin(target) as new:
        for client in (new, old, *(admin(node) for node in nodes)):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
