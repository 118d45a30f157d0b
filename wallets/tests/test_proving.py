"""The proof of wallets sees transfers that no row calls for, and those that went elsewhere than their row says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from payments import ledger
from payments.ledger import Posting
from payments.models import Transfer
from payments.money import Money
from payments.proving import check_books
from wallets import holding, spending
from wallets.models import Wallet, WalletSpend
from wallets.tests.factories import make_wallet

pytestmark = pytest.mark.django_db

REVENUE = "revenue:wallets:eur"


@pytest.fixture
def wallet() -> Wallet:
    """With every kind of movement, and books in order."""
    made = make_wallet(balance_minor=10_000)
    money = Money(1_000, "eur")
    spent, _ = spending.spend(wallet=made, money=money, description="x", key="s", actor=None)
    spending.reverse(spend_id=spent.pk, money=Money(400, "eur"), reason="x", key="r", actor=None)
    for key in ("captured", "released"):
        holding.authorize(wallet=made, money=money, description=key, key=key, actor=None)
    captured, released = made.holds.order_by("description")
    holding.capture(hold_id=captured.pk, money=Money(700, "eur"), actor=None)
    holding.release(hold_id=released.pk, reason="not needed", actor=None)
    assert list(check_books()) == []
    return made


def post(key: str, debit: str, credit: str) -> None:
    now = timezone.now()
    ledger.post([Posting(key=key, debit=debit, credit=credit, amount_minor=100, currency="eur", occurred_at=now)])


def owed_by(other: Wallet) -> str:
    return other.receivable


def account_of(other: Wallet) -> str:
    return other.account


@pytest.mark.parametrize(
    ("key", "to"),
    [
        ("spend:spend_nobody", lambda other: REVENUE),
        ("spend-reversal:reversal_nobody", account_of),
        ("hold:hold_nobody", account_of),
        ("release:hold_nobody", account_of),
        ("adjustment:adjustment_nobody", account_of),
        ("paid:pay_nobody", account_of),
        ("assigned:paid:pay_nobody", account_of),
        ("level:repayment:transfer_x", account_of),
        ("level:repayment:transfer_x", owed_by),
        ("whatever:x", account_of),
    ],
)
def test_a_transfer_that_nothing_calls_for_is_seen(wallet: Wallet, key: str, to: Callable[[Wallet], str]) -> None:
    other = make_wallet()
    post(key, wallet.account, to(other))
    assert f"the transfer {key} moves 100 of a wallet, which nothing calls for" in list(check_books())


def test_a_spend_that_another_wallet_paid_is_seen(wallet: Wallet) -> None:
    other = make_wallet(balance_minor=500)
    fields = {"organization_id": wallet.organization_id, "amount_minor": 100, "currency": "eur", "description": "x"}
    spent = WalletSpend.objects.create(wallet=wallet, idempotency_key="k", **fields)
    post(f"spend:{spent.pk}", other.account, REVENUE)
    posted, due = (other.account, REVENUE, 100), (wallet.account, REVENUE, 100)
    assert list(check_books()) == [f"{spent}: the transfer spend:{spent.pk} is {posted}, its row calls for {due}"]
    assert Transfer.objects.get(key=f"spend:{spent.pk}").debit_id == other.account
