"""Many at once, on real row locks: each thing happens once, and nobody waits for ever."""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from campaigns.models import CampaignTally
from donations.models import Donation, Donor, Receipt, Supporter
from donations.sessions import session_status
from donations.tests.factories import CampaignFactory, pending_donation
from payments import ledger, refunds, sweeping
from payments.errors import RefundTooLarge, StripeRefused
from payments.inbox import Envelope
from payments.ledger import Posting
from payments.models import LedgerAccount, Payment, Refund, StripeCall, StripeEvent, Transfer
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from tests.faults.conftest import WEBHOOK, latest_event, signed
from tests.faults.gifts import paid_at_stripe, settled
from tests.live import Sandbox
from tests.working import run_worker

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs real row locks: SQLite has one writer at a time"),
    pytest.mark.xdist_group("faults-races"),
]
RACE_S = float(os.environ.get("FAULTS_RACE_S", "5"))
Act = Callable[[], Any]


def at_once(acts: Sequence[Act], *, threads: int) -> list[Any]:
    """Do all acts on so many threads, the first ones at the same moment; what each returned."""
    barrier = Barrier(threads)
    numbers = itertools.count()

    def one(act: Act) -> Any:
        if next(numbers) < threads:
            barrier.wait(timeout=20)
        try:
            return act()
        finally:
            connection.close()

    seen = [copy_context() for _ in acts]  # a new thread would see no tenant's rows (conventions/tenancy.py)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda context, act: context.run(one, act), seen, acts))


def deliver(body: bytes) -> int:
    headers = {"Stripe-Signature": signed(body)}
    answer = Client().generic("POST", WEBHOOK, body, content_type="application/json", headers=headers)
    return answer.status_code


def of_type(events: Sequence[Envelope], kind: str) -> bytes:
    return next(event.payload.encode() for event in events if event.type == kind)


def tally(campaign: str) -> tuple[int, int, int, int, int]:
    slots = CampaignTally.objects.filter(campaign=campaign)
    totals = [(s.raised_minor, s.refunded_minor, s.disputed_minor, s.donations, s.donors) for s in slots]
    return tuple(sum(column) for column in zip(*totals, strict=True))


@dataclass(frozen=True)
class Case:
    """An event that comes often: what was settled before, what the books say after."""

    before: Callable[[Story], list[Envelope]]
    body: Callable[[Story], bytes]
    transfers: int
    totals: tuple[int, int, int, int, int]


def nothing(story: Story) -> list[Envelope]:
    return []


CASES = {
    "payment": Case(nothing, lambda s: of_type(s.succeeded(), "checkout.session.completed"), 1, (2500, 0, 0, 1, 1)),
    "refund": Case(
        Story.succeeded,
        lambda s: of_type(s.refunded("a", 700, at=100, in_all=700), "refund.created"),
        2,
        (2500, 700, 0, 1, 1),
    ),
    "dispute": Case(
        Story.succeeded, lambda s: of_type(s.disputed("lost"), "charge.dispute.funds_withdrawn"), 2, (2500, 0, 2500, 1, 1)
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_one_event_fifty_times_on_sixteen_threads_counts_once(case: Case) -> None:
    donation = pending_donation(campaign=CampaignFactory())
    story = Story(donation.payment)
    settle_events(case.before(story), source="webhook")
    before = list(StripeEvent.objects.values_list("pk", flat=True))
    body = case.body(story)

    assert Counter(at_once([lambda: deliver(body)] * 50, threads=16)) == {200: 50}

    run_worker()
    (event,) = StripeEvent.objects.exclude(pk__in=before)
    assert (event.state, event.deliveries, event.attempts) == ("applied", 50, 0)
    assert Transfer.objects.count() == case.transfers
    assert tally(donation.campaign_id) == case.totals
    assert (Donor.objects.count(), Supporter.objects.count(), Receipt.objects.count(), len(mail.outbox)) == (1, 1, 1, 1)
    assert list(check_books()) == []


def test_webhooks_success_page_and_sweep_at_once_settle_a_payment_once(
    undelivered: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STRIPE_API_BASE = undelivered.url
    monkeypatch.setattr(sweeping, "SESSION_LIVES", timedelta(0))
    gifts = 8
    for _ in range(gifts):
        given = paid_at_stripe(undelivered)
        kinds = ("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded", "charge.updated")
        bodies = [latest_event(undelivered, kind) for kind in kinds]
        webhooks = [lambda body=body: deliver(body) for body in bodies * 2]
        pages = [lambda session=given.session: session_status(session, user=None)["payment_status"]] * 4
        answers = at_once([*webhooks, *pages, *[sweeping.sweep] * 2], threads=14)
        assert answers[:12] == [200] * 8 + ["completed"] * 4
        assert [swept["failed"] for swept in answers[12:]] == [0, 0]
        run_worker()
        assert given.books() == ("paid", ["paid"], {"raised_minor": 2500, "donations": 1, "donors": 1})
        assert Receipt.objects.filter(donation=given.donation, attempts=1).count() == 1
    assert (Payment.objects.count(), Transfer.objects.count(), Donor.objects.count()) == (gifts, gifts, 1)
    assert len([sent for sent in mail.outbox if sent.subject.startswith("Your gift")]) == gifts
    assert set(StripeEvent.objects.values_list("state", "deliveries")) == {("applied", 2)}
    assert list(check_books()) == []


def test_two_refunds_at_once_that_exceed_what_is_left_are_one_refund(undelivered: Sandbox, settings: Any) -> None:
    settings.STRIPE_API_BASE = undelivered.url
    for _ in range(6):
        given = settled(undelivered)

        def refund(payment: str = given.payment) -> str:
            try:
                written = refunds.request_refund(payment_id=payment, amount_minor=1500, requested_by=None)
            except RefundTooLarge:
                return "too large"
            return refunds.send_refund(written).status

        assert sorted(at_once([refund, refund], threads=2)) == ["succeeded", "too large"]
        assert given.books()[1:] == (
            ["paid", "refund"],
            {"raised_minor": 2500, "refunded_minor": 1500, "donations": 1, "donors": 1},
        )
    made = undelivered.objects("refund")
    assert [refund["amount"] for refund in made] == [1500] * 6
    assert Refund.objects.count() == StripeCall.objects.filter(operation="refunds.create").count() == 6
    assert list(check_books()) == []


def test_a_refund_of_ours_and_one_in_the_dashboard_at_once_never_exceed_the_payment(undelivered: Sandbox, settings: Any) -> None:
    """Stripe refuses whichever comes second; ours is then canceled, and the books say what Stripe says."""
    settings.STRIPE_API_BASE = undelivered.url
    for _ in range(6):
        given = settled(undelivered)

        def ours(payment: str = given.payment) -> None:
            with suppress(StripeRefused, RefundTooLarge):  # by Stripe, or by us where the other's event was quicker still
                refunds.send_refund(refunds.request_refund(payment_id=payment, amount_minor=1500, requested_by=None))

        def theirs(intent: str = given.intent) -> None:
            undelivered.http.post(
                f"{undelivered.url}/_sandbox/refunds", json={"payment_intent": intent, "amount": 1500}, timeout=20
            )
            deliver(latest_event(undelivered, "refund.created"))

        at_once([ours, theirs], threads=2)
        deliver(latest_event(undelivered, "refund.created"))
        assert given.books()[1] == ["paid", "refund"]
        assert Payment.objects.get(pk=given.payment).refunded_minor == 1500
    assert [refund["amount"] for refund in undelivered.objects("refund")] == [1500] * 6
    assert list(check_books()) == []


def test_opposite_transfers_between_two_floored_accounts_never_deadlock() -> None:
    """For FAULTS_RACE_S seconds (5), on eight threads; a minute was run once, see docs/reliability.md."""
    start_minor, threads = 1_000_000, 8
    ledger.open_accounts(["stripe:usd"])
    jars = [LedgerAccount(code=f"jar:{name}:usd", kind="liability", currency="usd", floored=True) for name in "ab"]
    LedgerAccount.objects.bulk_create(jars)
    codes = [jar.code for jar in jars]
    ledger.post([posting(f"start:{code}", "stripe:usd", code, start_minor) for code in codes])
    until = time.monotonic() + RACE_S

    def move(number: int) -> int:
        dice, done = random.Random(number), 0
        while time.monotonic() < until:
            debit, credit = codes if (number + done) % 2 else codes[::-1]
            with transaction.atomic():
                ledger.post([posting(f"move:{number}:{done}", debit, credit, dice.randint(1, 99))])
            done += 1
        return done

    done = at_once([lambda number=number: move(number) for number in range(threads)], threads=threads)
    sys.stdout.write(f"{sum(done)} opposite transfers in {RACE_S:.0f} s\n")
    assert min(done) > 0
    assert Transfer.objects.count() == sum(done) + 2
    balances = ledger.balances(codes)
    assert sum(balances.values()) == 2 * start_minor
    assert {account.code: account.balance_minor for account in LedgerAccount.objects.filter(floored=True)} == balances
    assert list(check_books()) == []


def posting(key: str, debit: str, credit: str, amount_minor: int) -> Posting:
    return Posting(key=key, debit=debit, credit=credit, amount_minor=amount_minor, currency="usd", occurred_at=timezone.now())


def test_gifts_to_one_campaign_by_sixteen_threads_all_count() -> None:
    """One hot campaign and one generous donor: every gift raises the same tally and the same supporter."""
    campaign = CampaignFactory()
    stories = [Story(pending_donation(campaign=campaign).payment) for _ in range(48)]
    bodies = [of_type(story.succeeded(), "checkout.session.completed") for story in stories]

    assert Counter(at_once([lambda body=body: deliver(body) for body in bodies], threads=16)) == {200: 48}

    run_worker()
    assert tally(campaign.pk) == (48 * 2500, 0, 0, 48, 1)
    assert ledger.balance(campaign.account) == 48 * 2500
    assert Supporter.objects.get().count == 48
    assert Donation.objects.filter(state="paid").count() == len(mail.outbox) == 48
    assert list(check_books()) == []
