"""States, merging and reading of Stripe's objects: arithmetic without a database."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from payments import facts, states
from payments.facts import moment
from payments.merging import agrees
from payments.models import Payment

T1, T2 = moment(100), moment(200)
FACTS = ("processing_at", "failed_at", "paid_at", "canceled_at", "expired_at")


def seen_facts(**known: datetime) -> SimpleNamespace:
    return SimpleNamespace(**{**dict.fromkeys(FACTS), **known})


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ({}, "open"),
        ({"processing_at": T1}, "processing"),
        ({"failed_at": T1}, "failed"),
        ({"processing_at": T1, "failed_at": T2}, "failed"),
        ({"processing_at": T2, "failed_at": T1}, "processing"),
        ({"processing_at": T1, "failed_at": T1}, "failed"),
        ({"expired_at": T1}, "expired"),
        ({"expired_at": T1, "failed_at": T2}, "expired"),
        ({"expired_at": T2, "canceled_at": T2}, "canceled"),
        ({"canceled_at": T1, "processing_at": T2}, "canceled"),
        ({"paid_at": T1, "canceled_at": T2, "expired_at": T2, "failed_at": T2, "processing_at": T2}, "paid"),
    ],
)
def test_a_payments_status_follows_from_its_facts(known: dict[str, datetime], status: str) -> None:
    assert states.payment_status(seen_facts(**known)) == status


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ({}, "pending"),
        ({"succeeded_at": T1}, "succeeded"),
        ({"succeeded_at": T2, "failed_at": T1}, "failed"),
        ({"succeeded_at": T2, "canceled_at": T1}, "canceled"),
        ({"canceled_at": T1, "failed_at": T2}, "failed"),
    ],
)
def test_a_refunds_status_follows_from_its_facts(known: dict[str, datetime], status: str) -> None:
    blank = dict.fromkeys(("succeeded_at", "failed_at", "canceled_at"))
    assert states.refund_status(SimpleNamespace(**{**blank, **known})) == status


@pytest.mark.parametrize("status", states.DISPUTE_STATUSES)
def test_a_disputes_status_only_goes_forward(status: str) -> None:
    assert states.dispute_status("won", status) == "won"
    assert states.dispute_status(status, "won") == "won"
    assert states.dispute_status(status, "warning_needs_response") == status
    assert states.dispute_status("something new at Stripe", status) == status


def session(**fields: Any) -> dict[str, Any]:
    return {"id": "cs_1", "object": "checkout.session", "created": 100, "expires_at": 86_500, "status": "open"} | fields


@pytest.mark.parametrize(
    ("fields", "fact"),
    [
        ({"status": "open", "payment_status": "unpaid"}, {}),
        ({"status": "complete", "payment_status": "paid", "payment_intent": "pi_1"}, {"paid_at": T2}),
        ({"status": "complete", "payment_status": "paid"}, {}),  # it sold a subscription: its invoice has the money
        ({"status": "complete", "payment_status": "unpaid"}, {"processing_at": T2}),
        ({"status": "complete", "payment_status": "no_payment_required"}, {}),
        ({"status": "open", "payment_status": "paid"}, {}),
        ({"status": "expired", "payment_status": "unpaid"}, {"expired_at": T2}),
    ],
)
def test_what_a_session_of_an_event_says(fields: dict[str, Any], fact: dict[str, datetime]) -> None:
    sighting = facts.from_session(session(**fields), T2)
    assert {name: getattr(sighting, name) for name in FACTS} == dict.fromkeys(FACTS) | fact


def intent(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": "pi_1", "object": "payment_intent", "status": status, "amount": 5, "currency": "usd", "created": 100} | fields


@pytest.mark.parametrize(
    ("fetched", "fact"),
    [
        (intent("requires_payment_method"), {}),
        (intent("requires_payment_method", last_payment_error={"code": "x"}), {"failed_at": T2}),
        (intent("requires_action"), {}),
        (intent("requires_capture"), {}),
        (intent("processing"), {"processing_at": T2}),
        (intent("succeeded"), {"paid_at": T2}),
        (intent("canceled"), {"canceled_at": T2}),
        (intent("canceled", canceled_at=100), {"canceled_at": T1}),
        (intent("succeeded", latest_charge={"id": "ch_1", "created": 100}), {"paid_at": T1}),
    ],
)
def test_what_an_intent_says(fetched: dict[str, Any], fact: dict[str, datetime]) -> None:
    sighting = facts.from_intent(fetched, T2)
    assert {name: getattr(sighting, name) for name in FACTS} == dict.fromkeys(FACTS) | fact


CHARGE = {"id": "ch_1", "object": "charge", "amount": 5, "currency": "usd", "created": 100, "payment_intent": "pi_1"}


@pytest.mark.parametrize(
    ("fields", "charge", "paid_at"),
    [
        ({"paid": True, "status": "succeeded"}, "ch_1", T1),
        ({"paid": True, "status": "succeeded", "captured": True}, "ch_1", T1),
        ({"paid": True, "status": "succeeded", "captured": False}, None, None),
        ({"paid": True, "status": "pending"}, None, None),
        ({"paid": False, "status": "failed"}, None, None),
    ],
)
def test_only_a_charge_that_brought_money_names_itself(fields: dict[str, Any], charge: str | None, paid_at: datetime) -> None:
    sighting = facts.from_charge(CHARGE | fields, T2)
    assert (sighting.charge, sighting.paid_at, sighting.intent) == (charge, paid_at, "pi_1")


def test_an_expandable_field_gives_its_id_either_way() -> None:
    assert facts.id_of("pi_1") == facts.id_of({"id": "pi_1"}) == "pi_1"
    assert facts.id_of(None) is None


def test_exactly_the_events_that_change_the_books_are_ours() -> None:
    assert sorted(facts.EVENTS) == [
        "charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn", "charge.dispute.updated", "charge.refunded", "charge.succeeded", "charge.updated",
        "checkout.session.async_payment_failed", "checkout.session.async_payment_succeeded", "checkout.session.completed",
        "checkout.session.expired", "invoice.paid", "invoice_payment.paid",
        "payment_intent.canceled", "payment_intent.payment_failed",
        "payment_intent.processing", "payment_intent.succeeded", "refund.created", "refund.failed", "refund.updated",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["charge.failed", "customer.created", "", "CHECKOUT.SESSION.COMPLETED"])
def test_other_events_say_nothing(kind: str) -> None:
    assert facts.from_event({"type": kind, "created": 1, "data": {"object": {}}}) is None


@pytest.mark.parametrize(
    ("claimed", "agreed"),
    [
        ({}, True),
        ({"session": "cs_1"}, True),
        ({"amount_minor": 2500, "currency": "usd"}, True),
        ({"session": "cs_other"}, False),
        ({"intent": "pi_other"}, False),
        ({"amount_minor": 2501, "currency": "usd"}, False),
        ({"amount_minor": 2500, "currency": "eur"}, False),
        ({"session": "cs_1", "intent": "pi_1", "amount_minor": 1, "currency": "usd"}, False),
    ],
)
def test_a_claim_to_be_our_payment_is_checked(claimed: dict[str, Any], agreed: bool) -> None:
    payment = Payment(amount_minor=2500, currency="usd", checkout_session="cs_1", payment_intent="pi_1")
    assert agrees(facts.Sighting(payment=payment.pk, **claimed), payment) is agreed
