"""Spends, reversals and holds: once per key, never below zero, in the books to the cent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conventions.errors import InvalidInput, NotFound
from payments import ledger
from payments.errors import IdempotencyKeyReused
from payments.models import Transfer
from payments.money import Money
from payments.proving import check_books
from wallets import holding, spending
from wallets.errors import HoldEnded, InsufficientFunds, MoreThanHeld, MoreThanSpent, WalletBlocked
from wallets.models import SpendReversal, Wallet, WalletHold, WalletSpend
from wallets.tests.factories import make_wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet() -> Wallet:
    return make_wallet(balance_minor=10_000)


def spend(wallet: Wallet, amount_minor: int, key: str = "k1", **fields: Any) -> WalletSpend:
    return spending.spend(
        wallet=wallet,
        money=Money(amount_minor, fields.pop("currency", wallet.currency)),
        description=fields.pop("description", "hosting"),
        key=key,
        actor=None,
    )[0]


def hold(wallet: Wallet, amount_minor: int, key: str = "h1", **fields: Any) -> WalletHold:
    money = Money(amount_minor, wallet.currency)
    return holding.authorize(wallet=wallet, money=money, description="a job", key=key, actor=None, **fields)[0]


def reverse(spent: WalletSpend, amount_minor: int | None = None, key: str = "r1") -> SpendReversal:
    money = Money(amount_minor, spent.currency) if amount_minor else None
    return spending.reverse(spend_id=spent.pk, money=money, reason="not delivered", key=key, actor=None)[0]


def balances(wallet: Wallet) -> tuple[int, int, int]:
    """Balance, held, revenue."""
    codes = (wallet.account, wallet.held, f"revenue:wallets:{wallet.currency}")
    return tuple(ledger.balance(code) for code in codes)  # type: ignore[return-value]


def test_a_spend_moves_its_amount_to_revenue(wallet: Wallet) -> None:
    made = spend(wallet, 2_500)
    assert balances(wallet) == (7_500, 0, 2_500)
    transfer = Transfer.objects.get(key=f"spend:{made.pk}")
    assert (transfer.debit_id, transfer.credit_id, transfer.amount_minor) == (wallet.account, "revenue:wallets:eur", 2_500)
    assert (transfer.memo, transfer.payment_id, transfer.source) == ("hosting", None, None)
    assert list(check_books()) == []


def test_the_same_key_spends_once(wallet: Wallet) -> None:
    assert spend(wallet, 2_500) == spend(wallet, 2_500)
    assert balances(wallet) == (7_500, 0, 2_500)


@pytest.mark.parametrize("change", [{"amount_minor": 2_501}, {"description": "other"}])
def test_the_same_key_for_something_else_is_refused(wallet: Wallet, change: dict[str, Any]) -> None:
    spend(wallet, 2_500)
    with pytest.raises(IdempotencyKeyReused):
        spend(wallet, **({"amount_minor": 2_500} | change))
    assert balances(wallet) == (7_500, 0, 2_500)


def test_the_last_cent_can_be_spent_and_not_one_more(wallet: Wallet) -> None:
    spend(wallet, 10_000)
    with pytest.raises(InsufficientFunds, match=r"€0.00.*€0.01"):
        spend(wallet, 1, key="k2")
    assert (balances(wallet), WalletSpend.objects.count()) == ((0, 0, 10_000), 1)


@pytest.mark.parametrize("amount_minor", [0, -1])
def test_nothing_and_less_cannot_be_spent(wallet: Wallet, amount_minor: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        spend(wallet, amount_minor)
    assert (refused.value.code, WalletSpend.objects.count()) == ("amount_too_small", 0)


def test_another_currency_than_the_wallets_is_refused(wallet: Wallet) -> None:
    with pytest.raises(InvalidInput) as refused:
        spend(wallet, 100, currency="usd")
    assert refused.value.code == "other_currency"


def test_a_blocked_wallet_spends_and_holds_nothing(wallet: Wallet) -> None:
    Wallet.objects.update(blocked_at=timezone.now())
    with pytest.raises(WalletBlocked):
        spend(wallet, 100)
    with pytest.raises(WalletBlocked):
        hold(wallet, 100)
    assert balances(wallet) == (10_000, 0, 0)


def test_yen_are_spent_whole() -> None:
    wallet = make_wallet(currency="jpy", balance_minor=500)
    spend(wallet, 499)
    assert balances(wallet) == (1, 0, 499)


# -- reversals ----------------------------------------------------------------------------------------
def test_a_spend_is_given_back_in_parts_but_never_more_than_it_was(wallet: Wallet) -> None:
    made = spend(wallet, 2_500)
    reverse(made, 1_000)
    with pytest.raises(MoreThanSpent, match=r"€15\.00"):
        reverse(made, 1_501, key="r2")
    reverse(made, key="r3")
    with pytest.raises(MoreThanSpent):
        reverse(made, key="r4")
    made.refresh_from_db()
    assert (balances(wallet), made.reversed_minor) == ((10_000, 0, 0), 2_500)
    assert list(check_books()) == []


def test_the_same_reversal_again_gives_back_once(wallet: Wallet) -> None:
    made = spend(wallet, 2_500)
    assert reverse(made, 1_000) == reverse(made, 1_000)
    with pytest.raises(IdempotencyKeyReused):
        reverse(made, 999)
    assert balances(wallet) == (8_500, 0, 1_500)


def test_what_was_never_spent_cannot_be_given_back() -> None:
    with pytest.raises(NotFound):
        spending.reverse(spend_id="spend_none", money=None, reason="x", key="r", actor=None)


# -- holds --------------------------------------------------------------------------------------------
def test_a_hold_sets_aside_and_its_capture_spends_it(wallet: Wallet) -> None:
    held = hold(wallet, 3_000)
    assert balances(wallet) == (7_000, 3_000, 0)
    with pytest.raises(InsufficientFunds):
        spend(wallet, 7_001)
    made = holding.capture(hold_id=held.pk, money=None, actor=None)
    assert (made.amount_minor, made.hold_id, balances(wallet)) == (3_000, held.pk, (7_000, 0, 3_000))
    assert list(check_books()) == []


def test_what_is_not_captured_goes_back(wallet: Wallet) -> None:
    held = hold(wallet, 3_000)
    first = holding.capture(hold_id=held.pk, money=Money(1_200, "eur"), actor=None)
    assert holding.capture(hold_id=held.pk, money=Money(1_200, "eur"), actor=None) == first
    with pytest.raises(HoldEnded):
        holding.capture(hold_id=held.pk, money=None, actor=None)
    with pytest.raises(HoldEnded):
        holding.release(hold_id=held.pk, reason="not needed", actor=None)
    assert balances(wallet) == (8_800, 0, 1_200)
    assert list(check_books()) == []


def test_more_than_the_hold_is_not_captured(wallet: Wallet) -> None:
    held = hold(wallet, 3_000)
    with pytest.raises(MoreThanHeld):
        holding.capture(hold_id=held.pk, money=Money(3_001, "eur"), actor=None)
    assert balances(wallet) == (7_000, 3_000, 0)


def test_a_released_hold_is_whole_again_and_cannot_be_captured(wallet: Wallet) -> None:
    held = hold(wallet, 3_000)
    holding.release(hold_id=held.pk, reason="not needed", actor=None)
    assert holding.release(hold_id=held.pk, reason="not needed", actor=None).state == "released"
    with pytest.raises(HoldEnded):
        holding.capture(hold_id=held.pk, money=None, actor=None)
    assert (balances(wallet), Transfer.objects.filter(key=f"release:{held.pk}").count()) == ((10_000, 0, 0), 1)


def test_a_hold_past_its_time_is_not_captured_and_the_sweep_gives_it_back(wallet: Wallet) -> None:
    held, still = hold(wallet, 3_000), hold(wallet, 1_000, key="h2", lives=timedelta(days=30))
    WalletHold.objects.filter(pk=held.pk).update(expires_at=timezone.now())
    with pytest.raises(HoldEnded):
        holding.capture(hold_id=held.pk, money=None, actor=None)
    assert (holding.expire_due(), holding.expire_due()) == (1, 0)
    held.refresh_from_db()
    still.refresh_from_db()
    assert (held.state, still.state, balances(wallet)) == ("expired", "authorized", (9_000, 1_000, 0))
    assert list(check_books()) == []


def test_the_same_key_holds_once(wallet: Wallet) -> None:
    assert hold(wallet, 3_000) == hold(wallet, 3_000)
    with pytest.raises(IdempotencyKeyReused):
        hold(wallet, 3_001)
    assert balances(wallet) == (7_000, 3_000, 0)
