"""
An asyncio service whose workers' lives are kept in a papyra store, and counted for Prometheus.

    pip install 'papyra[otel]' uvicorn starlette
    python examples/asyncio_workers.py [--port 8000] [--store URL]

    POST /orders        an order, as JSON: {"number": 7, "address": "..."}
    GET  /records       the newest ten records
    GET  /metrics/      the counters of the store

Four workers pack orders under a supervisor. An order without an address fails its worker, and the
supervisor starts another. The store keeps

    kind="event"        a worker started, packed an order, failed at one, or stopped
    kind="dead_letter"  an order that no worker packs any more, because the service ends

so each order is packed, or failed, or a dead letter, also after Ctrl-C. The records go to the
store that the URL names, by default json:workers.ndjson.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import uvicorn
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

import papyra
import papyra.aio
import papyra_otel
from papyra_otel.prometheus import GuardedReader

WORKERS = 4
#: Orders that wait for a worker. A client that sends one more is asked to come again.
ROOM = 100
HIGHEST_PORT = 65535


class Shop:
    """
    Orders, the workers that pack them, and the store that keeps what happened.

    Args:
        store: Where; it is not closed here.
    """

    def __init__(self, store: papyra.aio.AsyncBackend) -> None:
        self.store = store
        self.orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue(ROOM)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Run workers inside the block, and record the orders that are left at its end as dead letters."""
        supervisors = [asyncio.create_task(self._supervise(f"packer-{n}")) for n in range(WORKERS)]
        try:
            yield
        finally:
            for supervisor in supervisors:
                supervisor.cancel()
            await asyncio.wait(supervisors)
            while not self.orders.empty():
                await self._record("dead_letter", order=self.orders.get_nowait())

    async def _supervise(self, worker: str) -> None:
        """Keep one worker at work, and start another when one fails."""
        for life in count(1):
            await self._record("event", worker=worker, life=life, what="started")
            try:
                while True:
                    await self._pack(worker, await self.orders.get())
            except asyncio.CancelledError:
                await self._record("event", worker=worker, life=life, what="stopped")
                raise
            except Exception as error:  # noqa: BLE001  the next worker goes on after any failure
                await self._record(
                    "event", worker=worker, life=life, what="failed", error=repr(error)
                )

    async def _pack(self, worker: str, order: dict[str, Any]) -> None:
        try:
            await asyncio.sleep(0.01)  # the work
            label = f"to {order['address']}"
        except asyncio.CancelledError:
            await self._record("dead_letter", order=order)
            raise
        await self._record("event", worker=worker, what="packed", order=order, label=label)

    async def _record(self, kind: str, **data: object) -> None:
        """Append a record. A refused one must not end a worker: the store counts it."""
        try:
            # Shielded, so that the record of a worker that is stopped meanwhile is written all the same.
            await asyncio.shield(self.store.append(papyra.Record(kind, data=data)))
        except papyra.PapyraError as error:
            logging.getLogger(__name__).warning("not recorded: %s", error)


def service(store: papyra.aio.AsyncBackend) -> Starlette:
    """Return the service as an ASGI application; it closes the store when it ends."""
    registry = CollectorRegistry()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, Shop]]:
        provider = MeterProvider(metric_readers=[GuardedReader(registry=registry)])
        papyra_otel.MetricsBridge(provider).add(store.store)
        shop = Shop(store)
        async with store, shop.open():
            yield {"shop": shop}
        provider.shutdown()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/orders", take_order, methods=["POST"]),
            Route("/records", newest),
            Mount("/metrics", make_asgi_app(registry)),
        ],
    )


async def take_order(request: Request) -> JSONResponse:
    """Hand an order to whichever worker is free next."""
    shop: Shop = request.state.shop
    try:
        order = await request.json()
    except ValueError as error:
        return JSONResponse({"error": f"not valid JSON: {error}"}, status_code=400)
    if not isinstance(order, dict):
        return JSONResponse({"error": "must be a JSON object"}, status_code=400)
    try:
        accepted = JSONResponse(order, status_code=202)
    except ValueError as error:  # NaN, or half a character: Python's parser takes both
        return JSONResponse({"error": f"not valid JSON: {error}"}, status_code=400)
    try:
        shop.orders.put_nowait(order)
    except asyncio.QueueFull:
        return JSONResponse({"error": "too many orders; come again"}, status_code=503)
    return accepted


async def newest(request: Request) -> JSONResponse:
    """Show the newest records, the newest last."""
    shop: Shop = request.state.shop
    records = await shop.store.read(limit=10)
    return JSONResponse(
        [{"kind": record.kind, "timestamp": record.timestamp, **record.data} for record in records]
    )


def port(text: str) -> int:
    """Return the port that *text* names."""
    if not (text.isascii() and text.isdigit() and int(text) <= HIGHEST_PORT):
        wanted = f"must be a number from 0 to {HIGHEST_PORT}"
        raise argparse.ArgumentTypeError(f"{wanted}, got {text!r}")
    return int(text)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A service of supervised workers.")
    parser.add_argument("--port", type=port, default=8000, help="0 is any free one")
    parser.add_argument("--store", default="json:workers.ndjson", metavar="URL")
    options = parser.parse_args()
    try:
        store = papyra.aio.open_store(options.store)
    except papyra.PapyraError as error:
        sys.exit(f"asyncio_workers: {error}")
    uvicorn.run(service(store), port=options.port, ws="none", access_log=False)


if __name__ == "__main__":
    main()
