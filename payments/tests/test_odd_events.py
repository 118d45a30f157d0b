"""A fact from Stripe is never refused for the text that comes with it: what does not fit is cut, the money is booked."""

from __future__ import annotations

from typing import Any

import pytest

from donations.models import Donation, Donor
from donations.tests.factories import pending_donation
from payments.models import Dispute, Payment, Refund, StripeEvent
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    return Story(pending_donation().payment)


def completed(story: Story, **details: Any) -> None:
    session = story.session("complete", "paid")
    session["customer_details"] |= details
    settle_events([story.event("checkout.session.completed", session, 5)], source="webhook")


def test_an_address_that_grows_in_lower_case_does_not_keep_the_gift_from_being_booked(story: Story) -> None:
    completed(story, email="İ" * 310 + "@e.org")
    assert Donation.objects.get().state == "paid"
    assert Payment.objects.get().customer_email == "i\u0307" * 160


ODD_NAMES = {"null": "Ada\x00", "surrogate": "Ada\ud800", "long": "Ada" * 2000, "lines": "Ada\nLovelace", "empty": ""}


@pytest.mark.parametrize("name", sorted(ODD_NAMES))
def test_an_odd_name_does_not_keep_the_gift_from_being_booked(name: str, story: Story) -> None:
    completed(story, name=ODD_NAMES[name])
    donation = Donation.objects.get()
    assert (donation.state, Donor.objects.get().email) == ("paid", "ada@example.org")
    assert "\x00" not in Payment.objects.get().customer_name
    assert list(check_books()) == []


ODD_ADDRESSES = {"null": "ada\x00@example.org", "long": "a" * 500 + "@example.org", "no address": "ada", "spaces": "  "}


@pytest.mark.parametrize("name", sorted(ODD_ADDRESSES))
def test_an_odd_address_does_not_keep_the_gift_from_being_booked(name: str, story: Story) -> None:
    completed(story, email=ODD_ADDRESSES[name])
    assert Donation.objects.get().state == "paid"
    assert list(check_books()) == []


def test_no_customer_at_all_is_fine(story: Story) -> None:
    session = story.session("complete", "paid") | {"customer_details": None, "metadata": None}
    settle_events([story.event("checkout.session.completed", session, 5)], source="webhook")
    assert (Donation.objects.get().state, Donor.objects.count()) == ("paid", 0)


def test_long_codes_of_stripe_are_cut_and_not_refused(story: Story) -> None:
    error = {"code": "x" * 300, "decline_code": "y" * 300, "message": "z" * 5000}
    failed = story.intent("requires_payment_method", error=error)
    refund = story.refund("a", 700, "failed", at=100) | {"failure_reason": "r" * 400, "reason": "q" * 100}
    dispute = story.dispute("needs_response", withdrawn=True) | {"reason": "d" * 200}
    events = [
        story.event("payment_intent.payment_failed", failed, 2),
        *story.succeeded(),
        story.event("refund.failed", refund, 101),
        story.event("charge.dispute.created", dispute, 300),
    ]
    for event in events:
        settle_events([event], source="webhook")
    assert (Refund.objects.get().status, Dispute.objects.get().holds_funds) == ("failed", True)
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied"}
    assert list(check_books()) == []


def test_a_refund_that_names_no_payment_at_all_is_not_taken_for_applied(story: Story) -> None:
    orphan = story.refund("a", 700, "succeeded", at=100) | {"payment_intent": None, "charge": None}
    settled = settle_events([story.event("refund.created", orphan, 100)], source="webhook")
    assert list(settled.states.values()) == ["ignored"]
    assert Refund.objects.count() == 0
