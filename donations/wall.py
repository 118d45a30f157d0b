"""Privacy in one function: what others may see of a gift. API, pages, exports and mails show nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from donations.models import Donation
from payments.money import Money

ANONYMOUS = "Anonymous"
# Givers write addresses, their own and others', into names and messages; the public gets none.
ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")


@dataclass(frozen=True, kw_only=True)
class PublicGift:
    """A gift as strangers see it. Never an e-mail address; an anonymous one only amount and time."""

    id: str
    money: Money
    display_name: str
    message: str
    dedication_kind: str
    dedication_name: str
    created_at: datetime
    anonymous: bool


def public_view(donation: Donation) -> PublicGift:
    """Needs `payment` loaded. The amount is what remains after refunds, so that a wall adds up to its total."""
    payment = donation.payment
    named = not donation.anonymous
    return PublicGift(
        id=donation.pk,
        money=Money(donation.amount_minor - payment.refunded_minor, donation.currency),
        display_name=(_without_addresses(donation.display_name) if named else "") or ANONYMOUS,
        message=_without_addresses(donation.message) if named else "",
        dedication_kind=donation.dedication_kind if named else "",
        dedication_name=_without_addresses(donation.dedication_name) if named else "",
        created_at=donation.paid_at or donation.created_at,
        anonymous=donation.anonymous,
    )


def _without_addresses(text: str) -> str:
    return ADDRESS.sub("(address removed)", text)
