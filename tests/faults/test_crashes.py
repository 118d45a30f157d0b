"""kill -9 at every moment of settling: what was not committed never was, what was committed is there once.

A moment is before every statement, before and after COMMIT, and before the answer (tests/faults/mortal.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from payments.models import StripeEvent
from payments.proving import check_books
from payments.sweeping import sweep
from tests.faults.conftest import Mortal, latest_event
from tests.faults.gifts import Given, paid_at_stripe, settled
from tests.live import Sandbox
from tests.working import run_worker

pytestmark = pytest.mark.xdist_group("faults-crashes")
RAISED = {"raised_minor": 2500, "donations": 1, "donors": 1}


@dataclass(frozen=True)
class Case:
    """An event to die in: how it comes about, what the books say before and after it."""

    kind: str
    tell: Callable[[Sandbox], tuple[Given, bytes]]
    before: tuple[str, list[str], dict[str, int]]
    after: tuple[str, list[str], dict[str, int]]
    # What brings the same fact although Stripe never sends this event again.
    otherwise: Callable[[Mortal, Sandbox, Given], None]


def paid(sandbox: Sandbox) -> tuple[Given, bytes]:
    return paid_at_stripe(sandbox), latest_event(sandbox, "checkout.session.completed")


def refunded(sandbox: Sandbox) -> tuple[Given, bytes]:
    given = settled(sandbox)
    sandbox.post("refunds", payment_intent=given.intent, amount=700)
    return given, latest_event(sandbox, "refund.created")


def disputed(sandbox: Sandbox) -> tuple[Given, bytes]:
    given = settled(sandbox)
    sandbox.post("disputes", payment_intent=given.intent)
    return given, latest_event(sandbox, "charge.dispute.funds_withdrawn")


def sweep_a_day_later(mortal: Mortal, sandbox: Sandbox, given: Given) -> None:
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        sweep()


def tell_the_sum(mortal: Mortal, sandbox: Sandbox, given: Given) -> None:
    """charge.refunded names no refund; the refunds are fetched in the background."""
    assert mortal.deliver(latest_event(sandbox, "charge.refunded")) == 200


def tell_the_end(mortal: Mortal, sandbox: Sandbox, given: Given) -> None:
    dispute = sandbox.objects("dispute")[-1]["id"]
    sandbox.post(f"disputes/{dispute}/resolve", outcome="lost")
    assert mortal.deliver(latest_event(sandbox, "charge.dispute.closed")) == 200


CASES = [
    Case("payment", paid, ("pending", [], {}), ("paid", ["paid"], RAISED), sweep_a_day_later),
    Case(
        "refund",
        refunded,
        ("paid", ["paid"], RAISED),
        ("partially_refunded", ["paid", "refund"], {**RAISED, "refunded_minor": 700}),
        tell_the_sum,
    ),
    Case(
        "dispute",
        disputed,
        ("paid", ["paid"], RAISED),
        ("disputed", ["dispute", "paid"], {**RAISED, "disputed_minor": 2500}),
        tell_the_end,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
@pytest.mark.parametrize("redelivered", [True, False], ids=["sent again", "never sent again"])
def test_settling_survives_kill_9_at_every_moment(mortal: Mortal, sandbox: Sandbox, case: Case, redelivered: bool) -> None:
    heal: dict[bool, Callable[[Given, bytes], Any]] = {
        True: lambda given, body: [mortal.deliver(body), mortal.deliver(body)],
        False: lambda given, body: case.otherwise(mortal, sandbox, given),
    }
    moments = all_moments(mortal, sandbox, case)
    for number, moment in enumerate(moments, 1):
        given, body = case.tell(sandbox)
        assert mortal.deliver(body, die_at=number) is None, moment
        assert mortal.moments()[-1] == moment
        committed = "after COMMIT" in mortal.moments()
        assert StripeEvent.objects.filter(pk=json.loads(body)["id"]).exists() == committed, moment
        assert given.books() == (case.after if committed else case.before), moment

        heal[redelivered](given, body)
        run_worker()
        assert given.books() == case.after, moment
        assert mortal.mailed(given.donation) == 1, moment
    assert list(check_books()) == []


def all_moments(mortal: Mortal, sandbox: Sandbox, case: Case) -> list[str]:
    """The moments of the case when nothing goes wrong."""
    _, body = case.tell(sandbox)
    assert mortal.deliver(body) == 200
    moments = mortal.moments()
    assert moments.count("before COMMIT") == moments.count("after COMMIT") == 1
    assert moments[-1] == "before the answer"
    sys.stdout.write(f"{case.kind}: {len(moments)} moments\n")
    return moments
