"""A wallet's balance opened up: each transfer, what it records, and the sums that must agree."""

from __future__ import annotations

import pytest

from payments.explaining import Check, Heading, Line, explain
from payments.money import Money
from payments.settlement import settle_events
from wallets import spending
from wallets.tests.factories import fund, make_organization, make_wallet

pytestmark = pytest.mark.django_db


def test_a_wallet_opens_up_into_its_transfers_and_the_refund_behind_what_levels_it() -> None:
    wallet = make_wallet(make_organization(name="Food bank"))
    story = fund(wallet, 5_000)
    spent, _ = spending.spend(wallet=wallet, money=Money(3_000, "eur"), description="Seats", key="s", actor=None)
    for event in story.refunded("a", 4_000, at=100, in_all=4_000):
        settle_events([event], source="webhook")
    spending.reverse(spend_id=spent.pk, money=Money(1_500, "eur"), reason="Fewer", key="r", actor=None)
    heading, *parts = list(explain(wallet.pk, limit=50))
    assert isinstance(heading, Heading)
    assert heading.title == f"wallet of “Food bank” in EUR ({wallet.pk})"
    lines = [part for part in parts if isinstance(part, Line)]
    assert [(line.key.split(":")[0], line.amount_minor, line.memo) for line in lines] == [
        ("paid", 5_000, "paid"),
        ("spend", -3_000, "Seats"),
        ("level", -2_000, "refund of a top-up"),
        ("spend-reversal", 1_500, "reversed: Seats"),
        ("level", -1_500, "repaid from a reversed spend"),
    ]
    # The payment behind what levels the wallet opens up into the refund at Stripe.
    assert lines[0].payment == lines[2].payment == story.payment.pk
    behind = [part for part in explain(lines[2].payment, limit=50) if isinstance(part, Line)]
    assert [(line.amount_minor, line.source, line.who) for line in behind if line.source == f"re_{story.number}_a"] == [
        (-4_000, f"re_{story.number}_a", "made at Stripe")
    ]
    checks = [part for part in parts if isinstance(part, Check)]
    assert [(check.amount_minor, check.holds) for check in checks] == [(0, True), (0, True)]


def test_what_an_organization_owes_opens_up_as_well() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    spending.spend(wallet=wallet, money=Money(3_000, "eur"), description="Seats", key="s", actor=None)
    for event in story.refunded("a", 4_000, at=100, in_all=4_000):
        settle_events([event], source="webhook")
    parts = list(explain(wallet.receivable, limit=50))
    assert [(part.amount_minor, part.source) for part in parts if isinstance(part, Line)] == [
        (4_000, f"re_{story.number}_a"),
        (-2_000, ""),
    ]
    assert [part.amount_minor for part in parts if isinstance(part, Check)] == [2_000]
