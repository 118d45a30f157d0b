"""Reducing an old event to what the books need: ids, amounts, states and times stay; names, addresses and all else go.

A reduced event is read by the same functions as before and says the same facts, but for who paid: that stands on the
payment. So it can be replayed, and changes no more than it would have done (tests/test_retention.py proves it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

REDUCED = '{"reduced": true, '  # what the text of a reduced event begins with

# Names as Stripe writes them, wherever they stand. What is not named here goes, so a new field of Stripe's does too.
KEPT = frozenset(
    """
    id object api_version created livemode type data previous_attributes
    amount amount_captured amount_due amount_paid amount_received amount_refunded amount_total
    attempt_count balance_transactions billing_reason
    cancel_at_period_end canceled_at captured charge client_reference_id currency current_period_end customer
    due_by end ended_at evidence_details expires_at failure_reason fee
    invoice invoice_item_details invoice_settings default_payment_method items latest_charge latest_invoice lines
    last_payment_error code decline_code message
    next_payment_attempt paid paid_at parent payment payment_intent payment_method payment_status payments period price
    proration reason start status status_transitions subscription subscription_details subscription_item_details
    brand bank_name last4 exp_month exp_year fingerprint unit_amount
    """.split()
)
OURS = frozenset({"payment", "purpose", "subject", "refund"})  # of metadata: strangers write what they like into theirs


def is_reduced(payload: str) -> bool:
    return payload.startswith(REDUCED)


def reduced(payload: str) -> str:
    """The text of an event without what the books do not need; of a reduced one the same."""
    if is_reduced(payload):
        return payload
    return REDUCED + json.dumps(_kept(json.loads(payload))).removeprefix("{")


def _kept(value: Any) -> Any:
    if isinstance(value, list):
        return [_kept(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    of_its_type = value.get("type")  # a payment method's details stand under its type: "card"
    kept = {name: _kept(inner) for name, inner in value.items() if name in KEPT or name == of_its_type}
    if isinstance(value.get("metadata"), Mapping):
        kept["metadata"] = {name: inner for name, inner in value["metadata"].items() if name in OURS}
    return kept
