"""The payments that a batch of sightings touches: found and locked, changed in memory, written set-wise."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from django.db import connection, models

from conventions.rows import Statement, find_rows, finding, made, run, updating
from payments import inbox, unmatched
from payments.bookkeeping import book_refunds, disputed_minor, postings_due, refunded_minor
from payments.facts import Sighting
from payments.fulfilment import PaymentChange, fulfilment_of
from payments.ledger import check_posted, posting
from payments.merging import agrees, merge_dispute, merge_payment, merge_refund
from payments.models import Dispute, Payment, Refund
from payments.tasks import fetch_refunds

ID_COLUMNS = {
    "payment": "id",
    "session": "checkout_session",
    "intent": "payment_intent",
    "charge": "charge",
    "invoice": "invoice",
}
PAYMENT_COLUMNS = (
    "stripe_customer", "checkout_session", "payment_intent", "charge", "invoice", "period_end", "receipt_url",
    "customer_email", "customer_name",
    "processing_at", "failed_at", "paid_at", "canceled_at", "expired_at", "failure_code", "failure_message",
    "refunded_minor", "disputed_minor", "seen_refunded_minor", "status",
)  # fmt: skip
REFUND_COLUMNS = (
    "stripe_id",
    "created_at",
    "succeeded_at",
    "failed_at",
    "canceled_at",
    "failure_reason",
    "reason",
    "status",
    "booked",
)
DISPUTE_COLUMNS = ("amount_minor", "status", "evidence_due_at", "funds_withdrawn_at", "funds_reinstated_at", "closed_at")


@dataclass
class Item:
    """A sighting on its way through a batch, and the event that brought it (None for a fetched object)."""

    sighting: Sighting
    event_id: str | None = None
    # The id of what must be known before it can be applied; None once it was applied.
    waits_for: str | None = None


@dataclass(frozen=True)
class Before:
    """A payment as the batch found it."""

    row: tuple[Any, ...]
    was_paid: bool
    refunded_minor: int
    disputed_minor: int
    posted: frozenset[str]


class Batch:
    def __init__(self, *, take_in_unmatched: bool) -> None:
        self.take_in_unmatched = take_in_unmatched
        self.payments: dict[str, Payment] = {}
        self.before: dict[str, Before] = {}
        self.refunds: dict[str, list[Refund]] = {}
        self.disputes: dict[str, list[Dispute]] = {}
        self.new_rows: set[str] = set()
        self.changed_rows: set[str] = set()
        self.refunded_totals: dict[str, int] = {}
        self._by_id: dict[str, str] = {}
        self._learned: set[str] = set()
        self._nobody_waits_for: set[str] = set()

    # -- finding ------------------------------------------------------------------------------------
    def find_payments(self, sightings: Sequence[Sighting]) -> None:
        """Lock every payment that a sighting names by any id, in the order of their ids; after `one_at_a_time`."""
        named = {c: {i for s in sightings if (i := getattr(s, name))} for name, c in ID_COLUMNS.items()}
        asked = set().union(*named.values())
        found, waited_for = run(finding(Payment, named), inbox.waited_for(asked) if asked else None)
        for payment in made(Payment, found):
            self._take(payment)
        self._nobody_waits_for = asked - {i for (i,) in waited_for}

    def _take(self, payment: Payment) -> set[str]:
        """Remember the payment as it is; returns its ids."""
        self.payments[payment.pk] = payment
        self.before[payment.pk] = Before(
            row=_row(payment),
            was_paid=payment.paid_at is not None,
            refunded_minor=payment.refunded_minor,
            disputed_minor=payment.disputed_minor,
            posted=frozenset(posting.key for posting in postings_due(payment, (), ())),
        )
        return self._index(payment)

    def _index(self, payment: Payment) -> set[str]:
        """Remember the payment by its ids; returns those that were new."""
        ids = {i for i in (payment.pk, payment.checkout_session, payment.payment_intent, payment.charge, payment.invoice) if i}
        new = {i for i in ids if i not in self._by_id}
        self._by_id.update((i, payment.pk) for i in ids)
        return new

    def payment_of(self, sighting: Sighting) -> Payment | None:
        """The payment a sighting is about. Stripe's ids decide; our own id counts only where nothing contradicts it,
        since whoever pays through a Payment Link can write a client_reference_id into its address."""
        for known in (sighting.session, sighting.intent, sighting.charge, sighting.invoice):
            if known and known in self._by_id:
                return self.payments[self._by_id[known]]
        payment = self.payments.get(sighting.payment or "")
        return payment if payment and agrees(sighting, payment) else None

    # -- applying -----------------------------------------------------------------------------------
    def apply_to_payment(self, item: Item) -> None:
        """Merge what the sighting says of the payment itself; it waits where there is no such payment."""
        payment = self.payment_of(item.sighting) or self._adopted(item.sighting)
        if payment is None:
            item.waits_for = item.sighting.waits_for
            return
        item.waits_for = None
        was_paid = payment.paid_at is not None
        merge_payment(payment, item.sighting)
        self._learned |= self._index(payment)
        if payment.paid_at and not was_paid:
            self._learned.add(payment.pk)
        if total := item.sighting.refunded_total_minor:
            self.refunded_totals[payment.pk] = max(total, self.refunded_totals.get(payment.pk, 0))
            payment.seen_refunded_minor = max(total, payment.seen_refunded_minor)

    def _adopted(self, sighting: Sighting) -> Payment | None:
        payment = unmatched.adopt(sighting)
        if payment is None and self.take_in_unmatched:
            payment = unmatched.take_in(sighting)
        if payment is not None:
            self._learned |= self._take(payment)
        return payment

    def learned(self) -> set[str]:
        """The ids learned since the last call under which sightings may wait, which can go on now."""
        learned, self._learned = self._learned, set()
        return learned

    def nobody_waits_for(self, ids: Collection[str]) -> set[str]:
        """Those of these ids under which no event was parked, as was asked together with the payments. Nobody can have begun
        to since: who parks an event holds the lock of its ids (`one_at_a_time`) or of its payment, and we have held both
        since before we asked."""
        return self._nobody_waits_for.intersection(ids)

    def apply_refunds_and_disputes(self, items: Sequence[Item]) -> None:
        """Merge refunds and disputes of payments that are paid; those of others wait for their payment."""
        moving = [item for item in items if item.waits_for is None and (item.sighting.refund or item.sighting.dispute)]
        if moving:
            self._load_refunds_and_disputes()
        for item in moving:
            payment = self.payment_of(item.sighting)
            if payment is None or payment.paid_at is None:
                item.waits_for = payment.pk if payment else item.sighting.waits_for
                continue
            if item.sighting.refund:
                refunds = self.refunds.setdefault(payment.pk, [])
                self._note(*merge_refund(payment, refunds, item.sighting.refund))
            if item.sighting.dispute:
                disputes = self.disputes.setdefault(payment.pk, [])
                self._note(*merge_dispute(payment, disputes, item.sighting.dispute))
        for pk, refunds in self.refunds.items():
            for refund in book_refunds(self.payments[pk], refunds):
                self._note(refund, is_new=False)

    def _note(self, row: Refund | Dispute, is_new: bool) -> None:
        if is_new:
            self.new_rows.add(row.pk)
        elif row.pk not in self.new_rows:
            self.changed_rows.add(row.pk)

    def _load_refunds_and_disputes(self) -> None:
        """Only a payment that was paid before the batch can have any, since others' wait."""
        paid = [pk for pk, before in self.before.items() if before.was_paid]
        if not paid:
            return
        for pk in paid:
            self.refunds[pk], self.disputes[pk] = [], []
        for refund in find_rows(Refund, {"payment_id": paid}):
            self.refunds[refund.payment_id].append(refund)
        for dispute in find_rows(Dispute, {"payment_id": paid}):
            self.disputes[dispute.payment_id].append(dispute)
        for pk in paid:
            posted = postings_due(self.payments[pk], self.refunds[pk], self.disputes[pk])
            self.before[pk] = replace(self.before[pk], posted=frozenset(p.key for p in posted))

    # -- writing ------------------------------------------------------------------------------------
    def write(self) -> list[str]:
        """Write what changed: refunds, disputes, payments, transfers, products. Returns the payments' ids."""
        self._write_rows(Refund, [r for rows in self.refunds.values() for r in rows], REFUND_COLUMNS)
        self._write_rows(Dispute, [d for rows in self.disputes.values() for d in rows], DISPUTE_COLUMNS)
        postings, changed = [], []
        for pk in sorted(self.payments):
            payment, refunds, disputes = self.payments[pk], self.refunds.get(pk), self.disputes.get(pk)
            if refunds is not None:
                payment.refunded_minor = refunded_minor(refunds)
            if disputes is not None:
                payment.disputed_minor = disputed_minor(disputes)
            due = postings_due(payment, refunds or [], disputes or [])
            postings += [one for one in due if one.key not in self.before[pk].posted]
            if _row(payment) != self.before[pk].row:
                changed.append(payment)
            if self.refunded_totals.get(pk, 0) > payment.refunded_minor:
                # charge.refunded names no refund: where its sum is more than we know, the rest must be fetched. Should
                # this nudge be lost, `seen_refunded_minor` tells the sweep.
                fetch_refunds.enqueue(pk)
        _, posted = run(updating(Payment, changed, PAYMENT_COLUMNS), posting(postings))
        check_posted(postings, posted)
        self._fulfil(changed)
        return [payment.pk for payment in changed]

    def _write_rows(self, model: type[models.Model], rows: Sequence[Any], columns: Sequence[str]) -> None:
        new = [row for row in rows if row.pk in self.new_rows]
        if new:
            model._default_manager.bulk_create(new)
        run(updating(model, [row for row in rows if row.pk in self.changed_rows], columns))

    def _fulfil(self, changed: Sequence[Payment]) -> None:
        changes = [
            PaymentChange(
                payment=payment,
                became_paid=payment.paid_at is not None and not self.before[payment.pk].was_paid,
                refunded_delta_minor=payment.refunded_minor - self.before[payment.pk].refunded_minor,
                disputed_delta_minor=payment.disputed_minor - self.before[payment.pk].disputed_minor,
            )
            for payment in changed
        ]
        changes.sort(key=lambda change: (change.payment.purpose, change.payment.pk))
        for purpose, of_purpose in groupby(changes, key=lambda change: change.payment.purpose):
            fulfilment = fulfilment_of(purpose)
            if fulfilment is not None:
                fulfilment.settle(list(of_purpose))


def stripe_ids(items: Iterable[Item]) -> set[str]:
    """Those that name the payment of one of these items."""
    seen = [item.sighting for item in items]
    return {i for s in seen for i in (s.session, s.intent, s.charge, s.invoice) if i}


def one_at_a_time(ids: Collection[str]) -> Statement | None:
    """The statement after which, until the end of the transaction, nobody else settles anything that names one of these
    ids of Stripe's.

    Locking the payment is not enough while an id is news: one transaction parks a dispute because no payment has its
    intent, another teaches that intent to its payment and sees no parked dispute, and neither sees the other. SQLite
    has one writer anyway.
    """
    if connection.vendor != "postgresql" or not ids:
        return None
    digests = (hashlib.sha256(stripe_id.encode()).digest() for stripe_id in ids)
    keys = sorted(int.from_bytes(digest[:8], "big", signed=True) for digest in digests)
    return Statement("SELECT count(pg_advisory_xact_lock(key)) FROM unnest(%s::bigint[]) AS key", [keys], answers=True)


def _row(payment: Payment) -> tuple[Any, ...]:
    return tuple(getattr(payment, column) for column in PAYMENT_COLUMNS)
