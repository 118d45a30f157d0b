"""A payment's page tells its story, and nothing in the back office of payments can be written by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD
from conventions.admin_showing import change_url, list_url
from donations.receipts import send_receipt
from donations.tests.factories import payment_of, pending_donation
from payments.models import Dispute, LedgerAccount, Payment, Refund, StripeCall, StripeEvent, Transfer
from payments.refunds import request_refund
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db

READ_ONLY = [Payment, Refund, Dispute, Transfer, LedgerAccount, StripeEvent, StripeCall]


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


@pytest.fixture
def story() -> Story:
    """A gift of $25.00 that was paid."""
    told = Story(payment_of(pending_donation(amount_minor=2500)))
    settle_events(told.succeeded(), source="webhook")
    return told


def test_the_page_tells_the_story_in_order_of_time(root: Client, story: Story) -> None:
    settle_events(story.refunded("a", 500, at=60, in_all=500), source="webhook")
    settle_events(story.refund_failed("b", 300, at=120), source="webhook")
    settle_events(story.disputed("won"), source="webhook")

    answer = root.get(change_url(Payment, story.payment.pk))

    assert [step.what for _, step in answer.context["steps"] if step.kind == "fact" and step.what != "Started"] == [
        "Paid",
        "Refund made",
        "Refund succeeded",
        "Refund made",
        "Refund failed",
        "Dispute opened",
        "Dispute: funds withdrawn",
        "Dispute: funds reinstated",
        "Dispute closed",
    ]
    titles = {table.title: len(table.rows) for table in answer.context["tables"]}
    assert titles == {
        "Refunds": 2,
        "Disputes": 1,
        "Transfers in the books": 6,
        "Calls to Stripe": 0,
        "Events from Stripe": 16,
    }
    shown = answer.context["story"]
    assert (shown.amount, shown.refunded, shown.disputed, shown.net) == ("$25.00", "$5.00", "$0.00", "$20.00")


def test_one_timeline_holds_facts_events_bookings_mails_and_acts(root: Client) -> None:
    donation = pending_donation(amount_minor=2500)
    told = Story(payment_of(donation))
    settle_events(told.succeeded(), source="webhook")
    send_receipt(donation.pk)
    request_refund(payment_id=told.payment.pk, amount_minor=100, note="asked us", requested_by=User.objects.get())

    steps = [step for _, step in root.get(change_url(Payment, told.payment.pk)).context["steps"]]

    assert [step.what for step in steps if step.kind == "event"] == [
        "Event charge.succeeded",
        "Event payment_intent.succeeded",
        "Event checkout.session.completed",
        "Event charge.updated",
    ]
    assert [(step.what, step.detail) for step in steps if step.kind == "booking"] == [
        ("Booked: paid", f"$25.00, debit stripe:usd, credit {told.payment.destination_id}")
    ]
    assert [(step.what, step.tone) for step in steps if step.kind == "mail"] == [("Receipt mailed", "good")]
    assert [(step.what, step.detail) for step in steps if step.kind == "act"] == [
        ("Staff: Refund requested", "by root@example.org: asked us")
    ]
    assert [step.at.replace(microsecond=0) for step in steps] == sorted(step.at.replace(microsecond=0) for step in steps)


def test_a_receipt_that_could_not_be_mailed_is_told_as_such(root: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "nowhere.Backend"
    donation = pending_donation()
    settle_events(Story(payment_of(donation)).succeeded(), source="webhook")
    send_receipt(donation.pk)

    steps = [step for _, step in root.get(change_url(Payment, donation.payment_id)).context["steps"]]

    [mail] = [step for step in steps if step.kind == "mail"]
    assert (mail.what, mail.tone) == ("Receipt not mailed", "bad")
    assert "No module named" in mail.detail


def test_the_page_links_to_every_row_behind_it(root: Client, story: Story) -> None:
    settle_events(story.refunded("a", 500, at=60, in_all=500), source="webhook")
    settle_events(story.disputed("won"), source="webhook")

    page = root.get(change_url(Payment, story.payment.pk)).content.decode()

    rows = [*Refund.objects.all(), *Dispute.objects.all(), *Transfer.objects.all(), *StripeEvent.objects.all()]
    assert len(rows) == 18
    assert [row.pk for row in rows if f'href="{change_url(type(row), row.pk)}"' not in page] == []
    assert [row.pk for row in rows if root.get(change_url(type(row), row.pk)).status_code != 200] == []


def test_a_long_story_is_bounded_and_says_where_the_rest_is(root: Client, story: Story) -> None:
    updates = [story.event("charge.updated", story.charge(), 1000 + n, previous={}) for n in range(60)]
    settle_events(updates, source="webhook")

    answer = root.get(change_url(Payment, story.payment.pk))

    events = answer.context["tables"][-1]
    assert len(events.rows) == 50
    assert events.rest_url == list_url(StripeEvent, q=story.payment.pk)
    assert len(root.get(f"{events.rest_url}&p=2").context["cl"].result_list) == 14


def states_of(root: Client, story: Story) -> list[str]:
    page = root.get(change_url(Payment, story.payment.pk)).content.decode()
    [shown] = re.findall(r"<dt>Status</dt><dd>(.*?)</dd>", page)
    return re.findall(r'class="pill pill-(\w+)">', shown)


def test_beside_the_status_stands_what_has_become_of_the_money(root: Client, story: Story) -> None:
    assert states_of(root, story) == ["paid"]

    settle_events(story.refunded("a", 500, at=60, in_all=500), source="webhook")
    assert states_of(root, story) == ["paid", "partially_refunded"]

    *opened, closed, reinstated = story.disputed("won")
    settle_events(opened, source="webhook")
    assert states_of(root, story) == ["paid", "disputed"]

    settle_events([closed, reinstated], source="webhook")
    assert states_of(root, story) == ["paid", "partially_refunded"]

    settle_events(story.refunded("b", 2000, at=500, in_all=2500), source="webhook")
    assert states_of(root, story) == ["paid", "refunded"]


def test_a_payment_that_was_never_paid_shows_its_status_alone(root: Client) -> None:
    told = Story(payment_of(pending_donation()))
    assert states_of(root, told) == ["open"]


@pytest.mark.parametrize("model", READ_ONLY)
def test_nobody_adds_changes_or_deletes(root: Client, story: Story, model: Any) -> None:
    request_refund(payment_id=story.payment.pk, amount_minor=100, requested_by=None)
    settle_events(story.disputed("won"), source="webhook")
    row = model.objects.order_by("pk").first()
    before = model.objects.order_by("pk").values()[0]
    changes = {"amount_minor": "1", "status": "open", "refunded_minor": "2", "state": "dead", "kind": "income", "memo": "x"}

    url = change_url(model, row.pk)
    answers = [
        root.get(list_url(model) + "add/"),
        root.post(list_url(model) + "add/", changes),
        root.post(url, changes),
        root.post(url.replace("/change/", "/delete/"), {"post": "yes"}),
    ]
    action = root.post(list_url(model), {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    assert action.status_code in {200, 302, 403}
    assert model.objects.order_by("pk").values()[0] == before


def test_an_account_shows_its_balance_and_leads_to_its_transfers(root: Client, story: Story) -> None:
    settle_events(story.refunded("a", 500, at=60, in_all=500), source="webhook")
    code = story.payment.destination_id

    page = root.get(change_url(LedgerAccount, code)).content.decode()
    both = root.get(list_url(Transfer, account=code)).context["cl"].result_list
    debits = root.get(list_url(Transfer, debit__code=code)).context["cl"].result_list
    none = root.get(list_url(Transfer, account="campaign:none:usd")).context["cl"].result_list

    assert '<div class="readonly">$20.00</div>' in page
    assert list_url(Transfer, account=code) in page
    assert sorted(t.key for t in both) == sorted([f"paid:{story.payment.pk}", f"refund:re_{story.number}_a"])
    assert [t.key for t in debits] == [f"refund:re_{story.number}_a"]
    assert list(none) == []


def test_an_event_shows_its_payload_and_its_payment(root: Client, story: Story) -> None:
    event = StripeEvent.objects.get(type="charge.succeeded")

    page = root.get(change_url(StripeEvent, event.pk)).content.decode()

    assert "  &quot;object&quot;: &quot;event&quot;,\n" in page
    assert f'href="{change_url(Payment, story.payment.pk)}"' in page


def test_a_huge_payload_is_cut(root: Client, story: Story) -> None:
    event = StripeEvent.objects.get(type="charge.succeeded")
    StripeEvent.objects.filter(pk=event.pk).update(payload='"' + "x" * 200_000 + '"')

    page = root.get(change_url(StripeEvent, event.pk)).content.decode()

    assert "… and 160,002 characters more" in page
    assert len(page) < 100_000
