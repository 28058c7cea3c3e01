"""Redis servers that are killed, stopped, full, or turned into read-only replicas under load."""

import random
import signal
import time
from collections.abc import Callable

from faults import redis_scratch
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog
from faults.redis_scratch import Insistent, admin
from faults.scratch_stores import scratch

from papyra import Retention
from papyra.backends.redis import RedisBackend
from servers import Server, free_port


def killed(*, long: bool) -> Outcome:
    """Kill a server under load and start it again, with appendfsync always and everysec."""
    outcome_log = OutcomeLog()
    kill_count = acknowledged = 0
    for fsync in ("always", "everysec"):
        with scratch(on_disk=True) as directory:
            port, options = free_port(), ("--appendfsync", fsync)
            with redis_scratch.server(directory, *options, port=port, keep=True):
                store = RedisBackend(f"redis://127.0.0.1:{port}", timeout=0.3, lock_timeout=60)
            with Insistent(store) as writers:
                for _ in range(30 if long else 4):
                    with redis_scratch.server(directory, *options, port=port, keep=True) as server:
                        writers.advance(random.randrange(1, 100))
                        server.process.kill()
                        server.process.wait()
                    kill_count += 1
                with redis_scratch.server(directory, *options, port=port, keep=True):
                    writers.advance(10)
                    writers.__exit__()
                    acknowledged += writers.check(outcome_log)
                    store.close()
    return outcome_log.outcome(
        "Redis: server killed", f"{kill_count} kills, {acknowledged:,} records"
    )


def stopped(*, long: bool) -> Outcome:
    """Stop a server for longer than a try waits, and let it go on."""

    def stop(server: Server) -> None:
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.01, 0.8))
        server.process.send_signal(signal.SIGCONT)

    return _disturbed("stopped", "SIGSTOP", stop, 100 if long else 10)


def full(*, long: bool) -> Outcome:
    """Let a server run out of memory now and then; a compaction works all the same."""

    def fill(server: Server) -> None:
        with admin(server) as client:
            client.config_set("maxmemory", 1)
            time.sleep(random.uniform(0.001, 0.01))
            client.config_set("maxmemory", 0)

    def compact(server: Server, outcome_log: OutcomeLog) -> None:
        with admin(server) as client:
            client.config_set("maxmemory", 1)
            address, kept = f"redis://127.0.0.1:{server.port}", Retention(max_records=5)
            with RedisBackend(address, name="full", retention=kept) as store:
                report = store.compact()
                left = store.scan().records
            outcome_log.expect("broken", f"{report}, {left} left", holds=left == report.kept == 5)

    return _disturbed("full", "out of memory", fill, 400 if long else 30, compact)


def replica(*, long: bool) -> Outcome:
    """Turn the server into a replica of one that is not there, which takes no writes, and back."""

    def demote(server: Server) -> None:
        with admin(server) as client:
            client.execute_command("REPLICAOF", "127.0.0.1", free_port())
            time.sleep(random.uniform(0.001, 0.4))
            client.execute_command("REPLICAOF", "NO", "ONE")

    return _disturbed("replica", "read-only replica", demote, 100 if long else 10)


def _disturbed(
    name: str,
    what: str,
    disturb: Callable[[Server], None],
    times: int,
    at_last: Callable[[Server, OutcomeLog], None] = lambda *_: None,
) -> Outcome:
    outcome_log = OutcomeLog()
    with scratch() as directory, redis_scratch.server(directory) as server:
        address = f"redis://127.0.0.1:{server.port}"
        with RedisBackend(address, name=name, timeout=0.3, lock_timeout=60) as store:
            with Insistent(store) as writers:
                for _ in range(times):
                    writers.advance(random.randrange(1, 20))
                    disturb(server)
                writers.advance(10)
            acknowledged = writers.check(outcome_log)
        at_last(server, outcome_log)
    raised = f"{writers.refused} refused, {writers.unknown} unknown"
    return outcome_log.outcome(
        f"Redis: {what}", f"{times} times, {acknowledged:,} records, {raised}"
    )
