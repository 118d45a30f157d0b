"""`python -m sandbox --port 12111 [--data FILE] [--seed N]`."""

import argparse
import asyncio
import random
from pathlib import Path

from sandbox import server, webhook_endpoints
from sandbox.acts import ACTS
from sandbox.box import Box, Settings


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description="A local stand-in for Stripe's test mode.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--public-url", help="how browsers reach it; default http://HOST:PORT")
    parser.add_argument("--data", type=Path, help="keep the state in this file; without it, in memory only")
    parser.add_argument("--seed", type=int, help="for ids and misbehaviour; printed, and random by default")
    parser.add_argument("--webhook-url", help="an endpoint that gets every event")
    parser.add_argument("--webhook-secret", help="its signing secret, whsec_…")
    parser.add_argument("--settle-soon", type=int, default=5, metavar="SECONDS", help="delayed methods, pending refunds")
    parser.add_argument("--settle-late", type=int, default=180, metavar="SECONDS", help="the slower delayed methods")
    parser.add_argument("--balance-delay", type=int, default=0, metavar="SECONDS", help="from charge to balance transaction")
    arguments = parser.parse_args()
    if bool(arguments.webhook_url) != bool(arguments.webhook_secret):
        parser.error("--webhook-url and --webhook-secret go together")
    return arguments


def main() -> None:
    given = read_arguments()
    settings = Settings(
        seed=given.seed if given.seed is not None else random.SystemRandom().randrange(10**9),
        public_url=(given.public_url or f"http://{given.host}:{given.port}").rstrip("/"),
        data=given.data,
        settle_soon_s=given.settle_soon,
        settle_late_s=given.settle_late,
        balance_delay_s=given.balance_delay,
    )
    box = Box(settings, ACTS)
    if given.webhook_url:
        webhook_endpoints.register(box, url=given.webhook_url, secret=given.webhook_secret)
    box.keeper.save()
    asyncio.run(server.serve(box, host=given.host, port=given.port))


if __name__ == "__main__":
    main()
