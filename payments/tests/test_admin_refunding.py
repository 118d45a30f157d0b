"""Refunding from the back office: who may, what is sent, and what is said when it does not go well."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.tests.factories import UserFactory
from conventions.admin_showing import change_url
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments import stripe_gateway
from payments.admin import refunding
from payments.errors import StripeRefused, StripeTimeout
from payments.models import Payment, Refund, StripeCall
from payments.refunds import request_refund
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


def staff(*permissions: str) -> Client:
    user = UserFactory.create(is_staff=True, email="clerk@example.org")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def clerk() -> Client:
    return staff("view_payment", "refund_payment")


@pytest.fixture
def story() -> Story:
    """A gift of $25.00 that was paid."""
    told = Story(payment_of(pending_donation(amount_minor=2500)))
    settle_events(told.succeeded(), source="webhook")
    return told


class Stripe:
    """Answers calls as Stripe would, or raises `fails`; keeps what it was sent, and whether a transaction was open."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.sent: list[tuple[str, dict[str, Any], str]] = []
        self.blocks: list[int] = []
        self.fails: Exception | None = None

    def __call__(self, operation: str, params: dict[str, Any], *, idempotency_key: str) -> dict[str, Any]:
        self.sent.append((operation, params, idempotency_key))
        self.blocks.append(len(connection.savepoint_ids))
        if self.fails is not None:
            raise self.fails
        return self.story.refund("mine", params["amount"], "succeeded", at=60, our_id=params["metadata"]["refund"])


@pytest.fixture
def stripe(story: Story, monkeypatch: pytest.MonkeyPatch) -> Stripe:
    stub = Stripe(story)
    monkeypatch.setattr(stripe_gateway, "create", stub)
    return stub


def refund_url(payment: Payment) -> str:
    return reverse("admin:payments_payment_refund", args=[payment.pk.replace("_", "_5F")])


def opened_form(client: Client, payment: Payment, **written: str) -> dict[str, str]:
    """The refund form as the page shows it, with what staff wrote into it."""
    page = client.get(refund_url(payment)).content.decode()
    hidden = dict(re.findall(r'type="hidden" name="(ticket|seen_refundable_minor)" value="([^"]+)"', page))
    return {**hidden, "amount": "25.00", "reason": "", "note": "", **written}


def test_a_refund_in_part_sends_what_the_form_says(clerk: Client, story: Story, stripe: Stripe) -> None:
    form = opened_form(clerk, story.payment, amount="10.00", reason="duplicate", note="gave twice")

    answer = clerk.post(refund_url(story.payment), form, follow=True)

    refund = Refund.objects.get()
    call = ("refunds.create", f"{refund.pk}:refunds.create:1")
    assert [(operation, key) for operation, _, key in stripe.sent] == [call]
    assert stripe.sent[0][1] == {
        "payment_intent": story.intent_id,
        "amount": 1000,
        "metadata": {"refund": refund.pk, "payment": story.payment.pk},
        "reason": "duplicate",
    }
    assert (refund.amount_minor, refund.status, refund.note) == (1000, "succeeded", "gave twice")
    assert refund.requested_by == User.objects.get(email="clerk@example.org")
    assert Payment.objects.get().refunded_minor == 1000
    assert answer.redirect_chain == [(change_url(Payment, story.payment.pk), 302)]
    assert f"Refunded $10.00: {refund.stripe_id}." in answer.content.decode()


def test_a_refund_is_sent_outside_any_transaction(clerk: Client, story: Story, stripe: Stripe) -> None:
    form = opened_form(clerk, story.payment)
    depth = len(connection.savepoint_ids)

    clerk.post(refund_url(story.payment), form)

    assert stripe.blocks == [depth]


def test_the_form_offers_what_is_left(clerk: Client, story: Story) -> None:
    settle_events(story.refunded("a", 500, at=60, in_all=500), source="webhook")

    page = clerk.get(refund_url(story.payment)).content.decode()

    assert '<input type="text" name="amount" value="20.00"' in page
    assert "<strong>$20.00</strong>" in page
    assert "will be owed" not in page


def test_a_refund_leaves_a_line_with_who_how_much_why_and_which(clerk: Client, story: Story, stripe: Stripe) -> None:
    form = opened_form(clerk, story.payment, amount="5.00", reason="requested_by_customer", note="Asked by telephone")
    clerk.post(refund_url(story.payment), form)

    entry = AuditEntry.objects.get()
    assert (str(entry.actor), entry.action, entry.target_id, entry.reason) == (
        "clerk@example.org",
        "payment.refund_requested",
        story.payment.pk,
        "Asked by telephone",
    )
    assert entry.before == {"refundable": "25.00"}
    assert entry.after == {
        "refundable": "20.00",
        "refund": Refund.objects.get().pk,
        "told_to_stripe": "requested_by_customer",
    }


def test_a_refund_that_cannot_be_recorded_is_neither_made_nor_sent(
    clerk: Client, story: Story, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = opened_form(clerk, story.payment)

    def fail(**fields: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(audit, "record", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        clerk.post(refund_url(story.payment), form)

    assert not Refund.objects.exists()
    assert stripe.sent == []


def test_sending_again_leaves_a_line_of_its_own(clerk: Client, story: Story, stripe: Stripe) -> None:
    refund = request_refund(payment_id=story.payment.pk, amount_minor=100, requested_by=None)
    args = [pk.replace("_", "_5F") for pk in (story.payment.pk, refund.pk)]

    clerk.post(reverse("admin:payments_payment_send_refund", args=args))

    lines = list(AuditEntry.objects.order_by("pk").values_list("action", "actor__email"))
    assert lines == [("payment.refund_requested", None), ("payment.refund_sent_again", "clerk@example.org")]


def test_who_may_only_look_cannot_refund(story: Story, stripe: Stripe) -> None:
    looker = staff("view_payment")

    page = looker.get(change_url(Payment, story.payment.pk)).content.decode()
    seen = looker.get(refund_url(story.payment))
    posted = looker.post(refund_url(story.payment), {"amount": "25.00", "ticket": "t" * 24, "seen_refundable_minor": "2500"})

    assert (seen.status_code, posted.status_code) == (403, 403)
    assert "Refund…" not in page
    assert not Refund.objects.exists()
    assert not StripeCall.objects.exists()
    assert stripe.sent == []
    assert not AuditEntry.objects.exists()


def test_who_may_not_see_payments_cannot_refund_one(story: Story, stripe: Stripe) -> None:
    answer = staff("refund_payment").get(refund_url(story.payment))

    assert answer.status_code == 403


def test_strangers_are_sent_to_the_log_in(client: Client, story: Story, stripe: Stripe) -> None:
    answer = client.post(refund_url(story.payment), {"amount": "25.00"})

    assert answer["Location"].startswith("/admin/login/")
    assert stripe.sent == []


def test_a_refund_too_large_is_told_and_makes_nothing(clerk: Client, story: Story, stripe: Stripe) -> None:
    answer = clerk.post(refund_url(story.payment), opened_form(clerk, story.payment, amount="25.01", note="all of it"))

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "At most $25.00 of this payment can still be refunded." in page
    assert 'value="25.01"' in page
    assert "all of it</textarea>" in page
    assert not Refund.objects.exists()
    assert stripe.sent == []
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("amount", ["", "abc", "0", "-5", "10.001", "1e3000", "NaN", "１０"])
def test_an_amount_that_is_none_is_refused_by_its_field(clerk: Client, story: Story, stripe: Stripe, amount: str) -> None:
    answer = clerk.post(refund_url(story.payment), opened_form(clerk, story.payment, amount=amount))

    assert list(answer.context["form"].errors) == ["amount"]
    assert not Refund.objects.exists()
    assert stripe.sent == []


def test_a_form_sent_twice_refunds_once(clerk: Client, story: Story, stripe: Stripe) -> None:
    form = opened_form(clerk, story.payment, amount="5.00")
    clerk.post(refund_url(story.payment), form)

    again = clerk.post(refund_url(story.payment), {**form, "seen_refundable_minor": "2000"})

    assert "This form was sent before" in again.content.decode()
    assert Refund.objects.count() == 1
    assert len(stripe.sent) == 1


def test_a_form_that_does_not_know_of_the_last_refund_is_shown_again(clerk: Client, story: Story, stripe: Stripe) -> None:
    form = opened_form(clerk, story.payment, amount="5.00")
    settle_events(story.refunded("a", 500, at=60, in_all=500), source="webhook")

    answer = clerk.post(refund_url(story.payment), form)

    assert "What can be refunded has changed since this form was opened: now it is $20.00." in answer.content.decode()
    assert Refund.objects.count() == 1
    assert stripe.sent == []


def test_a_timeout_keeps_the_refund_and_says_so(clerk: Client, story: Story, stripe: Stripe) -> None:
    stripe.fails = StripeTimeout("The payment service did not answer in time.")

    answer = clerk.post(refund_url(story.payment), opened_form(clerk, story.payment, amount="10.00"), follow=True)

    page = answer.content.decode()
    refund = Refund.objects.get()
    assert (refund.stripe_id, refund.status, refund.amount_minor) == (None, "pending", 1000)
    assert "The refund of $10.00 is written down and the sweep sends it: do not refund again." in page
    assert "Send again" in page
    assert Payment.objects.get().refunded_minor == 0


def test_an_unsent_refund_is_sent_again_under_the_same_key(clerk: Client, story: Story, stripe: Stripe) -> None:
    stripe.fails = StripeTimeout("No answer.")
    clerk.post(refund_url(story.payment), opened_form(clerk, story.payment, amount="10.00"))
    stripe.fails = None
    again = re.findall(r'action="([^"]+/send/)"', clerk.get(change_url(Payment, story.payment.pk)).content.decode())

    answer = clerk.post(again[0], follow=True)
    third = clerk.post(again[0], follow=True)

    refund = Refund.objects.get()
    assert refund.status == "succeeded"
    assert len({key for _, _, key in stripe.sent}) == 1
    assert len(stripe.sent) == 2
    assert f"Refunded $10.00: {refund.stripe_id}." in answer.content.decode()
    assert "Stripe knows this refund already; nothing was sent." in third.content.decode()
    assert "Send again" not in third.content.decode()


def test_sending_again_needs_the_permission_and_a_post(clerk: Client, story: Story, stripe: Stripe) -> None:
    refund = request_refund(payment_id=story.payment.pk, amount_minor=100, requested_by=None)
    url = reverse("admin:payments_payment_send_refund", args=[pk.replace("_", "_5F") for pk in (story.payment.pk, refund.pk)])
    User.objects.get(email="clerk@example.org").user_permissions.remove(Permission.objects.get(codename="refund_payment"))

    page = clerk.get(change_url(Payment, story.payment.pk)).content.decode()
    forbidden = clerk.post(url)
    User.objects.filter(email="clerk@example.org").update(is_superuser=True)
    looked = clerk.get(url)

    assert "has not reached Stripe yet" in page
    assert "Send again" not in page
    assert (forbidden.status_code, looked.status_code) == (403, 405)
    assert stripe.sent == []


def test_the_refund_of_another_payment_is_not_found(clerk: Client, story: Story, stripe: Stripe) -> None:
    refund = request_refund(payment_id=story.payment.pk, amount_minor=100, requested_by=None)
    other = payment_of(pending_donation())
    url = reverse("admin:payments_payment_send_refund", args=[pk.replace("_", "_5F") for pk in (other.pk, refund.pk)])

    assert clerk.post(url).status_code == 404
    assert stripe.sent == []


def test_a_refund_that_stripe_refuses_is_canceled(clerk: Client, story: Story, stripe: Stripe) -> None:
    stripe.fails = StripeRefused("This charge has been disputed.")

    answer = clerk.post(refund_url(story.payment), opened_form(clerk, story.payment), follow=True)

    assert "This charge has been disputed. The refund of $25.00 was refused and is canceled." in answer.content.decode()
    assert Refund.objects.get().status == "canceled"
    assert Payment.objects.get().refunded_minor == 0


def test_what_is_not_paid_has_no_refund(clerk: Client, stripe: Stripe) -> None:
    payment = payment_of(pending_donation(amount_minor=900))

    page = clerk.get(change_url(Payment, payment.pk)).content.decode()
    answer = clerk.get(refund_url(payment), follow=True)

    assert "Refund…" not in page
    assert "Nothing of this payment can be refunded." in answer.content.decode()


def test_a_disputed_payment_offers_no_refund_and_says_why(clerk: Client, story: Story, stripe: Stripe) -> None:
    form = opened_form(clerk, story.payment)
    settle_events(story.disputed("lost"), source="webhook")
    why = "Nothing of this payment can be refunded: a dispute has withdrawn $25.00. Only if it is won does that come back."

    page = clerk.get(change_url(Payment, story.payment.pk))
    told = [
        clerk.get(refund_url(story.payment), follow=True).content.decode(),
        clerk.post(refund_url(story.payment), form, follow=True).content.decode(),
    ]

    assert page.context["story"].refundable == "$0.00"
    assert "Refund…" not in page.content.decode()
    assert [why in shown for shown in told] == [True, True]
    assert not Refund.objects.exists()
    assert stripe.sent == []


def test_a_dispute_that_comes_in_while_the_form_is_sent_leads_back_to_the_payment(
    clerk: Client, story: Story, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disputed_first(**asked: Any) -> Refund:
        settle_events(story.disputed("lost"), source="webhook")
        return request_refund(**asked)

    monkeypatch.setattr(refunding, "request_refund", disputed_first)

    answer = clerk.post(refund_url(story.payment), opened_form(clerk, story.payment), follow=True)

    assert answer.redirect_chain == [(change_url(Payment, story.payment.pk), 302)]
    assert "Nothing of this payment can be refunded: a dispute has withdrawn $25.00." in answer.content.decode()
    assert not Refund.objects.exists()
    assert stripe.sent == []


def test_an_unknown_payment_is_not_found(clerk: Client) -> None:
    assert clerk.get("/admin/payments/payment/pay_5Fnone/refund/").status_code == 404


def test_a_yen_refund_is_written_in_yen(clerk: Client, stripe: Stripe) -> None:
    gift = pending_donation(campaign=CampaignFactory(currency="jpy", goal_minor=1000), amount_minor=5000)
    told = Story(payment_of(gift))
    settle_events(told.succeeded(), source="webhook")
    stripe.story = told

    refused = clerk.post(refund_url(told.payment), opened_form(clerk, told.payment, amount="10.5"))
    clerk.post(refund_url(told.payment), opened_form(clerk, told.payment, amount="1500"))

    assert refused.context["form"].errors["amount"] == ["Amounts in JPY are whole numbers."]
    assert [refund.amount_minor for refund in Refund.objects.all()] == [1500]
