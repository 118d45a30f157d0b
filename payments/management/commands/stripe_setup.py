"""Make, check, mend and rotate the webhook endpoint at Stripe."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from conventions.commands import OperatorCommand
from conventions.errors import DomainError
from payments import webhook_endpoint
from payments.webhook_endpoint import CREATE, RETIRE, ROTATE, UPDATE, Drift, Json

MENDED_BY = {
    CREATE: "stripe_setup --apply makes it",
    UPDATE: "stripe_setup --apply mends it",
    ROTATE: "stripe_setup --rotate --apply makes another one beside it",
    RETIRE: "stripe_setup --retire --apply deletes it",
}


class Command(OperatorCommand):
    help = (
        "Compares the webhook endpoint at Stripe with what it must be: its address, exactly the events that are handled, the "
        "pinned API version. Changes nothing without --apply. Exit status: 0 all as it must be (a rotation may take "
        f"{webhook_endpoint.ROTATION_TAKES.days} days), or done; 1 it is not; 2 it could not run.\n\n"
        "Example: manage.py stripe_setup --apply"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="only compare, as without any option: for pipelines")
        what.add_argument("--rotate", action="store_true", help="a new secret: a second endpoint beside the first")
        what.add_argument("--retire", action="store_true", help="end a rotation: delete the older endpoint")
        parser.add_argument("--apply", action="store_true", help="do it; without it nothing is changed at Stripe")
        parser.add_argument("--force", action="store_true", help="with --retire: without proof that the new one works")
        parser.add_argument("--url", help="the endpoint's address, where it is not FRONTEND_URL/api/payments/stripe/webhook")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text; it holds a new secret too")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"] and options["apply"]:
            raise CommandError("--check changes nothing: leave --apply out.", returncode=2)
        if options["force"] and not options["retire"]:
            raise CommandError("--force goes with --retire only.", returncode=2)
        url = options["url"] or webhook_endpoint.our_url()
        told: Json = {"url": url, "done": []}
        try:
            if options["apply"]:
                self._do(url, options, told)
            endpoints = webhook_endpoint.endpoints_at(url)
        except DomainError as error:
            raise CommandError(str(error), returncode=2) from error
        drift = webhook_endpoint.find_drift(endpoints, url)
        told |= {"endpoints": [e["id"] for e in endpoints], "drift": [asdict(d) for d in drift], "notes": _notes(endpoints)}
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self._say(told, drift, options)
        if drift:
            sys.exit(1)

    def _do(self, url: str, options: dict[str, Any], told: Json) -> None:
        endpoints = webhook_endpoint.endpoints_at(url)
        if options["rotate"]:
            self._made(webhook_endpoint.rotate(endpoints, url), told, beside=settings.STRIPE_WEBHOOK_SECRETS)
        elif options["retire"]:
            told["done"] += [f"deleted {pk}" for pk in webhook_endpoint.retire(endpoints, force=options["force"])]
        elif not endpoints:
            self._made(webhook_endpoint.create(url), told, beside=())
        elif any(drift.mended_by == UPDATE for drift in webhook_endpoint.find_drift(endpoints, url)):
            told["done"].append(f"mended {webhook_endpoint.mend(endpoints[0])['id']}")

    def _made(self, endpoint: Json, told: Json, *, beside: tuple[str, ...]) -> None:
        told["done"].append(f"made {endpoint['id']}")
        told["secret"] = endpoint["secret"]
        told["STRIPE_WEBHOOK_SECRET"] = ",".join([endpoint["secret"], *beside])

    def _say(self, told: Json, drift: list[Drift], options: dict[str, Any]) -> None:
        for done in told["done"]:
            self.stdout.write(self.style.SUCCESS(f"{done} for {told['url']}"))
        if "secret" in told:
            self.stdout.write("Stripe shows its secret this once. Put it into the environment and restart all web processes:")
            self.stdout.write(f"\n    STRIPE_WEBHOOK_SECRET={told['STRIPE_WEBHOOK_SECRET']}\n\n")
            if options["rotate"]:
                self.stdout.write(
                    "Until then the older endpoint goes on delivering, and nothing is lost. When events have come by the new "
                    "one, a few days later at best (Stripe redelivers for three), run: stripe_setup --retire --apply"
                )
        elif options["rotate"] and not options["apply"]:
            self.stdout.write("--rotate --apply would make a second endpoint, with a secret of its own, beside the first.")
        elif options["retire"] and not options["apply"]:
            older = ", ".join(told["endpoints"][1:]) or "nothing"
            self.stdout.write(f"--retire --apply would delete {older}.")
        elif any(done.startswith("deleted") for done in told["done"]):
            self.stdout.write("Now take the old secret out of STRIPE_WEBHOOK_SECRET and restart all web processes.")
        for note in told["notes"]:
            self.stdout.write(f"  … {note}")
        for one in drift:
            self.stdout.write(f"  ✗ {one.what} {MENDED_BY[one.mended_by]}.")
        if not drift:
            self.stdout.write(self.style.SUCCESS(f"{told['endpoints'][0]} is as it must be: {told['url']}"))


def _notes(endpoints: list[Json]) -> list[str]:
    """What is as it should be for now."""
    if (due := webhook_endpoint.retire_by(endpoints)) is None:
        return []
    newest, older = endpoints
    under_way = f"A rotation is under way: {older['id']} delivers beside {newest['id']}"
    return [f"{under_way} until stripe_setup --retire --apply deletes it, by {due:%Y-%m-%d} at the latest."]
