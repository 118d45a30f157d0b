"""Money that was spent before it was asked back: the shortfall is owed, the wallet blocked, and later credits repay."""

from __future__ import annotations

from typing import Any

import pytest

from payments import ledger
from payments.inbox import Envelope
from payments.models import Transfer
from payments.money import Money
from payments.proving import check_books
from payments.settlement import settle_events
from wallets import holding, spending
from wallets.errors import WalletBlocked
from wallets.models import Notice, TopUp, Wallet
from wallets.tests.factories import fund, make_wallet

pytestmark = pytest.mark.django_db


def tell(events: list[Envelope]) -> None:
    for event in events:
        settle_events([event], source="webhook")


def spend(wallet: Wallet, amount_minor: int, key: str = "k") -> Any:
    money = Money(amount_minor, wallet.currency)
    return spending.spend(wallet=wallet, money=money, description="x", key=key, actor=None)[0]


def standing(wallet: Wallet) -> tuple[int, int, bool]:
    """Balance, what is owed, and whether it is blocked."""
    wallet.refresh_from_db()
    assert list(check_books()) == []
    return ledger.balance(wallet.account), ledger.balance(wallet.receivable), wallet.is_blocked


def test_a_refund_of_unspent_money_comes_out_of_the_wallet() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    tell(story.refunded("a", 2_000, at=100, in_all=2_000))
    assert standing(wallet) == (3_000, 0, False)
    assert TopUp.objects.get().state == "partially_refunded"
    refund, taken = Transfer.objects.get(key__startswith="refund:"), Transfer.objects.get(key__startswith="level:")
    assert (refund.debit_id, refund.credit_id, refund.amount_minor) == (wallet.receivable, "stripe:eur", 2_000)
    assert (taken.debit_id, taken.credit_id, taken.amount_minor) == (wallet.account, wallet.receivable, 2_000)
    assert (taken.payment_id, taken.memo) == (story.payment.pk, "refund of a top-up")


def test_a_dispute_of_spent_money_is_owed_and_blocks_the_wallet() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    spend(wallet, 4_000)
    tell(story.disputed("lost"))
    assert standing(wallet) == (0, 4_000, True)
    with pytest.raises(WalletBlocked, match="owed"):
        spend(wallet, 1, key="k2")
    owed = Notice.objects.get(kind="money_owed")
    assert (owed.facts["owed_minor"], owed.facts["currency"]) == (4_000, "eur")


def test_a_won_dispute_leaves_the_wallet_as_if_there_had_been_none() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    spend(wallet, 4_000)
    tell(story.disputed("won"))
    assert standing(wallet) == (1_000, 0, False)
    assert TopUp.objects.get().state == "paid"


def test_a_later_top_up_repays_what_is_owed_first() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    spend(wallet, 5_000)
    tell(story.refunded("a", 5_000, at=100, in_all=5_000))
    assert standing(wallet) == (0, 5_000, True)
    fund(wallet, 3_000)
    assert standing(wallet) == (0, 2_000, True)
    fund(wallet, 3_000)
    assert standing(wallet) == (1_000, 0, False)
    memos = Transfer.objects.filter(memo="repaid from a top-up").order_by("id").values_list("amount_minor", flat=True)
    assert list(memos) == [3_000, 2_000]


def test_a_refund_that_fails_gives_back_what_it_took() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    spend(wallet, 4_500)
    tell(story.refund_failed("a", 2_000, at=100))
    assert standing(wallet) == (500, 0, False)


def test_a_reversed_spend_and_a_released_hold_repay_first() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    spent = spend(wallet, 2_000)
    held, _ = holding.authorize(wallet=wallet, money=Money(2_500, "eur"), description="y", key="h", actor=None)
    tell(story.refunded("a", 5_000, at=100, in_all=5_000))
    assert standing(wallet) == (0, 4_500, True)
    spending.reverse(spend_id=spent.pk, money=None, reason="z", key="r", actor=None)
    assert standing(wallet) == (0, 2_500, True)
    holding.release(hold_id=held.pk, reason="not needed", actor=None)
    assert standing(wallet) == (0, 0, False)


def test_a_hold_may_be_captured_while_money_is_owed() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    held, _ = holding.authorize(wallet=wallet, money=Money(2_500, "eur"), description="y", key="h", actor=None)
    tell(story.disputed("lost"))
    assert standing(wallet) == (0, 2_500, True)
    assert holding.capture(hold_id=held.pk, money=None, actor=None).amount_minor == 2_500
    assert standing(wallet) == (0, 2_500, True)


def test_debts_of_two_currencies_are_apart() -> None:
    euros = make_wallet(currency="eur")
    yen = make_wallet(euros.organization, currency="jpy", balance_minor=900)
    story = fund(euros, 5_000)
    spend(euros, 5_000)
    tell(story.disputed("lost"))
    assert (standing(euros), standing(yen)) == ((0, 5_000, True), (900, 0, False))


def test_what_a_top_up_went_to_is_told_with_it() -> None:
    wallet = make_wallet()
    story = fund(wallet, 5_000)
    spend(wallet, 5_000)
    tell(story.disputed("lost"))
    fund(wallet, 3_000)
    told = Notice.objects.filter(kind="topped_up").order_by("-id").first()
    assert told is not None
    assert (told.facts["amount_minor"], told.facts["balance_minor"], told.facts["owed_minor"]) == (3_000, 0, 2_000)


def test_a_low_balance_is_told_once_until_it_was_above_again() -> None:
    wallet = make_wallet()
    fund(wallet, 1_000)
    Wallet.objects.update(low_balance_minor=500)
    spend(wallet, 500)
    assert Notice.objects.filter(kind="low_balance").count() == 0
    spend(wallet, 1, key="k2")
    spend(wallet, 1, key="k3")
    [told] = Notice.objects.filter(kind="low_balance")
    assert told.facts == {"balance_minor": 499, "currency": "eur"}
    fund(wallet, 1_000)
    spend(wallet, 1_000, key="k4")
    assert Notice.objects.filter(kind="low_balance").count() == 2
