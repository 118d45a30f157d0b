"""Many at one wallet at once, on real row locks: never below zero, each key once, and no deadlock that is not tried again."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection

from payments import ledger
from payments.models import LedgerAccount, Transfer
from payments.money import Money
from payments.proving import check_books
from payments.settlement import settle_events
from tests.faults.test_races import RACE_S, at_once
from wallets import holding, opening, spending
from wallets.errors import InsufficientFunds
from wallets.models import SpendReversal, TopUp, Wallet, WalletHold, WalletSpend
from wallets.tests.factories import fund, make_organization, make_wallet

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="needs real row locks: SQLite has one writer at a time"),
    pytest.mark.xdist_group("faults-races"),
]


def spend(wallet: Wallet, amount_minor: int, key: str) -> str:
    """The id of the spend, or the code with which it was refused."""
    money = Money(amount_minor, wallet.currency)
    try:
        return str(spending.spend(wallet=wallet, money=money, description="x", key=key, actor=None)[0].pk)
    except InsufficientFunds as refused:
        return refused.code


def test_of_64_who_spend_the_last_unit_one_gets_it() -> None:
    wallet = make_wallet(balance_minor=1)
    outcomes = at_once([lambda n=n: spend(wallet, 1, f"k{n}") for n in range(64)], threads=64)
    assert Counter(outcome == "insufficient_funds" for outcome in outcomes) == {True: 63, False: 1}
    assert (ledger.balance(wallet.account), WalletSpend.objects.count()) == (0, 1)
    assert list(check_books()) == []


def test_one_key_64_times_at_once_spends_once() -> None:
    wallet = make_wallet(balance_minor=10_000)
    outcomes = at_once([lambda: spend(wallet, 100, "same")] * 64, threads=64)
    assert len(set(outcomes)) == 1
    assert (ledger.balance(wallet.account), WalletSpend.objects.count()) == (9_900, 1)


def test_top_ups_that_are_paid_at_once_are_all_in_the_balance() -> None:
    """The balance is kept by a trigger that waits for the wallet's row; what it waited for, it must find again."""
    wallet = make_wallet()
    at_once([lambda: fund(wallet, 500)] * 40, threads=8)
    assert LedgerAccount.objects.get(pk=wallet.account).balance_minor == ledger.balance(wallet.account) == 20_000
    at_once([lambda n=n: spend(wallet, 5, f"k{n}") for n in range(40)], threads=8)
    assert LedgerAccount.objects.get(pk=wallet.account).balance_minor == ledger.balance(wallet.account) == 19_800
    assert list(check_books()) == []


def test_of_capture_and_release_at_once_one_happens() -> None:
    wallet = make_wallet(balance_minor=10_000)
    for number in range(6):
        held, _ = holding.authorize(wallet=wallet, money=Money(100, "eur"), description="x", key=f"h{number}", actor=None)

        def ended(act: Callable[[], object]) -> bool:
            try:
                act()
            except holding.HoldEnded:
                return False
            return True

        acts = [
            lambda held=held: ended(lambda: holding.capture(hold_id=held.pk, money=None, actor=None)),
            lambda held=held: ended(lambda: holding.release(hold_id=held.pk, reason="not needed", actor=None)),
        ]
        assert sorted(at_once(acts, threads=2)) == [False, True]
    captured = WalletHold.objects.filter(state="captured").count()
    assert ledger.balance(wallet.account) == 10_000 - 100 * captured
    assert list(check_books()) == []


def test_a_spend_and_a_refund_at_once_leave_a_balance_or_a_debt_but_never_both() -> None:
    for _ in range(6):
        wallet = make_wallet()
        story = fund(wallet, 5_000)
        events = story.refunded("a", 3_000, at=100, in_all=3_000)
        at_once(
            [
                lambda wallet=wallet: spend(wallet, 4_000, "k"),
                lambda events=events: [settle_events([event], source="webhook") for event in events],
            ],
            threads=2,
        )
        wallet.refresh_from_db()
        ends = (ledger.balance(wallet.account), ledger.balance(wallet.receivable), wallet.is_blocked)
        assert ends in {(0, 2_000, True), (2_000, 0, False)}
    assert list(check_books()) == []


def test_two_who_open_a_wallet_at_once_open_one() -> None:
    organization = make_organization()
    opened = at_once([lambda: opening.open_wallet(organization, "eur").pk] * 8, threads=8)
    assert (len(set(opened)), Wallet.objects.count()) == (1, 1)


def test_opposite_transfers_of_two_wallets_never_deadlock() -> None:
    """Spends, what is given back, top-ups and their refunds, for FAULTS_RACE_S seconds (5) on eight threads."""
    wallets = [make_wallet(balance_minor=1_000_000), make_wallet(balance_minor=1_000_000)]
    until = time.monotonic() + RACE_S

    def work(number: int) -> int:
        dice, done = random.Random(number), 0
        while time.monotonic() < until:
            first, second = wallets if (number + done) % 2 else wallets[::-1]
            made = spend(first, dice.randint(1, 99), f"{number}:{done}")
            money = None if dice.random() < 0.5 else Money(1, "eur")
            spending.reverse(spend_id=made, money=money, reason="x", key="r", actor=None)
            if done % 5 == 0:
                topped_up, refunded = fund(second, 500), fund(first, 500)
                late = [
                    *topped_up.refunded("a", 500, at=100, in_all=500),
                    *refunded.refunded("a", 500, at=100, in_all=500),
                ]
                settle_events(late if number % 2 else late[::-1], source="webhook")
            done += 1
        return done

    done = at_once([lambda number=number: work(number) for number in range(8)], threads=8)
    sys.stdout.write(f"{sum(done)} rounds of opposite transfers in {RACE_S:.0f} s\n")
    assert min(done) > 0
    spent = sum(s.amount_minor - s.reversed_minor for s in WalletSpend.objects.all())
    assert sum(ledger.balance(wallet.account) for wallet in wallets) == 2_000_000 - spent
    assert SpendReversal.objects.count() == sum(done)
    assert Transfer.objects.filter(key__startswith="paid:").count() == TopUp.objects.count()
    assert list(check_books()) == []
