"""kill -9 at every moment of work that calls Stripe or sends mail: giving, refunding, sending receipts, sweeping."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from donations.models import Donation, Receipt
from donations.tests.factories import CampaignFactory
from payments.models import Payment, Refund
from payments.proving import check_books
from payments.sweeping import sweep
from tests.faults.conftest import Mortal, latest_event
from tests.faults.gifts import Given, paid_at_stripe, settled
from tests.live import Sandbox
from tests.working import run_worker

pytestmark = pytest.mark.xdist_group("faults-crashes")
GIVE = "/api/donations/create-checkout-session/"


def sweep_in(**later: int) -> None:
    with time_machine.travel(timezone.now() + timedelta(**later)):
        sweep()


def test_giving_survives_kill_9_at_every_moment(mortal: Mortal, sandbox: Sandbox) -> None:
    """The donor presses the button again: one gift, one session at Stripe, and its payment counts once."""

    def give(campaign: str, key: str, die_at: int = 0) -> dict[str, str] | None:
        body = json.dumps({"amount": 25, "campaign_id": campaign, "email": "ada@example.org"}).encode()
        answer = mortal.post(GIVE, body, die_at=die_at, **{"Idempotency-Key": key})
        return answer.json() if answer is not None else None

    give(CampaignFactory().pk, "first")
    moments = mortal.moments()
    sys.stdout.write(f"giving: {len(moments)} moments\n")
    assert [moments.count(f"{when} POST at Stripe") for when in ("before", "after")] == [1, 1]
    for number, moment in enumerate(moments, 1):
        campaign = CampaignFactory()
        assert give(campaign.pk, moment + str(number), die_at=number) is None
        assert mortal.moments()[-1] == moment
        started = give(campaign.pk, moment + str(number))
        assert started is not None
        donation = Donation.objects.get(campaign=campaign)
        sessions = [s["id"] for s in sandbox.objects("checkout.session") if s["client_reference_id"] == donation.payment_id]
        assert sessions == [started["session_id"]], moment

        sandbox.post(f"checkout_sessions/{started['session_id']}/pay", email="ada@example.org")
        assert mortal.deliver(latest_event(sandbox, "checkout.session.completed")) == 200
        given = Given(campaign, donation.pk, donation.payment_id, started["session_id"])
        assert given.books() == ("paid", ["paid"], {"raised_minor": 2500, "donations": 1, "donors": 1}), moment
    assert Payment.objects.count() == len(moments) + 1
    assert list(check_books()) == []


def test_refunding_survives_kill_9_at_every_moment(mortal: Mortal, sandbox: Sandbox) -> None:
    """What staff saw accepted is carried out, once; what was never written down is not done."""
    given = settled(sandbox)
    assert mortal.do("refund", payment=given.payment, amount_minor=700) == 0
    moments = mortal.moments()
    sys.stdout.write(f"refund by staff: {len(moments)} moments\n")
    for number, moment in enumerate(moments, 1):
        given = settled(sandbox)
        assert mortal.do("refund", die_at=number, payment=given.payment, amount_minor=700) == -9
        assert mortal.moments()[-1] == moment
        written = Refund.objects.filter(payment=given.payment).count()
        assert written == ("after COMMIT" in mortal.moments()), moment

        sweep_in(minutes=2)
        sweep_in(minutes=20)
        made = [refund["amount"] for refund in sandbox.objects("refund") if refund["payment_intent"] == given.intent]
        assert made == [700] * written, moment
        assert given.books()[1] == ["paid"] + ["refund"] * written, moment
        assert Payment.objects.get(pk=given.payment).refunded_minor == 700 * written
    assert list(check_books()) == []


def test_sending_a_receipt_survives_kill_9_at_every_moment(mortal: Mortal, sandbox: Sandbox) -> None:
    """Never twice. Where it died with the mail in hand nobody can know whether it went: staff see that one."""
    settled(sandbox, work=False)
    assert mortal.do("work") == 0
    moments = mortal.moments()
    claimed_at, went_at = moments.index("after INSERT donations_receipt"), moments.index("after the mail went")
    sys.stdout.write(f"receipt: {len(moments)} moments\n")
    unsent = []
    for index, moment in enumerate(moments):
        given = settled(sandbox, work=False)
        assert mortal.do("work", die_at=index + 1) == -9
        assert mortal.moments()[-1] == moment
        in_hand = Receipt.objects.filter(donation=given.donation).exists() and index < went_at

        run_worker()
        sweep_in(minutes=10)
        sweep_in(minutes=20)
        run_worker()
        assert mortal.mailed(given.donation) == (not in_hand), moment
        unsent += [moment] * in_hand
        recorded = index >= moments.index("after UPDATE donations_receipt")
        unknown = in_hand or (index >= went_at and not recorded)
        assert Receipt.objects.filter(donation=given.donation, sent_at=None).exists() == unknown
    # SQLite ends a statement that commits by itself when its rows are read, a step later than PostgreSQL.
    assert unsent in (moments[claimed_at:went_at], moments[claimed_at + 1 : went_at])
    assert list(check_books()) == []


def test_a_sweep_survives_kill_9_at_every_moment_of_settling_what_it_fetched(mortal: Mortal, sandbox: Sandbox) -> None:
    """The next sweep finishes what it left: here a payment of which no webhook came, a day old."""

    def a_day_old() -> Given:
        given = paid_at_stripe(sandbox)
        Payment.objects.filter(pk=given.payment).update(created_at=timezone.now() - timedelta(hours=25))
        return given

    assert mortal.do("sweep") == 0  # the first run ever makes rows that later ones find
    a_day_old()
    assert mortal.do("sweep") == 0
    moments = mortal.moments()
    first = moments.index("before GET at Stripe")
    last = moments.index("after COMMIT", first)
    sys.stdout.write(f"sweep: {last - first + 1} moments of {len(moments)}\n")
    for number, moment in enumerate(moments[first : last + 1], first + 1):
        given = a_day_old()
        assert mortal.do("sweep", die_at=number) == -9
        assert mortal.moments()[-1] == moment
        sweep_in(hours=25)
        run_worker()
        assert given.books() == ("paid", ["paid"], {"raised_minor": 2500, "donations": 1, "donors": 1}), moment
        assert mortal.mailed(given.donation) == 1, moment
    assert list(check_books()) == []
