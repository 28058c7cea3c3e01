"""Connections to a Redis server that are cut: before a command, after it, and within its reply."""

import random
from typing import Final

from faults import redis_scratch
from faults.outcome import Outcome
from faults.outcome_log import OutcomeLog, made
from faults.redis_scratch import Insistent
from faults.scratch_stores import scratch
from redis_proxy import Cut, Proxy

from papyra import WriteOutcomeUnknownError
from papyra.backends.redis import RedisBackend

_CUTS: Final[tuple[Cut, ...]] = ("before", "after", "within")


def cut(*, long: bool) -> Outcome:
    """Cut connections while threads append, and see that each batch is stored once."""
    outcome_log = OutcomeLog()
    done = acknowledged = 0
    with scratch() as directory, redis_scratch.server(directory) as server:
        for threads in (1, 4):
            with Proxy(server.port) as proxy:
                address = f"redis://127.0.0.1:{proxy.port}"
                with RedisBackend(
                    address, name=f"cut{threads}", timeout=20, lock_timeout=60
                ) as store:
                    wanted = 1500 if long else 120
                    cuts = [cut for each in random.choices(_CUTS, k=wanted) for cut in (each, None)]
                    with Insistent(store, threads) as writers:
                        proxy.cuts += cuts
                        while proxy.cuts:
                            writers.advance(1)
                    acknowledged += writers.check(outcome_log)
                    raised = writers.refused + writers.unknown
                    outcome_log.expect("broken", f"{raised} errors", holds=not raised)
                done += proxy.done
    return outcome_log.outcome("Redis: connection cut", f"{done:,} cuts, {acknowledged:,} records")


def unknown(*, long: bool) -> Outcome:
    """Cut every connection until nobody can say what became of a batch; write others; send it again."""
    outcome_log = OutcomeLog()
    with (
        scratch() as directory,
        redis_scratch.server(directory) as server,
        Proxy(server.port) as proxy,
    ):
        address = f"redis://127.0.0.1:{proxy.port}"
        with (
            RedisBackend(address, name="unknown", timeout=0.3, lock_timeout=60) as store,
            RedisBackend(f"redis://127.0.0.1:{server.port}", name="unknown") as other,
        ):
            acknowledged = [store.append(made("other", 0))]
            errors: list[WriteOutcomeUnknownError] = []
            mine, batches = 1, 100 if long else 12
            for batch in range(batches):
                proxy.cuts = [random.choice(_CUTS), *random.choices(_CUTS, k=200)]
                try:
                    store.append_many([made(f"unknown {batch}", n) for n in range(3)])
                    outcome_log.note("broken", "a batch that was cut again and again did not fail")
                except WriteOutcomeUnknownError as error:
                    errors.append(error)
                proxy.cuts = []
                acknowledged.append(store.append(made("other", batch + 1)))
                mine += 1
                for again in random.sample(errors, k=random.randrange(min(3, len(errors)) + 1)):
                    mine += 0 if again.resent else 3
                    acknowledged += store.resend(again)
            for again in errors:
                acknowledged += other.resend(again)
                other.resend(again)
            outcome_log.check_records(store.read(strict=True), acknowledged)
            reported = f"{store.metrics.totals()}, of {mine}"
            written = store.metrics.totals()["records_written"]
            outcome_log.expect("miscounted", reported, holds=written == mine)
            failed = store.metrics.totals()["write_errors"]
            outcome_log.expect("miscounted", reported, holds=failed == batches)
    return outcome_log.outcome(
        "Redis: outcome unknown", f"{batches} batches, sent again after others"
    )
