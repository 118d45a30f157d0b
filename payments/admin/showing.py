"""How amounts and Stripe's ids look in the back office; all else looks as in conventions/admin_showing.py."""

from __future__ import annotations

from django.db.models import Model
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conventions.admin_showing import list_url
from payments.models import BalanceTransaction, Dispute, Payment, Payout, Refund, StripeEvent
from payments.money import Money

# The list whose search finds what we have of an object of Stripe's, by the first part of its id.
FOUND_IN: dict[str, type[Model]] = {
    "cs": Payment,
    "pi": Payment,
    "ch": Payment,
    "py": Payment,
    "in": Payment,
    "cus": Payment,
    "re": Refund,
    "pyr": Refund,
    "dp": Dispute,
    "du": Dispute,
    "evt": StripeEvent,
    "txn": BalanceTransaction,
    "po": Payout,
}


def money(amount_minor: int, currency: str) -> str:
    return Money(amount_minor, currency).display()


def stripe_link(stripe_id: str | None) -> SafeString | str:
    """To the list that finds the object's row with us, whether there is one or not: no query, so that lists may use it."""
    model = FOUND_IN.get((stripe_id or "").partition("_")[0])
    return (
        format_html('<a href="{}">{}</a>', list_url(model, q=stripe_id), stripe_id) if model and stripe_id else stripe_id or "–"
    )
