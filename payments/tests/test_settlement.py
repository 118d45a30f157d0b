"""Facts to status, books and products: whoever comes first wins, nothing is lost and nothing counts twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from campaigns.models import Campaign
from donations.models import Donation, Donor
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments import ledger
from payments.inbox import Envelope
from payments.ledger import Posting, PostingMismatch
from payments.models import Dispute, LedgerAccount, Payment, Refund, StripeEvent, Transfer
from payments.proving import check_books
from payments.settlement import settle_events, settle_objects, settle_stored
from payments.sweeping import apply_stored
from payments.tests.stripe_objects import BORN, Story

pytestmark = pytest.mark.django_db


def settle(*events: Envelope) -> list[str]:
    return [settle_events([event], source="webhook").states[event.id] for event in events]


@pytest.fixture
def story() -> Story:
    return Story(pending_donation().payment)


def net_of(campaign: Campaign) -> tuple[int, int, int]:
    c: Any = Campaign.objects.with_totals().get(pk=campaign.pk)
    return c.total_raised_minor - c.total_refunded_minor - c.total_disputed_minor, c.total_donations, c.total_donors


def test_a_refund_that_comes_first_waits_and_is_booked_once_its_payment_is_paid(story: Story) -> None:
    refund, charge_refunded, _ = story.refunded("a", 700, at=100, in_all=700)
    assert settle(refund) == ["parked"]
    row = StripeEvent.objects.get()
    assert (row.waiting_for, Refund.objects.count(), Transfer.objects.count()) == (story.intent_id, 0, 0)
    assert row.next_attempt_at is not None
    assert settle(*story.succeeded(), charge_refunded) == ["applied"] * 5
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied"}
    assert StripeEvent.objects.filter(waiting_for__isnull=False).count() == 0
    assert (payment_of(Donation.objects.get()).refunded_minor, Transfer.objects.count()) == (700, 2)
    assert list(check_books()) == []


def test_a_dispute_that_comes_first_waits_for_its_payment(story: Story) -> None:
    assert settle(*story.disputed("lost")) == ["parked"] * 4
    assert Dispute.objects.count() == 0
    settle(*story.succeeded())
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.holds_funds, Donation.objects.get().state) == ("lost", True, "disputed")
    assert list(check_books()) == []


def test_a_refund_of_a_known_but_unpaid_payment_waits_for_its_being_paid(story: Story) -> None:
    settle(*story.declined())
    assert settle(story.refunded("a", 700, at=100, in_all=700)[0]) == ["parked"]
    assert StripeEvent.objects.get(state="parked").waiting_for == story.payment.pk
    settle(*story.succeeded())
    assert Refund.objects.get().amount_minor == 700


CONTRADICTIONS = {
    "another session and amount": {"id": "cs_test_attacker", "amount_total": 50},
    "another session": {"id": "cs_test_attacker"},
    "another currency": {"id": "cs_test_attacker", "currency": "eur"},
}


@pytest.mark.parametrize("name", sorted(CONTRADICTIONS))
def test_a_payment_link_that_names_our_payment_as_its_reference_does_not_touch_it(name: str, story: Story) -> None:
    Payment.objects.update(checkout_session=story.session_id)
    theirs = story.session("complete", "paid") | CONTRADICTIONS[name] | {"payment_intent": "pi_attacker", "metadata": {}}
    assert settle(story.event("checkout.session.completed", theirs, 5)) == ["parked"]
    payment = Payment.objects.get()
    assert (payment.status, payment.payment_intent, payment.customer_email) == ("open", None, "")
    assert (Transfer.objects.count(), Donation.objects.get().state) == (0, "pending")
    settle(*story.succeeded())
    assert net_of(Campaign.objects.get()) == (2500, 1, 1)


def test_before_our_session_is_known_a_foreign_amount_is_turned_away_by_itself(story: Story) -> None:
    theirs = story.session("complete", "paid") | {"id": "cs_test_attacker", "amount_total": 50, "metadata": {}}
    assert settle(story.event("checkout.session.completed", theirs, 5)) == ["parked"]
    assert Payment.objects.get().status == "open"


def link_events(campaign: Campaign, amount: int = 1200) -> tuple[Envelope, Envelope]:
    """A payment by a Payment Link whose metadata names a campaign: its session and its charge."""
    metadata = {"purpose": "donation", "subject": campaign.pk}
    story = Story(Payment(id="pay_of_nobody", amount_minor=amount, currency=campaign.currency))
    session = story.session("complete", "paid") | {"client_reference_id": None, "metadata": metadata}
    charge = story.charge() | {"metadata": metadata}
    return story.event("checkout.session.completed", session, 5), story.event("charge.succeeded", charge, 3)


def test_a_payment_link_that_names_a_campaign_becomes_a_gift_to_it() -> None:
    campaign = CampaignFactory()
    completed, charged = link_events(campaign)
    assert settle(completed, charged) == ["applied", "applied"]
    donation = Donation.objects.get()
    assert (donation.campaign_id, donation.amount_minor, donation.state, donation.anonymous) == (campaign.pk, 1200, "paid", True)
    assert net_of(campaign) == (1200, 1, 1)
    assert list(check_books()) == []


def test_a_payment_link_ends_in_the_same_rows_in_whatever_order_its_events_come() -> None:
    first, second = CampaignFactory(), CampaignFactory()
    settle(*link_events(first))
    settle(*reversed(link_events(second)))
    told = Payment.objects.order_by("pk").values_list("via", "customer_email", "customer_name", "paid_at", "status")
    assert told[0] == told[1]
    assert Donor.objects.count() == 1


@pytest.mark.parametrize(
    "metadata",
    [{"purpose": "donation", "subject": "campaign_unknown"}, {"purpose": "nothing", "subject": "x"}, {"purpose": "donation"}, {}],
)
def test_money_whose_metadata_names_nothing_that_exists_waits_for_the_sweep(metadata: dict[str, str]) -> None:
    completed, _ = link_events(CampaignFactory())
    stray = {**completed.event["data"]["object"], "metadata": metadata}
    story = Story(Payment(id="pay_of_nobody", amount_minor=1, currency="usd"))
    assert settle(story.event("checkout.session.completed", stray, 9)) == ["parked"]
    assert (Payment.objects.count(), Donation.objects.count(), Transfer.objects.count()) == (0, 0, 0)


def test_a_gift_in_another_currency_than_the_campaigns_is_not_adopted() -> None:
    campaign = CampaignFactory(currency="eur")
    completed, _ = link_events(campaign)
    story = Story(Payment(id="pay_of_nobody", amount_minor=1, currency="usd"))
    in_dollars = {**completed.event["data"]["object"], "currency": "usd"}
    assert settle(story.event("checkout.session.completed", in_dollars, 9)) == ["parked"]
    assert Donation.objects.count() == 0


def batch_cost(size: int) -> int:
    """Statements for one batch of `size` paid gifts of as many donors."""
    campaign = CampaignFactory()
    events = []
    for number in range(size):
        story = Story(pending_donation(campaign=campaign, email=f"donor{campaign.pk[-5:]}{number}@example.org").payment)
        events.append(story.event("checkout.session.completed", story.session("complete", "paid"), 5))
    with CaptureQueriesContext(connection) as context:
        settled = settle_events(events, source="pull")
    assert (len(settled.changed), set(settled.states.values())) == (size, {"applied"})
    assert net_of(campaign) == (2500 * size, size, size)
    return len(context.captured_queries)


def test_a_batch_of_a_hundred_gifts_costs_hardly_more_statements_than_one_of_ten() -> None:
    ten, hundred = batch_cost(10), batch_cost(100)
    assert hundred - ten <= 12, f"{ten} statements for ten gifts, {hundred} for a hundred"
    assert list(check_books()) == []


def test_in_a_batch_of_stored_events_a_poisonous_one_fails_alone() -> None:
    stories = [Story(pending_donation().payment) for _ in range(3)]
    good = [s.event("checkout.session.completed", s.session("complete", "paid"), 5) for s in stories]
    settle(*stories[0].succeeded()[:1])
    bad = stories[0].event("refund.created", stories[0].refund("x", 100, "pending", at=9) | {"currency": "eur"}, 9)
    for event in (*good, bad):
        StripeEvent.objects.create(
            id=event.id, type=event.type, object_id=event.object_id, livemode=False, created_at=event.created_at,
            source="pull", payload=event.payload, state="received", next_attempt_at=timezone.now(),
        )  # fmt: skip
    assert apply_stored([event.id for event in (*good, bad)]) == 3
    assert set(StripeEvent.objects.filter(pk__in=[e.id for e in good]).values_list("state", flat=True)) == {"applied"}
    row = StripeEvent.objects.get(pk=bad.id)
    assert (row.state, row.attempts, row.deliveries) == ("failed", 1, 1)
    assert row.last_error == f"ValueError: re_{stories[0].number}_x is in eur, but its payment {stories[0].payment.pk} is in usd"
    assert Refund.objects.count() == 0
    assert list(check_books()) == []


def test_a_stored_event_that_was_applied_is_left_alone(story: Story) -> None:
    events = story.succeeded()
    settle(*events)
    assert settle_stored([event.id for event in events]).states == {}
    assert Transfer.objects.count() == 1


def test_fetched_objects_settle_as_events_do_and_a_second_time_change_nothing(story: Story) -> None:
    assert settle_objects([story.session("complete", "paid")]).changed == [story.payment.pk]
    assert settle_objects([story.session("complete", "paid")]).changed == []
    assert settle(*story.succeeded()) == ["applied"] * 4
    assert (StripeEvent.objects.count(), Transfer.objects.count(), DBTaskResult.objects.count()) == (4, 1, 1)
    assert payment_of(Donation.objects.get()).paid_at.timestamp() == BORN  # type: ignore[union-attr]


def posting(**fields: Any) -> Posting:
    at = timezone.now()
    base = Posting(key="k", debit="stripe:usd", credit="unmatched:usd", amount_minor=100, currency="usd", occurred_at=at)
    return replace(base, **fields)


def test_posting_twice_changes_nothing_and_posting_otherwise_is_an_error_that_names_both() -> None:
    ledger.open_accounts(["stripe:usd", "unmatched:usd", "bank:usd", "stripe:eur", "unmatched:eur"])
    assert ledger.post([posting()]) == ["k"]
    assert ledger.post([posting(occurred_at=timezone.now() + timedelta(days=1), memo="again")]) == []
    with pytest.raises(PostingMismatch, match="k was posted as 100 usd from unmatched:usd to stripe:usd, and now as 101 usd"):
        ledger.post([posting(amount_minor=101)])
    with pytest.raises(PostingMismatch, match="to bank:usd"):
        ledger.post([posting(debit="bank:usd")])
    with pytest.raises(PostingMismatch, match="now as 100 eur from unmatched:eur"):
        ledger.post([posting(debit="stripe:eur", credit="unmatched:eur", currency="eur")])
    assert Transfer.objects.values_list("amount_minor", "memo").get() == (100, "")
    assert ledger.balances(["stripe:usd", "unmatched:usd", "bank:usd", "none:usd"]) == {
        "stripe:usd": 100, "unmatched:usd": 100, "bank:usd": 0,
    }  # fmt: skip


def test_a_mistake_is_corrected_by_its_opposite_and_the_books_keep_both() -> None:
    ledger.open_accounts(["stripe:usd", "unmatched:usd"])
    ledger.post([posting()])
    assert ledger.reverse(Transfer.objects.get(), key="k:undone", memo="wrong account") == ["k:undone"]
    assert (ledger.balance("stripe:usd"), Transfer.objects.count(), LedgerAccount.objects.count()) == (0, 2, 2)
