"""Assigning and replaying from the back office: what is shown beforehand, what is done, and what is told."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.tests.factories import PASSWORD
from campaigns.models import Campaign
from conventions.admin_showing import change_url
from donations.models import Donation
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments.models import Payment, Refund, StripeEvent, Transfer
from payments.proving import check_books
from payments.settlement import settle_events, settle_stored
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


@pytest.fixture
def unmatched() -> Payment:
    """$25.00 that came through a link which names nothing."""
    story = Story(Payment(purpose="unmatched", amount_minor=2500, currency="usd", livemode=False))
    story.metadata = {}
    settle_events(story.succeeded(), source="webhook")
    settle_stored(StripeEvent.objects.values_list("pk", flat=True), take_in_unmatched=True)
    return Payment.objects.get()


def assign_url(payment: Payment) -> str:
    return reverse("admin:payments_payment_assign", args=[quote(payment.pk)])


def choice(campaign: Campaign, **fields: str) -> dict[str, str]:
    return {"target": f"donation:{campaign.pk}", "reason": "The donor wrote to us.", **fields}


def test_unmatched_money_is_assigned_to_the_campaign_that_is_chosen(root: Client, unmatched: Payment) -> None:
    wells = CampaignFactory(title="Wells")
    button = f'href="{assign_url(unmatched)}">Assign…'
    assert button in root.get(change_url(Payment, unmatched.pk)).content.decode()

    answer = root.post(assign_url(unmatched), choice(wells), follow=True)

    donation = Donation.objects.get()
    page = answer.content.decode()
    assert answer.redirect_chain == [(change_url(Payment, unmatched.pk), 302)]
    assert f"Assigned $25.00 as {donation.pk}." in page
    assert "Staff: Assigned" in page
    assert "by root@example.org: The donor wrote to us." in page
    assert button not in page
    assert (donation.campaign, donation.state) == (wells, "paid")
    assert AuditEntry.objects.get().actor == User.objects.get()
    assert list(check_books()) == []


def test_campaigns_are_looked_for_by_words_and_id_and_those_of_another_currency_cannot_be_chosen(
    root: Client, unmatched: Payment
) -> None:
    wells, school, boats = (
        CampaignFactory(title="Wells"),
        CampaignFactory(title="Well-read school", currency="eur"),
        CampaignFactory(title="Boats"),
    )

    def shown(words: str) -> list[tuple[str, bool]]:
        choices = root.get(assign_url(unmatched), {"q": words}).context["choices"]
        return [(subject.title, fits) for _, subject, fits in choices]

    assert shown("well") == [(school.title, False), (wells.title, True)]
    assert shown(boats.pk) == [(boats.title, True)]
    assert shown("%") == []
    assert len(shown("")) == 3
    disabled = root.get(assign_url(unmatched), {"q": "school"}).content.decode()
    assert f'value="donation:{school.pk}" disabled' in disabled


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"target": ""}, "Choose what it was meant for."),
        ({"target": "donation:campaign_none"}, "There is no donation subject &#x27;campaign_none&#x27;."),
        ({"target": "raffle:campaign_none"}, "There is no raffle subject"),
        ({"target": "no target at all"}, "Enter a valid value."),
        ({"reason": ""}, "This field is required."),
        ({"reason": "   "}, "This field is required."),
        ({"reason": "r" * 501}, "at most 500 characters"),
    ],
)
def test_what_cannot_be_assigned_is_told_and_stays(root: Client, unmatched: Payment, form: dict[str, str], told: str) -> None:
    answer = root.post(assign_url(unmatched), {**choice(CampaignFactory()), **form})

    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert Payment.objects.get().purpose == "unmatched"
    assert not AuditEntry.objects.exists()


def test_another_currency_is_refused_by_name_even_past_the_form(root: Client, unmatched: Payment) -> None:
    answer = root.post(assign_url(unmatched), choice(CampaignFactory(title="Night school", currency="eur")))

    assert "“Night school” collects EUR; a payment in USD cannot be added" in answer.content.decode()
    assert Payment.objects.get().purpose == "unmatched"


def test_what_is_not_unmatched_has_nothing_to_assign(root: Client) -> None:
    payment = payment_of(pending_donation())

    answer = root.post(assign_url(payment), choice(CampaignFactory()), follow=True)

    assert "This payment is not unmatched: it belongs to something already." in answer.content.decode()
    assert Donation.objects.get().payment_id == payment.pk


def replay_url(event: StripeEvent) -> str:
    return reverse("admin:payments_stripeevent_replay", args=[quote(event.pk)])


def test_a_preview_shows_every_change_and_makes_none(root: Client) -> None:
    story = Story(payment_of(pending_donation()))
    settle_events(story.succeeded(), source="webhook")
    settle_events(story.refunded("a", 700, at=100, in_all=700)[:1], source="webhook")
    event = StripeEvent.objects.get(type="refund.created")
    StripeEvent.objects.filter(pk=event.pk).update(state="dead", last_error="OperationalError: disk full")
    before = [list(model.objects.order_by("pk").values()) for model in (StripeEvent, Payment, Refund, Transfer, AuditEntry)]

    answer = root.get(replay_url(event))

    after = [list(model.objects.order_by("pk").values()) for model in (StripeEvent, Payment, Refund, Transfer, AuditEntry)]
    changed = {row: {name: (old, new) for name, old, new in columns} for _, row, _, columns in answer.context["changes"]}
    assert after == before
    assert changed[event.pk]["state"] == ("dead", "applied")
    assert "disk full" in answer.content.decode()


def test_a_confirmed_replay_applies_the_event_and_leaves_a_line(root: Client) -> None:
    story = Story(payment_of(pending_donation()))
    settle_events(story.refunded("a", 700, at=100, in_all=700)[:1], source="webhook")
    event = StripeEvent.objects.get()
    StripeEvent.objects.filter(pk=event.pk).update(state="dead", waiting_for=None)
    settle_events(story.succeeded(), source="webhook")
    assert not Refund.objects.exists()

    answer = root.post(replay_url(event), follow=True)

    assert answer.redirect_chain == [(change_url(StripeEvent, event.pk), 302)]
    assert "Applied again: the event is applied." in answer.content.decode()
    assert Refund.objects.get().amount_minor == 700
    entry = AuditEntry.objects.get()
    assert (str(entry.actor), entry.action, entry.target_id) == ("root@example.org", "event.replayed", event.pk)
    assert (entry.before, entry.after) == ({"state": "dead"}, {"state": "applied"})
    assert list(check_books()) == []


def test_a_replay_that_changes_nothing_says_so(root: Client) -> None:
    story = Story(payment_of(pending_donation()))
    settle_events(story.succeeded(), source="webhook")

    page = root.get(replay_url(StripeEvent.objects.get(type="charge.succeeded"))).content.decode()

    assert "Nothing: everything it says is known and booked." in page


def test_a_replay_that_fails_again_says_why_and_changes_nothing_else(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(payment_of(pending_donation()))
    settle_events(story.succeeded(), source="webhook")
    event = StripeEvent.objects.get(type="charge.succeeded")
    StripeEvent.objects.filter(pk=event.pk).update(state="failed")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("still broken")

    monkeypatch.setattr("payments.settlement._settle_and_record", fail)
    answer = root.post(replay_url(event), follow=True)

    assert "It could not be applied: RuntimeError: still broken" in answer.content.decode()
    assert AuditEntry.objects.get().after == {"state": "RuntimeError: still broken"}
    assert StripeEvent.objects.get(pk=event.pk).state == "failed"


def test_an_unknown_event_is_not_found(root: Client) -> None:
    assert root.get("/admin/payments/stripeevent/evt_5Fnone/replay/").status_code == 404
