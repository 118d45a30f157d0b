"""Staff block a wallet with a reason: nothing leaves it, everything may still come in, and each act leaves a line."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry, User
from accounts.tests.factories import UserFactory
from conventions.errors import InvalidInput, NotFound
from payments import ledger
from payments.money import Money
from payments.proving import check_books
from payments.settlement import settle_events
from wallets import automatic, holding, spending
from wallets.blocking import block, unblock
from wallets.errors import WalletBlocked
from wallets.models import SpendReversal, Wallet, WalletHold, WalletSpend
from wallets.tests.factories import fund, make_wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk() -> User:
    return UserFactory.create(email="clerk@example.org", is_staff=True)


def spend(wallet: Wallet, amount_minor: int, key: str = "k1") -> WalletSpend:
    money = Money(amount_minor, wallet.currency)
    return spending.spend(wallet=wallet, money=money, description="Posters", key=key, actor=None)[0]


def hold(wallet: Wallet, amount_minor: int, key: str = "h1") -> WalletHold:
    money = Money(amount_minor, wallet.currency)
    return holding.authorize(wallet=wallet, money=money, description="A hall", key=key, actor=None)[0]


def lines() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "target_id", "reason"))


def test_a_blocked_wallet_is_neither_spent_nor_held(clerk: User) -> None:
    wallet = make_wallet(balance_minor=10_000)

    block(wallet_id=wallet.pk, actor=clerk, reason="Asked by their bank.")

    with pytest.raises(WalletBlocked):
        spend(wallet, 100)
    with pytest.raises(WalletBlocked):
        hold(wallet, 100)
    assert (WalletSpend.objects.count(), WalletHold.objects.count()) == (0, 0)
    assert ledger.balance(wallet.account) == 10_000


def test_money_still_comes_into_a_blocked_wallet_and_its_holds_are_captured(clerk: User) -> None:
    wallet = make_wallet(balance_minor=10_000)
    held = hold(wallet, 3_000)
    block(wallet_id=wallet.pk, actor=clerk, reason="Asked by their bank.")

    fund(wallet, 500)
    holding.capture(hold_id=held.pk, money=None, actor=None)

    assert ledger.balance(wallet.account) == 7_500
    assert list(check_books()) == []


def test_a_blocked_wallet_does_not_top_itself_up(clerk: User) -> None:
    wallet = make_wallet()
    Wallet.objects.filter(pk=wallet.pk).update(top_up_below_minor=500, top_up_amount_minor=900, top_up_daily_limit_minor=900)
    block(wallet_id=wallet.pk, actor=clerk, reason="Asked by their bank.")

    assert automatic.due() == []


def test_unblocking_opens_it_again(clerk: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    block(wallet_id=wallet.pk, actor=clerk, reason="Asked by their bank.")

    unblock(wallet_id=wallet.pk, actor=clerk, reason="Their bank is content.")

    spend(wallet, 400)
    wallet.refresh_from_db()
    assert (wallet.blocked_at, wallet.blocked_reason, ledger.balance(wallet.account)) == (None, "", 600)
    assert lines() == [
        ("wallet.blocked", wallet.pk, "Asked by their bank."),
        ("wallet.unblocked", wallet.pk, "Their bank is content."),
    ]


def test_blocking_twice_keeps_the_first_reason_and_leaves_one_line(clerk: User) -> None:
    wallet = make_wallet()
    first = block(wallet_id=wallet.pk, actor=clerk, reason="First.")

    second = block(wallet_id=wallet.pk, actor=clerk, reason="Second.")

    assert (second.blocked_at, second.blocked_reason) == (first.blocked_at, "First.")
    assert lines() == [("wallet.blocked", wallet.pk, "First.")]


def test_a_wallet_that_owes_stays_shut_after_it_is_unblocked(clerk: User) -> None:
    wallet = make_wallet()
    story = fund(wallet, 1_000)
    spend(wallet, 900)
    settle_events(story.refunded("a", 500, at=100, in_all=500), source="webhook")
    block(wallet_id=wallet.pk, actor=clerk, reason="Look at it.")

    unblock(wallet_id=wallet.pk, actor=clerk, reason="Looked at.")

    with pytest.raises(WalletBlocked):
        spend(wallet, 1, key="k2")


@pytest.mark.parametrize("reason", ["", "   "])
def test_without_a_reason_nothing_is_done(clerk: User, reason: str) -> None:
    wallet = make_wallet(balance_minor=1_000)
    spent, held = spend(wallet, 100), hold(wallet, 100)

    for act in (block, unblock):
        with pytest.raises(InvalidInput):
            act(wallet_id=wallet.pk, actor=clerk, reason=reason)
    with pytest.raises(InvalidInput):
        spending.reverse(spend_id=spent.pk, money=None, reason=reason, key="k", actor=clerk)
    with pytest.raises(InvalidInput):
        holding.release(hold_id=held.pk, reason=reason, actor=clerk)

    wallet.refresh_from_db()
    assert (wallet.blocked_at, ledger.balance(wallet.account), lines()) == (None, 800, [])


def test_what_does_not_exist_is_not_found(clerk: User) -> None:
    for act in (block, unblock):
        with pytest.raises(NotFound):
            act(wallet_id="wallet_none", actor=clerk, reason="Why not.")
    with pytest.raises(NotFound):
        holding.release(hold_id="hold_none", reason="Why not.", actor=clerk)
    with pytest.raises(NotFound):
        spending.reverse(spend_id="spend_none", money=None, reason="Why not.", key="k", actor=clerk)
    assert lines() == []


def test_a_spend_given_back_by_staff_leaves_one_line_however_often_the_form_is_sent(clerk: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    spent = spend(wallet, 600)

    for _ in range(2):
        spending.reverse(spend_id=spent.pk, money=Money(250, "eur"), reason="Not delivered.", key="staff:1", actor=clerk)

    assert ledger.balance(wallet.account) == 650
    reversal = SpendReversal.objects.get()
    assert (reversal.amount_minor, reversal.reason, reversal.created_by) == (250, "Not delivered.", clerk)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target_id, entry.before) == ("spend.reversed", spent.pk, {"reversed_minor": 0})
    assert entry.after == {"reversed_minor": 250, "reversal": reversal.pk}
    assert list(check_books()) == []


def test_a_hold_released_by_staff_leaves_one_line(clerk: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    held = hold(wallet, 600)

    for _ in range(2):
        holding.release(hold_id=held.pk, reason="Canceled by telephone.", actor=clerk)

    assert ledger.balance(wallet.account) == 1_000
    assert lines() == [("hold.released", held.pk, "Canceled by telephone.")]
    assert list(check_books()) == []
