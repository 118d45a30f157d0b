"""A balance is corrected by two people, moved once, and never below zero."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.tests.factories import UserFactory
from conventions import tenancy
from conventions.errors import InvalidInput, NotFound
from payments import ledger
from payments.models import LedgerAccount, Transfer
from payments.money import Money
from payments.proving import check_books
from payments.settlement import settle_events
from wallets import spending
from wallets.adjusting import MOST_MINOR, approve, propose, reject
from wallets.errors import AdjustmentDecided, InsufficientFunds, SecondPersonNeeded
from wallets.models import Notice, Wallet, WalletAdjustment
from wallets.tests.factories import fund, make_wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return UserFactory.create(email="ada@example.org", is_staff=True)


@pytest.fixture
def grace() -> User:
    return UserFactory.create(email="grace@example.org", is_staff=True, is_superuser=True)


def proposed(wallet: Wallet, amount_minor: int, by: User) -> WalletAdjustment:
    return propose(wallet=wallet, amount_minor=amount_minor, reason="Charged twice in May.", actor=by)


def acts() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "actor__email"))


def test_a_proposal_moves_nothing_and_leaves_a_line(ada: User) -> None:
    wallet = make_wallet(balance_minor=1_000)

    adjustment = proposed(wallet, 500, ada)

    assert ledger.balance(wallet.account) == 1_000
    assert (adjustment.state, adjustment.decided_by, adjustment.decided_at) == ("proposed", None, None)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target_id, entry.reason) == ("adjustment.proposed", adjustment.pk, "Charged twice in May.")
    assert entry.after == {"wallet": wallet.pk, "amount_minor": 500, "currency": "eur", "state": "proposed"}


def test_approved_by_another_it_is_added_and_stands_in_the_books(ada: User, grace: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    adjustment = proposed(wallet, 500, ada)

    done = approve(adjustment_id=adjustment.pk, actor=grace)

    assert (done.state, done.decided_by, ledger.balance(wallet.account)) == ("approved", grace, 1_500)
    transfer = Transfer.objects.get(key=f"adjustment:{adjustment.pk}")
    assert (transfer.debit_id, transfer.credit_id, transfer.amount_minor) == ("adjustments:eur", wallet.account, 500)
    assert LedgerAccount.objects.get(pk="adjustments:eur").kind == "expense"
    assert ledger.balance("adjustments:eur") == 500
    assert acts() == [("adjustment.proposed", "ada@example.org"), ("adjustment.approved", "grace@example.org")]
    assert list(check_books()) == []


def test_what_is_taken_away_makes_the_sum_of_all_adjustments_less(ada: User, grace: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    approve(adjustment_id=proposed(wallet, 500, ada).pk, actor=grace)

    approve(adjustment_id=proposed(wallet, -1_500, ada).pk, actor=grace)

    assert (ledger.balance(wallet.account), ledger.balance("adjustments:eur")) == (0, -1_000)
    assert list(check_books()) == []


@pytest.mark.parametrize("decide", [approve, reject])
def test_nobody_decides_on_their_own_proposal_not_even_a_superuser(grace: User, decide: Callable[..., WalletAdjustment]) -> None:
    wallet = make_wallet(balance_minor=1_000)
    adjustment = proposed(wallet, 500, grace)

    with pytest.raises(SecondPersonNeeded):
        decide(adjustment_id=adjustment.pk, actor=grace)

    adjustment.refresh_from_db()
    assert (adjustment.state, ledger.balance(wallet.account)) == ("proposed", 1_000)
    assert acts() == [("adjustment.proposed", "grace@example.org")]


def test_the_database_refuses_it_too(grace: User) -> None:
    adjustment = proposed(make_wallet(), 500, grace)

    with pytest.raises(IntegrityError, match="decided_by_another"), transaction.atomic():
        WalletAdjustment.objects.update(state="approved", decided_by=grace, decided_at=timezone.now())

    adjustment.refresh_from_db()
    assert adjustment.state == "proposed"


def test_approving_twice_moves_the_money_once(ada: User, grace: User) -> None:
    wallet = make_wallet()
    adjustment = proposed(wallet, 500, ada)
    first = approve(adjustment_id=adjustment.pk, actor=grace)

    again = approve(adjustment_id=adjustment.pk, actor=UserFactory.create(email="third@example.org"))

    assert (again.decided_by, again.decided_at) == (grace, first.decided_at)
    assert ledger.balance(wallet.account) == 500
    assert len(acts()) == 2


def test_taking_more_than_is_there_is_refused_and_says_what_is_there(ada: User, grace: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    adjustment = proposed(wallet, -1_001, ada)

    with pytest.raises(InsufficientFunds, match=r"The wallet has €10\.00: €10\.01 cannot be taken away\."):
        approve(adjustment_id=adjustment.pk, actor=grace)

    adjustment.refresh_from_db()
    assert (adjustment.state, adjustment.decided_by, ledger.balance(wallet.account)) == ("proposed", None, 1_000)
    assert not Transfer.objects.filter(key__startswith="adjustment:").exists()
    assert acts() == [("adjustment.proposed", "ada@example.org")]


def test_a_rejected_one_moves_nothing_and_stays_rejected(ada: User, grace: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    adjustment = proposed(wallet, 500, ada)

    for _ in range(2):
        reject(adjustment_id=adjustment.pk, actor=grace, reason="It was charged once.")

    with pytest.raises(AdjustmentDecided):
        approve(adjustment_id=adjustment.pk, actor=grace)
    assert ledger.balance(wallet.account) == 1_000
    entries = list(AuditEntry.objects.order_by("pk").values_list("action", "reason"))
    assert entries == [("adjustment.proposed", "Charged twice in May."), ("adjustment.rejected", "It was charged once.")]


def test_an_approved_one_is_not_rejected(ada: User, grace: User) -> None:
    adjustment = proposed(make_wallet(), 500, ada)
    approve(adjustment_id=adjustment.pk, actor=grace)

    with pytest.raises(AdjustmentDecided):
        reject(adjustment_id=adjustment.pk, actor=grace)


def test_what_is_owed_is_repaid_from_it_first(ada: User, grace: User) -> None:
    wallet = make_wallet()
    story = fund(wallet, 1_000)
    spending.spend(wallet=wallet, money=Money(1_000, "eur"), description="Posters", key="k", actor=None)
    settle_events(story.refunded("a", 400, at=100, in_all=400), source="webhook")
    assert ledger.balance(wallet.receivable) == 400

    approve(adjustment_id=proposed(wallet, 450, ada).pk, actor=grace)

    wallet.refresh_from_db()
    assert (ledger.balance(wallet.receivable), ledger.balance(wallet.account), wallet.owed_since) == (0, 50, None)
    assert list(check_books()) == []


def test_taking_away_tells_when_little_is_left(ada: User, grace: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    Wallet.objects.filter(pk=wallet.pk).update(low_balance_minor=500)

    approve(adjustment_id=proposed(wallet, -600, ada).pk, actor=grace)

    assert Notice.objects.filter(kind="low_balance").count() == 1
    wallet.refresh_from_db()
    assert wallet.is_low


@pytest.mark.parametrize("amount_minor", [0, MOST_MINOR + 1, -MOST_MINOR - 1])
def test_an_amount_that_is_none_or_cannot_be_meant_is_refused(ada: User, amount_minor: int) -> None:
    wallet = make_wallet()

    with pytest.raises(InvalidInput):
        proposed(wallet, amount_minor, ada)

    assert (WalletAdjustment.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_a_proposal_needs_a_reason(ada: User) -> None:
    with pytest.raises(InvalidInput):
        propose(wallet=make_wallet(), amount_minor=5, reason="  ", actor=ada)
    assert WalletAdjustment.objects.count() == 0


def test_what_does_not_exist_is_not_found(grace: User) -> None:
    for decide in (approve, reject):
        with pytest.raises(NotFound):
            decide(adjustment_id="adjustment_none", actor=grace)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_of_two_approvals_at_once_one_moves_the_money(ada: User, grace: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    adjustment = proposed(wallet, -700, ada)
    other = proposed(wallet, -700, ada)
    failed: list[type[BaseException]] = []

    def decide(pk: str) -> None:
        try:
            with tenancy.everything():
                approve(adjustment_id=pk, actor=grace)
        except InsufficientFunds as error:
            failed.append(type(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(pk,)) for pk in (adjustment.pk, adjustment.pk, other.pk)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.balance(wallet.account) == 300
    assert Transfer.objects.filter(key__startswith="adjustment:").count() == 1
    assert sorted(WalletAdjustment.objects.values_list("state", flat=True)) == ["approved", "proposed"]
    assert set(failed) == {InsufficientFunds}
    assert list(check_books()) == []
