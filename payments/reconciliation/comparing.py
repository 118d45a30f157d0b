"""Sessions, intents, charges, refunds and disputes beside our rows.

There is no second set of rules here: an object differs when merging it, as settlement would, changes a row.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from payments import stripe_gateway
from payments.batch import DISPUTE_COLUMNS, ID_COLUMNS, PAYMENT_COLUMNS, REFUND_COLUMNS
from payments.errors import StripeRefused
from payments.facts import Sighting, from_object
from payments.merging import agrees, merge_dispute, merge_payment, merge_refund
from payments.models import Dispute, Payment, Refund
from payments.money import Money
from payments.reconciliation.differences import Difference, Json, each_alone
from payments.taking_in import settle_taking_in

SETTLE = "settle it"
TAKE_IN = "take it in: for the product that its metadata names, else as unmatched money"
FETCH = "fetch its payment and settle both"
# Columns whose values nobody reads in a line.
LONG = frozenset({"receipt_url", "failure_message", "customer_email", "customer_name"})
WORDS = {
    "amount_minor": "amount",
    "booked": "in our books",
    "canceled_at": "canceled",
    "checkout_session": "session",
    "closed_at": "closed",
    "created_at": "made",
    "customer_email": "payer's address",
    "customer_name": "payer's name",
    "disputed_minor": "disputed",
    "evidence_due_at": "evidence due",
    "expired_at": "expired",
    "failed_at": "failed",
    "failure_code": "failure",
    "failure_message": "words about the failure",
    "failure_reason": "failure",
    "fee_minor": "fee",
    "funds_reinstated_at": "money given back",
    "funds_withdrawn_at": "money withdrawn",
    "net_minor": "net",
    "paid_at": "paid",
    "payment_intent": "intent",
    "period_end": "paid for until",
    "processing_at": "in process",
    "receipt_url": "receipt",
    "refunded_minor": "refunded",
    "seen_refunded_minor": "refunded at Stripe",
    "source_amount_minor": "amount before conversion",
    "source_currency": "currency before conversion",
    "stripe_customer": "customer",
    "stripe_id": "Stripe's id",
    "succeeded_at": "succeeded",
}


class Objects:
    """A list of objects that `facts` can read."""

    def __init__(self, name: str) -> None:
        self.name = self.source = name

    def filters(self) -> dict[str, Any]:
        return {}

    def look(self, page: Sequence[Json]) -> list[Difference]:
        known = Known([from_object(thing) for thing in page])
        return [found for thing in page if (found := _difference(thing, known))]

    def mend(self, things: Sequence[Json]) -> dict[str, str]:
        return settle(things)


def settle(things: Sequence[Json]) -> dict[str, str]:
    """Settle objects, the oldest first, each refund and dispute after its payment. Network: never in a transaction."""
    errors: dict[str, str] = {}
    ready, known = [], Known([from_object(thing) for thing in things])
    for thing in reversed(things):
        sighting = from_object(thing)
        payment = known.payment_of(sighting)
        if (sighting.refund or sighting.dispute) and (payment is None or not payment.paid_at):
            errors |= each_alone(_settle_payment_of, [thing])
        ready.append(thing)
    return errors | each_alone(settle_taking_in, ready)


def _settle_payment_of(things: Sequence[Json]) -> None:
    for thing in things:
        sighting = from_object(thing)
        try:
            if sighting.intent:
                fetched = stripe_gateway.retrieve_intent(sighting.intent)
            elif sighting.charge:
                fetched = stripe_gateway.retrieve_charge(sighting.charge)
            else:
                continue
        except StripeRefused:
            continue  # Stripe does not show it; the second look says that the difference stays
        settle_taking_in([fetched])


class Known:
    """Our rows that a page's sightings are about, read without locks."""

    def __init__(self, sightings: Sequence[Sighting]) -> None:
        named = Q()
        for name, column in ID_COLUMNS.items():
            ids = sorted({value for sighting in sightings if (value := getattr(sighting, name))})
            named |= Q(**{f"{column}__in": ids}) if ids else Q()
        self.by_id: dict[str, Payment] = {}
        for payment in Payment.objects.filter(named).order_by("pk") if named else ():
            for column in ID_COLUMNS.values():
                if known := getattr(payment, column):
                    self.by_id[known] = payment
        ours = {payment.pk for payment in self.by_id.values()}
        self.refunds: dict[str, list[Refund]] = defaultdict(list)
        self.disputes: dict[str, list[Dispute]] = defaultdict(list)
        if any(sighting.refund for sighting in sightings):
            for refund in Refund.objects.filter(payment__in=ours).order_by("pk"):
                self.refunds[refund.payment_id].append(refund)
        if any(sighting.dispute for sighting in sightings):
            for dispute in Dispute.objects.filter(payment__in=ours).order_by("pk"):
                self.disputes[dispute.payment_id].append(dispute)

    def payment_of(self, sighting: Sighting) -> Payment | None:
        """As settlement finds it: Stripe's ids decide, ours counts where nothing contradicts it."""
        for known in (sighting.session, sighting.intent, sighting.charge):
            if known and known in self.by_id:
                return self.by_id[known]
        payment = self.by_id.get(sighting.payment or "")
        return payment if payment and agrees(sighting, payment) else None


def _difference(thing: Json, known: Known) -> Difference | None:
    sighting = from_object(thing)
    payment = known.payment_of(sighting)
    if payment is None:
        what, remedy = _without_payment(sighting)
    elif sighting.refund or sighting.dispute:
        what, remedy = _of_movement(sighting, payment, known)
    else:
        what, remedy = _of_payment(sighting, payment), SETTLE
    return Difference(subject=thing["id"], what=what, remedy=remedy, thing=thing) if what else None


def _without_payment(sighting: Sighting) -> tuple[str, str]:
    if moved := sighting.refund or sighting.dispute:
        kind = "a refund" if sighting.refund else "a dispute"
        return f"{kind} of {Money(moved.amount_minor, moved.currency).display()} whose payment we do not know", FETCH
    if sighting.paid_at and sighting.amount_minor and sighting.currency:
        amount = Money(sighting.amount_minor, sighting.currency).display()
        return f"{amount} was paid, and no payment of ours is it", TAKE_IN
    return "", ""


def _of_payment(sighting: Sighting, payment: Payment) -> str:
    merged = copy.copy(payment)
    merge_payment(merged, sighting)
    merged.seen_refunded_minor = max(merged.seen_refunded_minor, sighting.refunded_total_minor or 0)
    changes = _changes(payment, merged, PAYMENT_COLUMNS)
    return f"{payment.pk}: {changes}" if changes else ""


def _of_movement(sighting: Sighting, payment: Payment, known: Known) -> tuple[str, str]:
    """Of a refund or a dispute."""
    if payment.paid_at is None:
        return f"money of {payment.pk} moved, which is {payment.status} for us", FETCH
    before: Refund | Dispute | None
    merged: Refund | Dispute
    columns: Sequence[str]
    try:
        if sighting.refund:
            refunds = known.refunds[payment.pk]
            merged, is_new = merge_refund(payment, [copy.copy(one) for one in refunds], sighting.refund)
            before, columns = next((one for one in refunds if one.pk == merged.pk), None), REFUND_COLUMNS
        else:
            assert sighting.dispute is not None
            disputes = known.disputes[payment.pk]
            merged, is_new = merge_dispute(payment, [copy.copy(one) for one in disputes], sighting.dispute)
            before, columns = next((one for one in disputes if one.pk == merged.pk), None), DISPUTE_COLUMNS
    except ValueError as error:
        return str(error), ""
    if is_new or before is None:
        kind = "refund" if sighting.refund else "dispute"
        amount = Money(merged.amount_minor, merged.currency).display()
        return f"{payment.pk}: a {kind} of {amount} ({merged.status}) is not known", SETTLE
    changes = _changes(before, merged, columns)
    return (f"{before.pk} of {payment.pk}: {changes}" if changes else ""), SETTLE


def _changes(before: Any, after: Any, columns: Sequence[str]) -> str:
    """The columns that differ, ours first: `status: open → paid, charge: nothing → ch_…, receipt: not known`."""
    told = []
    for column in sorted(columns, key=lambda name: name != "status"):
        ours, theirs = getattr(before, column), getattr(after, column)
        if ours == theirs:
            continue
        if column in LONG:
            told.append(f"{word(column)}: {'another one at Stripe' if ours else 'not known'}")
        else:
            told.append(f"{word(column)}: {shown(before, column)} → {shown(after, column)}")
    return ", ".join(told)


def word(column: str) -> str:
    """What people call a column of a row."""
    return WORDS.get(column, column.replace("_", " "))


def shown(row: Any, column: str) -> str:
    """A column's value for people: amounts in the row's currency, times in UTC."""
    value = getattr(row, column)
    if value is None or value == "":
        return "nothing"
    if column.endswith("_minor"):
        return Money(value, getattr(row, "source_currency" if column.startswith("source_") else "currency")).display()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "strftime") else str(value)
