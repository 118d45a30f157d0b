"""Stripe's objects and events as tests need them: only the fields that our code reads, with Stripe's names.

Their full published shape is judged in tests/contract, on what the sandbox sends.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from payments.inbox import Envelope, open_envelope
from payments.models import Payment

BORN = 1_790_000_000
_numbers = itertools.count(1)


class Story:
    """One payment's life at Stripe: makes the events about it, with ids of its own."""

    def __init__(self, payment: Payment) -> None:
        number = next(_numbers)
        self.payment = payment
        self.session_id = payment.checkout_session or f"cs_test_{number}"
        self.intent_id, self.charge_id = f"pi_{number}", f"ch_{number}"
        self.number = number
        self._events = itertools.count(1)
        self.metadata = {"payment": payment.pk, "purpose": payment.purpose, "subject": payment.subject_id}

    def event(self, kind: str, subject: dict[str, Any], at: int, previous: dict[str, Any] | None = None) -> Envelope:
        data: dict[str, Any] = {"object": subject}
        if previous is not None:
            data["previous_attributes"] = previous
        body = {
            "id": f"evt_{self.number}_{next(self._events)}",
            "object": "event",
            "api_version": "2026-08-26.dahlia",
            "created": BORN + at,
            "livemode": False,
            "type": kind,
            "data": data,
        }
        return open_envelope(json.dumps(body))

    # -- objects ------------------------------------------------------------------------------------
    def session(self, status: str, payment_status: str, *, intent: bool = True) -> dict[str, Any]:
        return {
            "id": self.session_id,
            "object": "checkout.session",
            "status": status,
            "payment_status": payment_status,
            "client_reference_id": self.payment.pk,
            "metadata": self.metadata,
            "payment_intent": self.intent_id if intent else None,
            "amount_total": self.payment.amount_minor,
            "currency": self.payment.currency,
            "customer": None,
            "customer_email": None,
            "customer_details": {"email": "Ada@Example.org", "name": "Ada Lovelace"},
            "created": BORN,
            "expires_at": BORN + 86_400,
        }

    def intent(self, status: str, *, charge: bool = True, error: dict[str, Any] | None = None) -> dict[str, Any]:
        return {
            "id": self.intent_id,
            "object": "payment_intent",
            "status": status,
            "amount": self.payment.amount_minor,
            "currency": self.payment.currency,
            "metadata": self.metadata,
            "latest_charge": self.charge_id if charge else None,
            "last_payment_error": error,
            "created": BORN + 1,
            "canceled_at": BORN + 900 if status == "canceled" else None,
        }

    def charge(self, *, refunded: int = 0) -> dict[str, Any]:
        return {
            "id": self.charge_id,
            "object": "charge",
            "status": "succeeded",
            "paid": True,
            "captured": True,
            "amount": self.payment.amount_minor,
            "amount_refunded": refunded,
            "currency": self.payment.currency,
            "payment_intent": self.intent_id,
            "metadata": self.metadata,
            "billing_details": {"email": "card@example.org", "name": "A. Lovelace"},
            "receipt_url": f"https://pay.example/{self.charge_id}",
            "created": BORN + 2,
        }

    def refund(self, name: str, amount: int, status: str, *, at: int, our_id: str | None = None) -> dict[str, Any]:
        return {
            "id": f"re_{self.number}_{name}",
            "object": "refund",
            "amount": amount,
            "currency": self.payment.currency,
            "payment_intent": self.intent_id,
            "charge": self.charge_id,
            "status": status,
            "reason": None,
            "metadata": {"refund": our_id} if our_id else {},
            "failure_reason": "lost_or_stolen_card" if status == "failed" else None,
            "created": BORN + at,
        }

    def dispute(self, status: str, *, withdrawn: bool, reinstated: bool = False, amount: int | None = None) -> dict[str, Any]:
        amount = self.payment.amount_minor if amount is None else amount
        movements = [{"amount": -amount, "fee": 1500, "created": BORN + 301}] if withdrawn else []
        movements += [{"amount": amount, "fee": 0, "created": BORN + 401}] if reinstated else []
        return {
            "id": f"dp_{self.number}",
            "object": "dispute",
            "amount": amount,
            "currency": self.payment.currency,
            "payment_intent": self.intent_id,
            "charge": self.charge_id,
            "status": status,
            "reason": "fraudulent",
            "evidence_details": {"due_by": BORN + 90_000},
            "balance_transactions": movements,
            "created": BORN + 300,
        }

    # -- what Stripe sends ----------------------------------------------------------------------------
    def succeeded(self) -> list[Envelope]:
        return [
            self.event("payment_intent.succeeded", self.intent("succeeded"), 4),
            self.event("charge.succeeded", self.charge(), 3),
            self.event("checkout.session.completed", self.session("complete", "paid"), 5),
            self.event("charge.updated", self.charge(), 6, previous={"balance_transaction": None}),
        ]

    def declined(self) -> list[Envelope]:
        error = {"code": "card_declined", "decline_code": "insufficient_funds", "message": "Your card has insufficient funds."}
        return [self.event("payment_intent.payment_failed", self.intent("requires_payment_method", error=error), 2)]

    def refunded(self, name: str, amount: int, *, at: int, in_all: int) -> list[Envelope]:
        return [
            self.event("refund.created", self.refund(name, amount, "succeeded", at=at), at),
            self.event("charge.refunded", self.charge(refunded=in_all), at + 1, previous={"amount_refunded": in_all - amount}),
            self.event("refund.updated", self.refund(name, amount, "succeeded", at=at), at + 9, previous={"metadata": {}}),
        ]

    def refund_failed(self, name: str, amount: int, *, at: int) -> list[Envelope]:
        return [
            self.event("refund.created", self.refund(name, amount, "pending", at=at), at),
            self.event("charge.refunded", self.charge(refunded=amount), at + 1),
            self.event("refund.updated", self.refund(name, amount, "failed", at=at), at + 7, previous={"status": "pending"}),
            self.event("refund.failed", self.refund(name, amount, "failed", at=at), at + 8),
        ]

    def disputed(self, outcome: str) -> list[Envelope]:
        open_ = self.dispute("needs_response", withdrawn=True)
        closed = self.dispute(outcome, withdrawn=True, reinstated=outcome == "won")
        events = [
            self.event("charge.dispute.created", self.dispute("needs_response", withdrawn=False), 300),
            self.event("charge.dispute.funds_withdrawn", open_, 302),
            self.event("charge.dispute.updated", {**open_, "status": "under_review"}, 350, previous={"status": "needs_response"}),
            self.event("charge.dispute.closed", closed, 402, previous={"status": "under_review"}),
        ]
        if outcome == "won":
            events.append(self.event("charge.dispute.funds_reinstated", closed, 403))
        return events

    def inquired(self, amount: int) -> list[Envelope]:
        """A bank asks about all of the charge, then disputes `amount` of it, and wins."""
        asked = self.dispute("warning_needs_response", withdrawn=False)
        opened = self.dispute("needs_response", withdrawn=False, amount=amount)
        taken = self.dispute("needs_response", withdrawn=True, amount=amount)
        return [
            self.event("charge.dispute.created", asked, 300),
            self.event("charge.dispute.updated", opened, 310, previous={"amount": asked["amount"]}),
            self.event("charge.dispute.funds_withdrawn", taken, 311),
            self.event("charge.dispute.closed", {**taken, "status": "lost"}, 400, previous={"status": "needs_response"}),
        ]

    def delayed(self, *, succeeds: bool) -> list[Envelope]:
        events = [
            self.event("checkout.session.completed", self.session("complete", "unpaid"), 5),
            self.event("payment_intent.processing", self.intent("processing"), 4),
        ]
        if succeeds:
            return [
                *events,
                self.event("charge.succeeded", self.charge(), 500),
                self.event("payment_intent.succeeded", self.intent("succeeded"), 501),
                self.event("checkout.session.async_payment_succeeded", self.session("complete", "paid"), 502),
            ]
        error = {"code": "payment_method_debit_failed", "message": "The debit failed."}
        return [
            *events,
            self.event("payment_intent.payment_failed", self.intent("requires_payment_method", error=error), 501),
            self.event("checkout.session.async_payment_failed", self.session("complete", "unpaid"), 501),
        ]

    def expired(self) -> list[Envelope]:
        return [
            self.event("checkout.session.expired", self.session("expired", "unpaid", intent=False), 86_401),
            self.event("payment_intent.canceled", self.intent("canceled", charge=False), 86_402),
        ]
