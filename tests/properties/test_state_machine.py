"""Several gifts of several donors to several campaigns, whatever happens to them in whatever order: after every step
the books are clean, and what donors gave is what campaigns show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from campaigns.models import Campaign
from donations.models import Donation
from donations.tests.factories import CampaignFactory, pending_donation
from payments import ledger, stripe_gateway
from payments.errors import StripeUnavailable
from payments.inbox import Envelope
from payments.models import Payment, StripeEvent, Transfer
from payments.proving import check_books
from payments.settlement import settle_events
from payments.sweeping import sweep
from payments.tests.stripe_objects import Story

ADDRESSES = ["ada@example.org", "grace@example.org", ""]


class Giving(RuleBasedStateMachine):
    """A model beside the books: what of each gift should be with us now, told by what was done to it."""

    pending = Bundle("pending")
    delayed = Bundle("delayed")
    paid = Bundle("paid")

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.events: list[Envelope] = []
        self.net: dict[str, int] = {}
        self.raised: dict[str, int] = {}
        self.left: dict[str, int] = {}
        self.clock = 1000
        self.held: list[Envelope] = []

    @initialize(target=pending)
    def found(self) -> Any:
        self.campaigns: list[Campaign] = [CampaignFactory(), CampaignFactory(currency="eur")]
        return multiple(*(self.given(number % 2, ADDRESSES[number % 3], 2500 + number) for number in range(6)))

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def arrive(self, events: list[Envelope], *, together: bool = False) -> None:
        self.events += events
        batches = [events] if together else [[event] for event in events]
        for batch in batches:
            settle_events(batch, source="webhook")

    def later(self) -> int:
        self.clock += 10
        return self.clock

    # -- rules --------------------------------------------------------------------------------------
    @rule(target=pending, campaign=st.integers(0, 1), email=st.sampled_from(ADDRESSES), amount=st.integers(50, 10_000))
    def give(self, campaign: int, email: str, amount: int) -> Story:
        return self.given(campaign, email, amount)

    def given(self, campaign: int, email: str, amount: int) -> Story:
        story = Story(pending_donation(campaign=self.campaigns[campaign], amount_minor=amount, email=email).payment)
        self.net[story.payment.pk] = 0
        return story

    @rule(story=pending)
    def decline(self, story: Story) -> None:
        self.arrive(story.declined())

    @rule(target=paid, story=consumes(pending), together=st.booleans())
    def pay(self, story: Story, together: bool) -> Story:
        self.arrive(story.succeeded(), together=together)
        return self.is_paid(story)

    @rule(target=delayed, story=consumes(pending))
    def process(self, story: Story) -> Story:
        self.arrive(story.delayed(succeeds=True)[:2])
        return story

    @rule(target=paid, story=consumes(delayed))
    def arrive_late(self, story: Story) -> Story:
        self.arrive(story.delayed(succeeds=True)[2:])
        return self.is_paid(story)

    @rule(story=consumes(delayed))
    def fail_late(self, story: Story) -> None:
        self.arrive(story.delayed(succeeds=False)[2:])

    @rule(story=consumes(pending))
    def expire(self, story: Story) -> None:
        self.arrive(story.expired())

    def is_paid(self, story: Story) -> Story:
        pk, amount = story.payment.pk, story.payment.amount_minor
        self.net[pk] = self.raised[pk] = self.left[pk] = amount
        return story

    @rule(story=paid, share=st.integers(1, 100), fails=st.booleans(), early=st.booleans())
    def refund(self, story: Story, share: int, fails: bool, early: bool) -> None:
        """A refund of a share of what is left (100: all of it); `early` holds its events back for a while."""
        pk = story.payment.pk
        amount = self.left[pk] * share // 100
        if not amount:
            return
        at = self.later()
        in_all = story.payment.amount_minor - self.left[pk] + amount
        name = f"r{at}"
        events = story.refund_failed(name, amount, at=at) if fails else story.refunded(name, amount, at=at, in_all=in_all)
        if not fails:
            self.left[pk] -= amount
            self.net[pk] -= amount
        if early:
            self.held += events
        else:
            self.arrive(events)

    @rule(story=consumes(paid), outcome=st.sampled_from(["won", "lost"]), whole=st.booleans())
    def dispute(self, story: Story, outcome: str, whole: bool) -> None:
        """A dispute, told to its end, or so far that the funds are with the bank."""
        self.arrive(story.disputed(outcome) if whole else story.disputed("lost")[:2])
        self.net[story.payment.pk] -= 0 if whole and outcome == "won" else story.payment.amount_minor

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        """What was held back arrives, in any order."""
        held, self.held = self.held, []
        self.arrive(list(data.draw(st.permutations(held))))

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        for event in data.draw(st.lists(st.sampled_from(self.events), min_size=1, max_size=5)):
            settle_events([event], source="webhook")

    @precondition(lambda self: self.events)
    @rule(minutes=st.sampled_from([1, 20]))
    def sweep_up(self, minutes: int) -> None:
        past = timezone.now() - timedelta(minutes=minutes)
        StripeEvent.objects.update(received_at=past)
        StripeEvent.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=past)
        sweep()

    # -- what must hold -----------------------------------------------------------------------------
    @invariant()
    def books_are_clean(self) -> None:
        assert list(check_books()) == []

    @invariant()
    def everything_that_arrived_was_applied(self) -> None:
        assert set(StripeEvent.objects.values_list("state", flat=True)) <= {"applied"}

    @invariant()
    def campaigns_show_what_was_given_and_kept(self) -> None:
        if self.held:
            return
        net = dict(Payment.objects.filter(pk__in=self.raised).values_list("pk", "amount_minor"))
        assert {pk: p.net_minor for pk, p in Payment.objects.in_bulk(list(self.net)).items()} == self.net
        assert net == self.raised
        for currency in ("usd", "eur"):
            campaigns: Any = Campaign.objects.with_totals().filter(currency=currency)
            shown = sum(c.total_raised_minor - c.total_refunded_minor - c.total_disputed_minor for c in campaigns)
            kept = Donation.objects.filter(currency=currency).values_list("payment", flat=True)
            assert shown == sum(self.net[pk] for pk in kept) == ledger.balance(f"stripe:{currency}")

    @invariant()
    def nothing_is_posted_twice(self) -> None:
        assert Transfer.objects.filter(key__startswith="paid:").count() == len(self.raised)


@pytest.mark.django_db
def test_whatever_happens_the_books_are_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> Any:
        raise StripeUnavailable("The payment service cannot be reached.")

    for name in ("retrieve_session", "retrieve_intent", "retrieve_charge", "create"):
        monkeypatch.setattr(stripe_gateway, name, down)
    # The database is reset inside each example; explaining a failure would trace every line of it.
    profile = settings(
        deadline=None,
        max_examples=20,
        stateful_step_count=25,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    )
    run_state_machine_as_test(Giving, settings=profile)
