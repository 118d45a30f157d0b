"""What levels a wallet names the refunds and disputes that it repays, or that came back after all."""

from __future__ import annotations

import pytest

from accounts.models import User
from accounts.tests.factories import UserFactory
from payments.assigning import assign
from payments.explaining import Line
from payments.models import Transfer
from payments.tests.test_assigning import came_past_us
from wallets.adjusting import approve, propose
from wallets.models import Wallet
from wallets.repaying import repaid_by
from wallets.tests.factories import fund, make_organization, make_wallet
from wallets.tests.test_explaining import of_kind, reverse, spend, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def fiona() -> User:
    return UserFactory.create(email="fiona@charity.example", is_staff=True)


@pytest.fixture
def maria() -> User:
    return UserFactory.create(email="maria@charity.example", is_staff=True)


@pytest.fixture
def wallet() -> Wallet:
    return make_wallet(make_organization(name="Food bank"))


def levels(wallet: Wallet) -> list[tuple[int, str]]:
    return [(line.amount_minor, line.who) for line in of_kind(Line, wallet.account) if line.key.startswith("level:")]


def test_what_levels_a_wallet_names_the_refund_that_it_repays(wallet: Wallet) -> None:
    story = fund(wallet, 5_000)
    spent = spend(wallet, 3_000)
    tell(story.refunded("a", 4_000, at=100, in_all=4_000))
    reverse(spent, 1_500)
    refund = f"refund re_{story.number}_a of {story.payment.pk} (made at Stripe)"
    assert levels(wallet) == [(-2_000, f"repays {refund}"), (-1_500, f"repays {refund}")]
    assert {line.who for line in of_kind(Line, wallet.receivable) if line.key.startswith("level:")} == {f"repays {refund}"}


def test_what_is_owed_first_is_repaid_first(wallet: Wallet, fiona: User, maria: User) -> None:
    first, second = fund(wallet, 5_000), fund(wallet, 3_000)
    spend(wallet, 8_000)
    tell(first.refunded("a", 4_000, at=100, in_all=4_000))
    tell(second.disputed("lost"))
    fund(wallet, 5_000)
    adjustment = propose(wallet=wallet, amount_minor=2_500, reason="Sorry.", actor=fiona)
    approve(adjustment_id=adjustment.pk, actor=maria)
    refund = f"refund re_{first.number}_a of {first.payment.pk} (made at Stripe)"
    dispute = f"dispute dp_{second.number} of {second.payment.pk} (by the payer's bank)"
    assert levels(wallet) == [
        (-5_000, f"repays €40.00 of {refund}; €10.00 of {dispute}"),
        (-2_000, f"repays {dispute}"),
    ]


def test_what_staff_refunded_names_them(wallet: Wallet, maria: User) -> None:
    story = fund(wallet, 5_000)
    refund = story.refund("a", 2_000, "succeeded", at=100)
    tell([story.event("refund.created", refund, 100)])
    story.payment.refunds.update(requested_by=maria)
    assert levels(wallet) == [
        (-2_000, f"repays refund re_{story.number}_a of {story.payment.pk} (asked for by maria@charity.example)")
    ]


def test_what_comes_back_after_all_names_what_had_taken_it(wallet: Wallet) -> None:
    refunded, disputed = fund(wallet, 5_000), fund(wallet, 3_000)
    spend(wallet, 7_000)
    tell(refunded.refund_failed("a", 2_000, at=100))
    tell(disputed.disputed("won"))
    refund = f"refund re_{refunded.number}_a of {refunded.payment.pk} (made at Stripe)"
    dispute = f"dispute dp_{disputed.number} of {disputed.payment.pk} (by the payer's bank)"
    assert levels(wallet) == [
        (-1_000, f"repays {refund}"),
        (1_000, f"gives back what was repaid for {refund}"),
        (-1_000, f"repays {dispute}"),
        (1_000, f"gives back what was repaid for {dispute}"),
    ]


def test_a_refund_of_money_that_staff_assigned_is_named_as_well(wallet: Wallet, fiona: User) -> None:
    story = came_past_us(5_000, "eur")
    assign(payment_id=story.payment.pk, purpose="wallet", subject_id=wallet.pk, actor=fiona, reason="They wrote to us.")
    tell(story.refunded("a", 2_000, at=100, in_all=2_000))
    assert levels(wallet) == [
        (-2_000, f"repays refund re_{story.number}_a of {story.payment.pk} (assigned by fiona@charity.example)")
    ]


def test_of_many_that_are_repaid_at_once_some_are_named(wallet: Wallet) -> None:
    story = fund(wallet, 5_000)
    spend(wallet, 5_000)
    for number in range(7):
        tell(story.refunded(str(number), 100, at=100 + number, in_all=100 * (number + 1)))
    fund(wallet, 1_000)
    [(amount_minor, words)] = levels(wallet)
    assert amount_minor == -700
    assert [words.count(f"re_{story.number}_{number} ") for number in range(7)] == [1, 1, 1, 1, 1, 0, 0]
    assert words.endswith("; and 2 more")


def test_what_a_transfer_repays_does_not_depend_on_what_is_asked_with_it(wallet: Wallet) -> None:
    story, other = fund(wallet, 5_000), fund(wallet, 5_000)
    spend(wallet, 9_500)
    opened, won = other.disputed("won")[:2], other.disputed("won")[2:]
    tell(story.refunded("a", 2_000, at=100, in_all=2_000))  # 500 of it there
    tell(opened)
    fund(wallet, 2_400)
    tell(story.refunded("b", 700, at=500, in_all=2_700))
    tell(won)
    tell(story.refunded("c", 1_000, at=600, in_all=3_700))
    fund(wallet, 300)
    fund(wallet, 4_000)
    found = list(Transfer.objects.filter(key__startswith="level:").order_by("pk"))
    together = repaid_by(found)
    a, c, dispute = f"re_{story.number}_a", f"re_{story.number}_c", f"dp_{other.number}"
    # Of the 50.00 that came back of the dispute 41.00 were still owed for it, 7.00 were then owed for the second refund.
    assert [[(part.stripe_id, part.minor) for part in together[level.key]] for level in found] == [
        [(a, 500)],
        [(a, 1_500), (dispute, 900)],
        [(dispute, -200)],
        [(c, 200)],
        [(c, 300)],
        [(c, 500)],
    ]
    assert [repaid_by([level]) for level in found] == [{level.key: together[level.key]} for level in found]
