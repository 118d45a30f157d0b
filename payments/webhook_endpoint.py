"""Our webhook endpoint at Stripe: what it should be, how it departs from that, and mending it.

Stripe's API shows an endpoint's secret once, when it is made, and can neither change its API version nor roll its
secret (https://docs.stripe.com/api/webhook_endpoints). So both are done by a second endpoint at the same address: while
both deliver, every event comes twice and is applied once; then the older one is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from conventions.errors import Conflict
from payments import stripe_gateway
from payments.following import handled_types

Json = dict[str, Any]
DESCRIPTION = "Largesse"
ROTATION_TAKES = timedelta(days=7)  # at most: Stripe redelivers for three
CREATE, UPDATE, ROTATE, RETIRE = "create", "update", "rotate", "retire"


class NotNow(Conflict):
    """What was asked would lose events, or does not fit how things stand at Stripe."""

    code = "not_now"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How Stripe departs from what is wanted; `mended_by` is what mends it."""

    what: str
    mended_by: str
    endpoint: str = ""


def our_url() -> str:
    return f"{settings.FRONTEND_URL}{reverse('stripe-webhook')}"


def endpoints_at(url: str) -> list[Json]:
    """Those that deliver to this address, the newest first."""
    found = [e for e in stripe_gateway.list_webhook_endpoints() if e["url"].rstrip("/") == url.rstrip("/")]
    return sorted(found, key=lambda endpoint: -endpoint["created"])  # within a second, in Stripe's order: newest first


def find_drift(endpoints: list[Json], url: str) -> list[Drift]:
    """Every departure of the newest endpoint, and those besides it, unless a rotation is still within its time."""
    if not endpoints:
        return [Drift(what=f"Stripe has no webhook endpoint for {url}.", mended_by=CREATE)]
    newest, *older = endpoints
    pk, told = newest["id"], set(newest["enabled_events"])
    drift = []
    if newest["status"] != "enabled":
        drift.append(Drift(what=f"{pk} is disabled: Stripe delivers nothing to it.", mended_by=UPDATE, endpoint=pk))
    if missing := sorted(set(handled_types()) - told) if "*" not in told else []:
        drift.append(Drift(what=f"{pk} lacks {', '.join(missing)}.", mended_by=UPDATE, endpoint=pk))
    if extra := sorted(told - set(handled_types())):
        drift.append(Drift(what=f"{pk} sends what nobody reads: {', '.join(extra)}.", mended_by=UPDATE, endpoint=pk))
    if newest["api_version"] != settings.STRIPE_API_VERSION:
        spoken = f"API version {version}" if (version := newest["api_version"]) else "the account's default API version"
        what = f"{pk} speaks {spoken}, not {settings.STRIPE_API_VERSION}; Stripe cannot change that."
        drift.append(Drift(what=what, mended_by=ROTATE, endpoint=pk))
    if retire_by(endpoints) is None:
        drift += [
            Drift(what=f"{e['id']} delivers to the same address, as {pk} does since.", mended_by=RETIRE, endpoint=e["id"])
            for e in older
        ]
    return drift


def retire_by(endpoints: list[Json]) -> datetime | None:
    """When a rotation that is under way should be over; None where there is none, or that time has passed."""
    if len(endpoints) != 2:
        return None
    due = datetime.fromtimestamp(endpoints[0]["created"], tz=UTC) + ROTATION_TAKES
    return due if timezone.now() < due else None


def create(url: str) -> Json:
    """A new endpoint; the answer holds its secret, shown this once."""
    params = {
        "url": url,
        "enabled_events": handled_types(),
        "api_version": settings.STRIPE_API_VERSION,
        "description": DESCRIPTION,
    }
    return stripe_gateway.create_webhook_endpoint(params)


def mend(endpoint: Json) -> Json:
    """What can be changed in place: the events, and that it is enabled."""
    params = {"enabled_events": handled_types(), "disabled": False}
    return stripe_gateway.update_webhook_endpoint(endpoint["id"], params)


def rotate(endpoints: list[Json], url: str) -> Json:
    """A second endpoint with a secret of its own; the first one goes on until `retire`."""
    if not endpoints:
        raise NotNow(f"Stripe has no webhook endpoint for {url} yet. Make it with --apply.")
    if len(endpoints) > 1:
        ids = ", ".join(e["id"] for e in endpoints)
        raise NotNow(f"A rotation is under way: {ids} deliver to {url}. Finish it with --retire first.")
    return create(url)


def retire(endpoints: list[Json], *, force: bool) -> list[str]:
    """Delete all but the newest; returns their ids. Refused while the newest is not proved to work: what is still to be
    redelivered to an endpoint is lost with it."""
    if len(endpoints) < 2:
        raise NotNow("There is no older endpoint to retire.")
    newest, *older = endpoints
    if newest["status"] != "enabled":
        raise NotNow(f"{newest['id']}, which is to stay, is disabled. Mend it with --apply first.")
    if not force:
        since = newest["created"]
        if stripe_gateway.has_events(types=handled_types(), created_after=since, delivered=False):
            raise NotNow(
                "Stripe has events that have not reached every endpoint yet. Is the new secret in STRIPE_WEBHOOK_SECRET, and "
                "were all web processes restarted? Try again later; --force retires all the same, and `reconcile` fetches "
                "what is lost."
            )
        if not stripe_gateway.has_events(types=handled_types(), created_after=since, delivered=True):
            raise NotNow(
                f"No event has been delivered since {newest['id']} was made, so nothing proves that its secret works. Wait "
                "for one, or retire all the same with --force."
            )
    for endpoint in older:
        stripe_gateway.delete_webhook_endpoint(endpoint["id"])
    return [endpoint["id"] for endpoint in older]
