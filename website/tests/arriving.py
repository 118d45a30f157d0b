"""Gifts that arrived, by the real operation."""

from __future__ import annotations

from typing import Any

from donations.models import Donation
from donations.tests.factories import payment_of, pending_donation
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story


def gift(**fields: Any) -> Donation:
    """A gift whose payment has succeeded."""
    story(**fields)
    return Donation.objects.latest("created_at", "pk")


def story(**fields: Any) -> Story:
    """As `gift`; answers the payment's life at Stripe, for what happens to it next."""
    told = Story(payment_of(pending_donation(**fields)))
    settle_events(told.succeeded(), source="webhook")
    return told


def refund(told: Story, amount_minor: int) -> None:
    settle_events(told.refunded("back", amount_minor, at=100, in_all=amount_minor), source="webhook")
