"""Every paid invoice is one payment, one purchase and one lot, whatever the order and number of its events."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection  # noqa: F401  skipif's condition names it
from django.utils import timezone

from accounts.tests.factories import UserFactory
from payments import inbox, ledger, stripe_gateway
from payments.inbox import Envelope
from payments.models import Payment, StripeEvent, Transfer
from payments.money import Money
from payments.proving import check_books
from payments.settlement import settle_events, settle_objects
from payments.sweeping import sweep
from pricing.following import learn
from pricing.models import HourLot, HourMovement, PricingPlan, PurchaseTransaction, RenewalFailure, Subscription
from pricing.subscribing import metadata_of
from pricing.tests.factories import make_plan
from pricing.tests.invoice_story import InvoiceStory, pending_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan() -> PricingPlan:
    return make_plan(hundredths=400, days=None, price=Money(5600, "eur"))


def settle(*events: Envelope) -> None:
    for event in events:
        settle_events([event], source="webhook")


def running(plan: PricingPlan) -> Subscription:
    """A subscription whose first month is paid."""
    subscription = pending_subscription(plan, user=UserFactory.create())
    settle(*InvoiceStory(subscription).paid())
    subscription.refresh_from_db()
    return subscription


def end_of(story: InvoiceStory) -> tuple[object, ...]:
    payment = Payment.objects.select_related("purchase__lot").get(invoice=story.invoice_id)
    lot = payment.purchase.lot
    ids = (payment.payment_intent == story.intent_id, payment.charge == story.charge_id)
    when = (payment.period_end, lot.expires_at) == (datetime.fromtimestamp(story.period_end, tz=UTC),) * 2
    paid = payment.paid_at == datetime.fromtimestamp(story.at + 3, tz=UTC)
    return payment.status, payment.purchase.state, ids, when, paid, lot.granted_hundredths, lot.remaining_hundredths


def test_what_is_paid_outside_of_stripe_is_no_money_at_stripe_and_grants_nothing(plan: PricingPlan) -> None:
    story = InvoiceStory(running(plan), month=1)
    by_hand = story.invoice_payment() | {"payment": {"type": "payment_record", "payment_record": "pr_1"}}
    settle(story.event("invoice.paid", story.invoice(), 5), story.event("invoice_payment.paid", by_hand, 5))
    assert Payment.objects.get(invoice=story.invoice_id).status == "open"
    assert (ledger.balance("stripe:eur"), HourLot.objects.count()) == (5600, 1)
    assert list(check_books()) == []


def test_renewal_of_which_only_the_invoice_was_told_is_asked_for_after_a_day(
    plan: PricingPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = InvoiceStory(running(plan), month=1)
    settle(story.event("invoice.paid", story.invoice(), 5))
    whole = story.invoice(payments={"data": [story.invoice_payment()]})
    monkeypatch.setattr(stripe_gateway, "retrieve_invoice", {story.invoice_id: whole}.__getitem__)
    sweep()
    assert Payment.objects.get(invoice=story.invoice_id).status == "open"
    Payment.objects.filter(invoice=story.invoice_id).update(created_at=timezone.now() - timedelta(hours=25))
    sweep()
    payment = Payment.objects.get(invoice=story.invoice_id)
    assert (payment.status, payment.payment_intent) == ("paid", story.intent_id)
    assert (ledger.balance("stripe:eur"), HourLot.objects.count()) == (11_200, 2)


def test_every_order_of_a_renewals_events_ends_in_the_same_rows(plan: PricingPlan) -> None:
    subscription = running(plan)
    ends = set()
    for month, order in enumerate(itertools.permutations(range(5)), start=1):
        story = InvoiceStory(subscription, month=month)
        events = story.paid()
        settle(*(events[index] for index in order), events[order[0]], events[order[2]])
        ends.add(end_of(story))
    assert ends == {("paid", "paid", (True, True), True, True, 400, 400)}
    rows = [model.objects.count() for model in (Payment, PurchaseTransaction, HourLot, HourMovement, Transfer)]
    assert rows == [121] * 5
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied"}
    assert list(check_books()) == []


def test_every_order_of_a_renewals_events_in_one_batch_too(plan: PricingPlan) -> None:
    subscription = running(plan)
    ends = set()
    for month, order in enumerate(itertools.permutations(range(5)), start=1):
        story = InvoiceStory(subscription, month=month)
        events = story.paid()
        settle_events([events[index] for index in order], source="webhook")
        ends.add(end_of(story))
    assert ends == {("paid", "paid", (True, True), True, True, 400, 400)}
    assert not StripeEvent.objects.exclude(state="applied").exists()


@pytest.mark.postgres
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time")
def test_what_somebody_held_while_a_woken_event_taught_its_id_is_woken_after_all(
    plan: PricingPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = InvoiceStory(running(plan), month=1)
    charge, intent, invoice_payment, invoice, _ = story.paid()
    settle(charge, intent, invoice_payment)
    wake, asked = inbox.wake, []

    def held_at_first(learned: Collection[str]) -> list[StripeEvent]:
        asked.append(set(learned))
        return [row for row in wake(learned) if row.type == "invoice_payment.paid" or len(asked) > 2]

    monkeypatch.setattr(inbox, "wake", held_at_first)
    settle(invoice)
    assert asked[2] == {story.intent_id}
    assert end_of(story) == ("paid", "paid", (True, True), True, True, 400, 400)


def test_every_order_of_a_first_invoices_events_ends_in_the_same_rows(plan: PricingPlan) -> None:
    """Although the answer to the call that made the subscription was lost."""
    ends, subscriptions = set(), []
    for order in itertools.permutations(range(5)):
        subscription = pending_subscription(plan, user=UserFactory.create())
        story = InvoiceStory(subscription)
        events = story.paid()
        settle(*(events[index] for index in order), events[order[1]])
        ends.add(end_of(story))
        subscription.refresh_from_db()
        subscriptions.append((subscription.state, subscription.stripe_id == story.subscription_id))
    assert ends == {("paid", "paid", (True, True), True, True, 400, 400)}
    assert set(subscriptions) == {("active", True)}
    assert [model.objects.count() for model in (Payment, PurchaseTransaction, HourLot, Transfer)] == [120] * 4
    assert list(check_books()) == []


def test_a_renewals_events_in_one_batch_are_one_payment(plan: PricingPlan) -> None:
    story = InvoiceStory(running(plan), month=1)
    settle_events([*story.paid(), *story.paid()], source="webhook")
    assert end_of(story)[:2] == ("paid", "paid")
    assert (Payment.objects.count(), HourLot.objects.count()) == (2, 2)


@pytest.mark.parametrize("position", range(6))
def test_a_refund_that_comes_before_its_renewal_waits_for_it(plan: PricingPlan, position: int) -> None:
    story = InvoiceStory(running(plan), month=1)
    events = story.paid()
    settle(*events[:position], story.refunded(1400), *events[position:])
    assert end_of(story) == ("paid", "partially_refunded", (True, True), True, True, 400, 300)
    assert list(check_books()) == []


def test_an_invoice_of_something_else_is_none_of_ours(plan: PricingPlan) -> None:
    story = InvoiceStory(running(plan), month=1)
    story.metadata = {}
    settle(story.event("invoice.paid", story.invoice(), 5))
    assert (Payment.objects.count(), StripeEvent.objects.filter(state="parked").count()) == (1, 0)


@pytest.mark.parametrize("subject", ["subscription_of_another:1", "x", ":", "subscription_x:99999999999999999999"])
def test_an_invoice_that_names_a_subscription_we_do_not_have_makes_nothing(plan: PricingPlan, subject: str) -> None:
    story = InvoiceStory(running(plan), month=1)
    story.metadata = {"purpose": "plan", "subject": subject}
    settle(*story.paid())
    assert (Payment.objects.count(), HourLot.objects.count()) == (1, 1)


def test_an_invoice_whose_intent_is_not_told_is_not_taken_in_as_unmatched_money(plan: PricingPlan) -> None:
    story = InvoiceStory(running(plan), month=1)
    story.metadata = {}
    settle_objects([story.invoice()], take_in_unmatched=True)
    assert Payment.objects.count() == 1
    expanded = {"data": [{"status": "paid", "payment": {"payment_intent": story.intent_id}}]}
    settle_objects([story.invoice(payments=expanded)], take_in_unmatched=True)
    settle_objects([story.intent(), story.charge()], take_in_unmatched=True)
    assert [(p.purpose, p.invoice, p.charge) for p in Payment.objects.exclude(purpose="plan")] == [
        ("unmatched", story.invoice_id, story.charge_id)
    ]
    assert list(check_books()) == []


def test_a_proration_that_is_paid_by_itself_grants_no_hours(plan: PricingPlan) -> None:
    story = InvoiceStory(running(plan), month=1, amount=900)
    line = {"period": {"end": story.period_end}, "parent": {"subscription_item_details": {"proration": True}}}
    invoice = story.invoice(billing_reason="subscription_update", lines={"data": [line]})
    settle(story.event("invoice.paid", invoice, 5), *story.paid()[:3])
    purchase = PurchaseTransaction.objects.latest("created_at")
    assert (purchase.state, purchase.amount_minor, purchase.hours_hundredths) == ("paid", 900, 0)
    assert HourLot.objects.count() == 1
    assert list(check_books()) == []


def test_a_month_paid_by_credit_grants_its_hours_once(plan: PricingPlan) -> None:
    subscription = running(plan)
    story = InvoiceStory(subscription, month=1, amount=0)
    invoice = story.event("invoice.paid", story.invoice(), 5)
    settle(invoice, invoice, story.event("invoice.paid", story.invoice(), 6))
    free = HourLot.objects.get(purchase=None)
    assert (free.student_id, free.granted_hundredths, Payment.objects.count()) == (subscription.user_id, 400, 1)
    assert list(check_books()) == []


def test_a_first_month_paid_by_credit_leaves_no_open_purchase(plan: PricingPlan) -> None:
    story = InvoiceStory(pending_subscription(plan, user=UserFactory.create()), amount=0)
    settle(story.event("invoice.paid", story.invoice(), 5))
    assert (PurchaseTransaction.objects.get().state, HourLot.objects.get().granted_hundredths) == ("abandoned", 400)
    assert list(check_books()) == []


def test_a_renewal_grants_what_was_agreed_however_the_plan_was_changed_since(plan: PricingPlan) -> None:
    subscription = running(plan)
    renewal, free = InvoiceStory(subscription, month=1), InvoiceStory(subscription, month=2, amount=0)
    PricingPlan.objects.update(hours_hundredths=100)
    settle(*renewal.paid(), free.event("invoice.paid", free.invoice(), 5))
    assert list(HourLot.objects.order_by("expires_at").values_list("granted_hundredths", flat=True)) == [400, 400, 400]
    assert PurchaseTransaction.objects.latest("created_at").hours_hundredths == 400
    assert list(check_books()) == []


@pytest.mark.parametrize("hours", ["", ":", ":0", ":x", ":-4", ":٤", ":1000001", ":99999999999999999999", "::400"])
def test_an_invoice_without_agreed_hours_grants_those_of_the_plan(plan: PricingPlan, hours: str) -> None:
    subscription = running(plan)
    story = InvoiceStory(subscription, month=1)
    story.metadata = {**story.metadata, "subject": f"{subscription.pk}:{plan.pk}{hours}"}
    PricingPlan.objects.update(hours_hundredths=700)
    settle(*story.paid())
    assert HourLot.objects.latest("created_at").granted_hundredths == 700


# -- the subscription itself ------------------------------------------------------------------------
def test_the_latest_word_about_a_subscription_counts_in_any_order(plan: PricingPlan) -> None:
    ends = set()
    for order in itertools.permutations(range(4)):
        subscription = running(plan)
        story = InvoiceStory(subscription, month=1)
        events = [
            story.event("customer.subscription.updated", story.subscription("active", cancel_at_period_end=True), 10),
            story.event("customer.subscription.updated", story.subscription("past_due"), 20),
            story.event("customer.subscription.updated", story.subscription("active"), 30),
            story.event("customer.subscription.deleted", story.subscription("canceled", ended_at=story.at + 30), 30),
        ]
        settle(*(events[index] for index in order), events[order[0]])
        subscription.refresh_from_db()
        ends.add((subscription.state, subscription.cancel_at_period_end, subscription.ended_at is not None))
    assert ends == {("canceled", False, True)}


def test_the_beginning_told_late_does_not_undo_what_stripe_answered(plan: PricingPlan) -> None:
    subscription = pending_subscription(plan, user=UserFactory.create())
    story = InvoiceStory(subscription)
    learn(subscription.pk, story.subscription("active"))
    settle(story.event("customer.subscription.created", story.subscription("incomplete"), 1))
    subscription.refresh_from_db()
    assert (subscription.state, subscription.seen_at) == ("active", None)
    settle(story.event("customer.subscription.updated", story.subscription("past_due"), 2))
    subscription.refresh_from_db()
    assert subscription.state == "past_due"


def test_a_subscription_that_is_not_ours_is_left_alone(plan: PricingPlan) -> None:
    story = InvoiceStory(running(plan), month=1)
    before = list(Subscription.objects.values())
    theirs = story.subscription("canceled", id="sub_other", metadata={"subject": "subscription_nobody:1"})
    settle(story.event("customer.subscription.deleted", theirs, 10))
    assert list(Subscription.objects.values()) == before


def test_metadata_cannot_make_two_running_subscriptions_of_one_plan(plan: PricingPlan) -> None:
    subscription = running(plan)
    other = make_plan(hundredths=800, days=None, price=Money(10400, "eur"))
    Subscription.objects.create(user=subscription.user, plan=other, currency="eur", state="active")
    story = InvoiceStory(subscription, month=1)
    story.metadata = {**story.metadata, "subject": f"{subscription.pk}:{other.pk}"}
    settle(story.event("customer.subscription.updated", story.subscription("active"), 10))
    subscription.refresh_from_db()
    assert (subscription.plan, StripeEvent.objects.filter(state="applied").count()) == (plan, 6)


def test_a_failed_renewal_is_written_down_once_for_each_try(plan: PricingPlan) -> None:
    story = InvoiceStory(running(plan), month=1)
    first = story.event("invoice.payment_failed", story.invoice("open"), 5)
    again = story.event("invoice.payment_failed", story.invoice("open"), 6)
    second = story.event("invoice.payment_failed", story.invoice("open", attempt_count=2), 7)
    settle(first, first, again, second)
    assert sorted(RenewalFailure.objects.values_list("invoice", "attempt")) == [(story.invoice_id, 1), (story.invoice_id, 2)]


# -- another plan -----------------------------------------------------------------------------------
def changed(subscription: Subscription, plan: PricingPlan, *, month: int = 0, at: int = 50, price: int = 10400) -> Envelope:
    """What Stripe tells when the subscription is changed to a plan."""
    story = InvoiceStory(subscription, month=month)
    item = {"id": "si_1", "current_period_end": story.period_end, "price": {"unit_amount": price}}
    theirs = story.subscription(
        "active", items={"data": [item]}, metadata=metadata_of(subscription, plan, payment="pay_1"), id=subscription.stripe_id
    )
    return story.event("customer.subscription.updated", theirs, at)


def plans_of(subscription: Subscription) -> tuple[str, str, bool]:
    subscription = Subscription.objects.get(pk=subscription.pk)
    return subscription.plan_now.name, subscription.plan.name, subscription.is_changing


def test_another_plan_begins_when_the_paid_month_ends(plan: PricingPlan) -> None:
    subscription, more = running(plan), make_plan(name="More", hundredths=800, days=None, price=Money(10400, "eur"))
    settle(changed(subscription, more))
    assert plans_of(subscription) == (plan.name, "More", True)
    subscription.refresh_from_db()
    assert (subscription.changes_at, subscription.agreed_hundredths) == (subscription.current_period_end, 800)
    assert subscription.agreed_price == Money(10400, "eur")
    settle(changed(subscription, more, month=1))
    assert plans_of(subscription) == ("More", "More", False)


def test_back_to_the_paid_plan_is_no_change_at_all(plan: PricingPlan) -> None:
    subscription, more = running(plan), make_plan(name="More", hundredths=800, days=None)
    third = make_plan(name="Third", hundredths=100, days=None)
    settle(changed(subscription, more), changed(subscription, third, at=60))
    assert plans_of(subscription) == (plan.name, "Third", True)
    settle(changed(subscription, plan, at=70, price=5600))
    assert plans_of(subscription) == (plan.name, plan.name, False)


def test_a_change_of_which_we_hear_after_its_month_began_is_in_force(plan: PricingPlan) -> None:
    subscription, more = running(plan), make_plan(name="More", hundredths=800, days=None)
    settle(changed(subscription, more, month=1))
    assert plans_of(subscription) == ("More", "More", False)


def test_a_late_invoice_of_the_plan_before_grants_its_hours(plan: PricingPlan) -> None:
    subscription, more = running(plan), make_plan(name="More", hundredths=800, days=None)
    late = InvoiceStory(subscription, month=1)
    settle(changed(subscription, more, month=1))
    settle(*late.paid()[:-1])
    purchase = PurchaseTransaction.objects.latest("created_at")
    assert (purchase.plan, purchase.hours_hundredths) == (plan, 400)
