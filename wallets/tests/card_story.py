"""Events about an organization's saved cards, with the fields that our code reads and Stripe's names."""

from __future__ import annotations

import itertools
import json
from typing import Any

from accounts.models import Organization
from payments.inbox import Envelope, open_envelope
from payments.settlement import settle_events
from wallets.models import PaymentMethod

BORN = 1_790_000_000
_numbers = itertools.count(1)


class CardStory:
    """One customer's cards at Stripe; `at` is in seconds since the story began."""

    def __init__(self, organization: Organization | None = None, *, customer: str = "") -> None:
        self.number = next(_numbers)
        self.customer = customer or f"cus_{self.number}"
        if organization is not None:
            organization.stripe_customer = self.customer
            organization.save(update_fields=["stripe_customer"])
        self._events = itertools.count(1)

    def pm(self, name: str) -> str:
        return f"pm_{self.number}_{name}"

    def event(self, kind: str, subject: dict[str, Any], *, at: int, before: dict[str, Any] | None = None) -> Envelope:
        body = {
            "id": f"evt_{self.number}_{next(self._events)}",
            "object": "event",
            "api_version": "2026-08-26.dahlia",
            "created": BORN + at,
            "livemode": False,
            "type": kind,
            "data": {"object": subject} | ({"previous_attributes": before} if before is not None else {}),
        }
        return open_envelope(json.dumps(body))

    def card(self, name: str, *, attached: bool = True, fingerprint: str = "", **details: Any) -> dict[str, Any]:
        card = {
            "brand": "visa",
            "last4": "4242",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": fingerprint or f"print_{name}",
        }
        return {
            "id": self.pm(name),
            "object": "payment_method",
            "type": "card",
            "created": BORN,
            "customer": self.customer if attached else None,
            "card": card | details,
        }

    def attached(self, name: str, *, at: int, **card: Any) -> Envelope:
        return self.event("payment_method.attached", self.card(name, **card), at=at)

    def updated(self, name: str, *, at: int, by_network: bool = False, **card: Any) -> Envelope:
        kind = "payment_method.automatically_updated" if by_network else "payment_method.updated"
        return self.event(kind, self.card(name, **card), at=at, before={"card": {}})

    def detached(self, name: str, *, at: int, **card: Any) -> Envelope:
        gone = self.card(name, attached=False, **card)
        return self.event("payment_method.detached", gone, at=at, before={"customer": self.customer})

    def chosen(self, name: str | None, *, at: int, instead_of: str | None = None) -> Envelope:
        """The customer's default became another."""
        now, before = (self.pm(one) if one else None for one in (name, instead_of))
        customer = {"id": self.customer, "object": "customer", "invoice_settings": {"default_payment_method": now}}
        changed = {"invoice_settings": {"default_payment_method": before}}
        return self.event("customer.updated", customer, at=at, before=changed)

    def customer_deleted(self, *, at: int) -> Envelope:
        return self.event("customer.deleted", {"id": self.customer, "object": "customer"}, at=at)


def tell(*events: Envelope) -> None:
    for event in events:
        settle_events([event], source="webhook")


def rows(story: CardStory) -> dict[str, str]:
    """Each card by its short name, and what it is."""
    found = PaymentMethod.objects.order_by("stripe_id")
    return {one.stripe_id.rpartition("_")[2]: "detached" if one.detached_at else "default" if one.is_default else "attached"
            for one in found}  # fmt: skip
