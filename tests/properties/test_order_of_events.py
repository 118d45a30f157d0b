"""Any permutation, repetition or delay of one payment's events ends in the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.models import TOTALS, Campaign, CampaignTally
from donations.models import Donation, Donor, Supporter
from donations.tests.factories import CampaignFactory, pending_donation
from payments.batch import DISPUTE_COLUMNS, PAYMENT_COLUMNS, REFUND_COLUMNS
from payments.inbox import Envelope
from payments.models import Dispute, Payment, Refund, StripeEvent, Transfer
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from tests.properties.paying import PROFILE

pytestmark = pytest.mark.django_db

STORIES: dict[str, Callable[[Story], list[Envelope]]] = {
    "success": lambda s: s.succeeded(),
    "decline, then success": lambda s: s.declined() + s.succeeded(),
    "partial refunds": lambda s: (
        s.succeeded() + s.refunded("a", 700, at=100, in_all=700) + s.refunded("b", 300, at=200, in_all=1000)
    ),
    "full refund": lambda s: s.succeeded() + s.refunded("a", 2500, at=100, in_all=2500),
    "refund that fails": lambda s: s.succeeded() + s.refund_failed("a", 900, at=100),
    "dispute won": lambda s: s.succeeded() + s.disputed("won"),
    "dispute lost": lambda s: s.succeeded() + s.disputed("lost"),
    "partial refund, then dispute lost": lambda s: s.succeeded() + s.refunded("a", 700, at=100, in_all=700) + s.disputed("lost"),
    "inquiry, then dispute of a part": lambda s: s.succeeded() + s.inquired(1000),
    "delayed success": lambda s: s.delayed(succeeds=True),
    "delayed failure": lambda s: s.delayed(succeeds=False),
    "expiry": lambda s: s.expired(),
}
# What must come of each: payment status, donation state, net in minor units, donations, donors, transfers.
ENDS: dict[str, tuple[str, str, int, int, int, int]] = {
    "success": ("paid", "paid", 2500, 1, 1, 1),
    "decline, then success": ("paid", "paid", 2500, 1, 1, 1),
    "partial refunds": ("paid", "partially_refunded", 1500, 1, 1, 3),
    "full refund": ("paid", "refunded", 0, 0, 0, 2),
    "refund that fails": ("paid", "paid", 2500, 1, 1, 3),
    "dispute won": ("paid", "paid", 2500, 1, 1, 3),
    "dispute lost": ("paid", "disputed", 0, 1, 1, 2),
    "partial refund, then dispute lost": ("paid", "disputed", -700, 1, 1, 3),
    "inquiry, then dispute of a part": ("paid", "disputed", 1500, 1, 1, 2),
    "delayed success": ("paid", "paid", 2500, 1, 1, 1),
    "delayed failure": ("failed", "pending", 0, 0, 0, 0),
    "expiry": ("canceled", "abandoned", 0, 0, 0, 0),
}


def rows(payment_id: str) -> dict[str, Any]:
    """Every row that events may change, without ids of our own and times of writing."""
    tally = CampaignTally.objects.aggregate(**{name: Sum(name, default=0) for name in TOTALS})
    return {
        "payment": list(Payment.objects.values_list(*PAYMENT_COLUMNS)),
        "refunds": sorted(Refund.objects.values_list("amount_minor", *REFUND_COLUMNS), key=str),
        "disputes": sorted(Dispute.objects.values_list("stripe_id", *DISPUTE_COLUMNS), key=str),
        "transfers": sorted(
            (key.replace(payment_id, "pay"), debit, credit, amount, source)
            for key, debit, credit, amount, source in Transfer.objects.values_list(
                "key", "debit", "credit", "amount_minor", "source"
            )
        ),
        "donation": list(Donation.objects.values_list("state", "paid_at", "donor__email", "donor__name")),
        "supporters": list(Supporter.objects.values_list("donor__email", "count", "total_minor")),
        "donors": Donor.objects.count(),
        "tally": tally,
        "last_donation_at": list(CampaignTally.objects.exclude(last_donation_at=None).values_list("last_donation_at", flat=True)),
        "events": sorted(StripeEvent.objects.values_list("id", "state")),
    }


def tell(story: Story, batches: Sequence[Sequence[Envelope]]) -> dict[str, Any]:
    """Apply the batches, look, and undo them."""
    with transaction.atomic():
        for batch in batches:
            unique = list({envelope.id: envelope for envelope in batch}.values())
            settle_events(unique, source="webhook")
        assert list(check_books()) == []
        seen = rows(story.payment.pk)
        transaction.set_rollback(True)
    return seen


@pytest.fixture(params=sorted(STORIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def story(db: None) -> Story:
    return Story(pending_donation(campaign=CampaignFactory()).payment)


def test_story_in_stripes_order_ends_as_it_must(name: str, story: Story) -> None:
    events = STORIES[name](story)
    for event in events:
        settle_events([event], source="webhook")
    payment, donation, campaign = Payment.objects.get(), Donation.objects.get(), Campaign.objects.with_totals().get()
    net = campaign.total_raised_minor - campaign.total_refunded_minor - campaign.total_disputed_minor
    seen = (payment.status, donation.state, net, campaign.total_donations, campaign.total_donors, Transfer.objects.count())
    assert seen == ENDS[name]
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied"}
    assert list(check_books()) == []


@settings(PROFILE, max_examples=25)
@given(data=st.data())
def test_any_order_repetition_and_batching_ends_in_the_same_rows(name: str, story: Story, data: st.DataObject) -> None:
    events = STORIES[name](story)
    expected = tell(story, [[event] for event in events])
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    batches = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    assert tell(story, [batch for batch in batches if batch]) == expected


@settings(PROFILE, max_examples=10)
@given(data=st.data())
def test_any_subset_then_everything_ends_in_the_same_rows(name: str, story: Story, data: st.DataObject) -> None:
    events = STORIES[name](story)
    expected = tell(story, [[event] for event in events])
    early = data.draw(st.lists(st.sampled_from(events), unique_by=lambda e: e.id))
    everything = data.draw(st.permutations(events))
    assert tell(story, [[event] for event in early] + [[event] for event in everything]) == expected
