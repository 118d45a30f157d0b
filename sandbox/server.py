"""The HTTP server: one process, three doors (Stripe's API, pages for people, the control API)."""

import asyncio
import gc
import signal
import sys

from aiohttp import web

from sandbox import api, control, pages
from sandbox.box import Box

TICK_S = 0.25
MAX_BODY = 4 * 1024 * 1024
DOORS = (("/_sandbox/", control.answer), ("/v1/", api.answer), ("/", pages.answer))
CORS = {"access-control-allow-origin": "*", "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-allow-headers": "*", "access-control-max-age": "600"}  # fmt: skip


class Door:
    def __init__(self, box: Box) -> None:
        self.box = box

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=CORS)
        if (request.content_length or 0) > MAX_BODY:
            return web.json_response({"error": {"type": "invalid_request_error", "message": "Too large"}}, status=413)
        for prefix, answer in DOORS:
            if request.path.startswith(prefix):
                try:
                    return await answer(self.box, request)
                except api.Silence:
                    if request.transport is not None:
                        request.transport.close()
                    return web.Response(status=500)
        return web.Response(status=404)


async def tick(box: Box) -> None:
    """What falls due while nobody calls."""
    while True:
        await asyncio.sleep(TICK_S)
        box.run_due()
        box.keeper.save()


async def serve(box: Box, *, host: str, port: int) -> None:
    """Until SIGTERM or SIGINT."""
    # Objects live long here: a full collection would only walk them all in the middle of a request.
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
    runner = web.ServerRunner(web.Server(Door(box)))
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=1024).start()
    await box.deliveries.start()
    ticking = asyncio.create_task(tick(box))
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    sys.stderr.write(
        f"sandbox: {box.settings.public_url} stands in for Stripe (seed {box.settings.seed}). No real money moves.\n"
    )
    sys.stderr.flush()
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, ticking}, return_when=asyncio.FIRST_COMPLETED)
    if ticking.done():
        ticking.result()  # a clock that stopped would hide every late event: end loudly
    ticking.cancel()
    await runner.cleanup()
    await box.deliveries.stop()
    box.keeper.close()
