"""Money that came past us is given to a campaign once, with all that was refunded before and will be after."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django_tasks_db.models import DBTaskResult

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.tests.factories import UserFactory
from campaigns.models import Campaign
from campaigns.tallying import prove
from conventions.errors import InvalidInput
from donations.models import Donation, Supporter
from donations.tests.factories import CampaignFactory, pending_donation
from payments import ledger
from payments.assigning import assign
from payments.errors import NotAssignable, OtherCurrency
from payments.inbox import Envelope
from payments.models import Payment, StripeEvent, Transfer
from payments.proving import check_books
from payments.settlement import settle_events, settle_stored
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk() -> User:
    return UserFactory.create(email="clerk@example.org", is_staff=True)


@pytest.fixture
def campaign() -> Campaign:
    return CampaignFactory(title="Wells")


def came_past_us(amount_minor: int = 2500, currency: str = "usd") -> Story:
    """Paid through a link that names nothing, and taken in as unmatched."""
    stranger = Payment(purpose="unmatched", amount_minor=amount_minor, currency=currency, livemode=False)
    story = Story(stranger)
    story.metadata = {}
    settle_events(story.succeeded(), source="webhook")
    settle_stored(StripeEvent.objects.values_list("pk", flat=True), take_in_unmatched=True)
    story.payment = Payment.objects.get(payment_intent=story.intent_id)
    return story


def give(story: Story, campaign: Campaign, clerk: User, reason: str = "The donor wrote to us.") -> Payment:
    return assign(payment_id=story.payment.pk, purpose="donation", subject_id=campaign.pk, actor=clerk, reason=reason)


def settle(events: list[Envelope]) -> None:
    for event in events:
        settle_events([event], source="webhook")


def totals(campaign: Campaign) -> tuple[int, int, int, int, int]:
    c: Any = Campaign.objects.with_totals().get(pk=campaign.pk)
    return (
        c.total_raised_minor,
        c.total_refunded_minor,
        c.total_disputed_minor,
        c.total_donations,
        c.total_donors,
    )


def booked(*campaigns: Campaign) -> tuple[int, ...]:
    """The unmatched account and those of the campaigns."""
    return tuple(ledger.balance(code) for code in ("unmatched:usd", *(campaign.account for campaign in campaigns)))


def test_the_money_moves_and_becomes_a_gift_with_its_donor(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()
    assert booked(campaign) == (2500, 0)

    payment = give(story, campaign, clerk)

    assert booked(campaign) == (0, 2500)
    assert totals(campaign) == (2500, 0, 0, 1, 1)
    donation = Donation.objects.get()
    assert (donation.state, donation.paid_at, donation.anonymous) == ("paid", payment.paid_at, True)
    assert str(donation.donor) == "Ada Lovelace"
    assert (payment.purpose, payment.subject_id, payment.assigned_to) == ("donation", donation.pk, campaign.pk)
    assert sorted(Transfer.objects.values_list("key", "source", "debit", "credit")) == [
        (f"assigned:paid:{payment.pk}", None, "unmatched:usd", campaign.account),
        (f"paid:{payment.pk}", story.intent_id, "stripe:usd", "unmatched:usd"),
    ]
    assert [task.args_kwargs["args"] for task in DBTaskResult.objects.all()] == [[[donation.pk]]]
    assert list(check_books()) == []


def test_it_leaves_a_line_that_says_who_and_why(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()

    payment = give(story, campaign, clerk, reason=" The donor wrote to us. ")

    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target_id, entry.reason) == (
        clerk,
        "payment.assigned",
        payment.pk,
        "The donor wrote to us.",
    )
    assert entry.before == {"purpose": "unmatched", "subject": "", "destination": "unmatched:usd"}
    assert entry.after == {"purpose": "donation", "subject": payment.subject_id, "destination": campaign.account}


def test_doing_it_twice_changes_nothing(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()
    give(story, campaign, clerk)
    before = [list(model.objects.order_by("pk").values()) for model in (Payment, Transfer, Donation, Supporter, AuditEntry)]

    give(story, campaign, clerk)

    after = [list(model.objects.order_by("pk").values()) for model in (Payment, Transfer, Donation, Supporter, AuditEntry)]
    assert after == before
    assert totals(campaign) == (2500, 0, 0, 1, 1)


def test_what_was_assigned_is_not_assigned_elsewhere(clerk: User, campaign: Campaign) -> None:
    story, other = came_past_us(), CampaignFactory()
    payment = give(story, campaign, clerk)

    with pytest.raises(NotAssignable, match=f"belongs to donation {payment.subject_id} already"):
        give(story, other, clerk)

    assert booked(campaign, other) == (0, 2500, 0)
    assert AuditEntry.objects.count() == 1


def test_a_gift_of_our_own_is_not_assigned(clerk: User, campaign: Campaign) -> None:
    donation = pending_donation()
    story = Story(donation.payment)
    settle(story.succeeded())

    with pytest.raises(NotAssignable, match="already; nothing was changed"):
        give(story, campaign, clerk)

    assert totals(campaign) == (0, 0, 0, 0, 0)


def test_another_currency_is_refused_by_name(clerk: User) -> None:
    story, euros = came_past_us(), CampaignFactory(title="Night school", currency="eur")

    with pytest.raises(OtherCurrency, match="“Night school” collects EUR; a payment in USD cannot be added"):
        give(story, euros, clerk)

    assert_untouched(story)


@pytest.mark.parametrize("subject", ["campaign_01jq00000000000000000000zz", "", "donation", "%"])
def test_a_campaign_that_is_not_there_is_refused(clerk: User, campaign: Campaign, subject: str) -> None:
    story = came_past_us()

    with pytest.raises(InvalidInput, match="There is no donation subject"):
        assign(payment_id=story.payment.pk, purpose="donation", subject_id=subject, actor=clerk, reason="why not")

    assert_untouched(story)


def test_a_purpose_that_is_not_there_is_refused(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()

    with pytest.raises(InvalidInput, match="There is no raffle subject"):
        assign(payment_id=story.payment.pk, purpose="raffle", subject_id=campaign.pk, actor=clerk, reason="why not")

    assert_untouched(story)


def test_a_reason_must_be_given(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()

    with pytest.raises(InvalidInput, match="Say why"):
        give(story, campaign, clerk, reason="  ")

    assert_untouched(story)


def test_what_was_refunded_whole_is_not_assigned(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()
    settle(story.refunded("a", 2500, at=100, in_all=2500))

    with pytest.raises(NotAssignable, match="Nothing of this payment is left"):
        give(story, campaign, clerk)

    assert not Donation.objects.exists()


def assert_untouched(story: Story) -> None:
    assert Payment.objects.get().purpose == "unmatched"
    assert [transfer.key for transfer in Transfer.objects.all()] == [f"paid:{story.payment.pk}"]
    assert not Donation.objects.exists()
    assert not AuditEntry.objects.exists()


def test_nothing_is_assigned_when_it_cannot_be_recorded(clerk: User, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    story = came_past_us()

    def fail(**fields: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(audit, "record", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        give(story, campaign, clerk)

    assert_untouched(story)
    assert totals(campaign) == (0, 0, 0, 0, 0)


def test_a_refund_before_is_moved_along(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()
    settle(story.refunded("a", 700, at=100, in_all=700))

    give(story, campaign, clerk)

    assert booked(campaign) == (0, 1800)
    assert totals(campaign) == (2500, 700, 0, 1, 1)
    proof = prove(campaign)
    assert (proof.gross_minor, proof.refunds_minor, proof.disputes_minor) == (2500, 700, 0)
    assert Donation.objects.get().state == "partially_refunded"
    assert list(check_books()) == []


def test_a_refund_after_draws_from_the_campaign(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()
    give(story, campaign, clerk)

    settle(story.refunded("a", 700, at=100, in_all=700))

    assert booked(campaign) == (0, 1800)
    assert totals(campaign) == (2500, 700, 0, 1, 1)
    passed_on = Transfer.objects.get(key=f"assigned:refund:re_{story.number}_a")
    assert (passed_on.debit_id, passed_on.credit_id, passed_on.amount_minor) == (campaign.account, "unmatched:usd", 700)
    assert list(check_books()) == []


def test_a_refund_of_all_after_leaves_no_gift(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()
    give(story, campaign, clerk)

    settle(story.refunded("a", 2500, at=100, in_all=2500))

    assert booked(campaign) == (0, 0)
    assert totals(campaign) == (2500, 2500, 0, 0, 0)
    assert list(check_books()) == []


def test_a_dispute_after_draws_from_the_campaign_and_is_proved(clerk: User, campaign: Campaign) -> None:
    story = came_past_us()
    give(story, campaign, clerk)

    settle(story.disputed("lost"))

    assert booked(campaign) == (0, 0)
    assert totals(campaign) == (2500, 0, 2500, 1, 1)
    assert prove(campaign).disputes_minor == 2500
    assert list(check_books()) == []


LATER: dict[str, Callable[[Story], list[Envelope]]] = {
    "two refunds": lambda s: s.refunded("a", 700, at=100, in_all=700) + s.refunded("b", 300, at=200, in_all=1000),
    "a refund that fails": lambda s: s.refund_failed("a", 900, at=100),
    "a refund and one that fails": lambda s: s.refunded("a", 700, at=100, in_all=700) + s.refund_failed("b", 900, at=200),
}


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("seed", range(6))
def test_whenever_it_is_assigned_the_rows_end_alike(name: str, seed: int, clerk: User, campaign: Campaign) -> None:
    """The events of a payment, shuffled, with the assignment at every place among them."""
    story = came_past_us()
    events = LATER[name](story)
    random.Random(seed).shuffle(events)
    ends = []
    for place in range(len(events) + 1):
        with transaction.atomic():
            settle(events[:place])
            give(story, campaign, clerk)
            settle(events[place:])
            assert list(check_books()) == []
            ends.append((sorted(Transfer.objects.values_list("key", "debit", "credit", "amount_minor")), totals(campaign)))
            transaction.set_rollback(True)
    assert ends == [ends[0]] * (len(events) + 1)


@pytest.mark.postgres
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="real row locks")
@pytest.mark.django_db(transaction=True)
def test_two_at_once_and_a_refund_between_them_end_as_one(clerk: User, campaign: Campaign) -> None:
    story, other = came_past_us(), CampaignFactory(title="Boats")
    refund = story.refunded("a", 700, at=100, in_all=700)
    start = threading.Barrier(3)
    refused: list[Exception] = []

    def run(act: Callable[[], object]) -> None:
        start.wait()
        try:
            act()
        except NotAssignable as error:
            refused.append(error)
        finally:
            connection.close()

    acts: list[Callable[[], object]] = [
        lambda: give(story, campaign, clerk),
        lambda: give(story, other, clerk),
        lambda: settle(refund),
    ]
    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert sorted(booked(campaign, other)) == [0, 0, 1800]
    assert AuditEntry.objects.count() == 1
    assert list(check_books()) == []
