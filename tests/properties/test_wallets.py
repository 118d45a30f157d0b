"""Wallets under any order of facts and acts: never below zero, never money beside a debt, and every balance explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from conventions.errors import DomainError
from payments import ledger
from payments.inbox import Envelope
from payments.models import Payment
from payments.money import Money
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from tests.properties.paying import PROFILE, Paying, pending
from tests.properties.test_order_of_events import STORIES
from wallets import holding, spending
from wallets.models import TopUp, Wallet, WalletHold, WalletSpend
from wallets.tests.factories import make_organization, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db
AMOUNT_MINOR = 2_500  # what the stories are written for
# Balance and what is owed after each story, with 1,000 there before it and 2,000 spent as soon as there was enough.
SPENT_MINOR = 2_000
ENDS = {
    "success": (1_500, 0),
    "decline, then success": (1_500, 0),
    "partial refunds": (500, 0),
    "full refund": (0, 1_000),
    "refund that fails": (1_500, 0),
    "dispute won": (1_500, 0),
    "dispute lost": (0, 1_000),
    "partial refund, then dispute lost": (0, 1_700),
    "inquiry, then dispute of a part": (500, 0),
    "delayed success": (1_500, 0),
    "delayed failure": (1_000, 0),
    "expiry": (1_000, 0),
}


@pytest.fixture(params=sorted(STORIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def tell(wallet: Wallet, payment: Payment, batches: Sequence[Sequence[Envelope]], *, spend_after: int) -> tuple[int, int, Any]:
    """Apply the batches, spend as soon as there is enough from `spend_after` on; look, and undo all of it."""
    with transaction.atomic():
        spent = False
        for number, batch in enumerate([[], *batches]):
            settle_events(list({envelope.id: envelope for envelope in batch}.values()), source="webhook") if batch else None
            spent = spent or (number >= spend_after and _spend(wallet))
        assert list(check_books()) == []
        made = TopUp.objects.get(payment=payment)
        seen = (ledger.balance(wallet.account), ledger.balance(wallet.receivable), (made.state, made.paid_at))
        transaction.set_rollback(True)
    return seen


def _spend(wallet: Wallet) -> bool:
    try:
        spending.spend(wallet=wallet, money=Money(SPENT_MINOR, "eur"), description="x", key="once", actor=None)
    except DomainError:
        return False
    return True


def test_each_story_ends_as_it_must_when_the_money_was_spent_first(name: str) -> None:
    wallet = make_wallet(balance_minor=1_000)
    payment = pending_top_up(wallet, AMOUNT_MINOR)
    batches = [[event] for event in STORIES[name](Story(payment))]
    balance, owed, _ = tell(wallet, payment, batches, spend_after=0)
    assert (balance, owed) == ENDS[name]


@settings(PROFILE, max_examples=15)
@given(data=st.data())
def test_any_order_of_facts_ends_in_the_same_balance(name: str, data: st.DataObject) -> None:
    wallet = make_wallet(balance_minor=1_000)
    payment = pending_top_up(wallet, AMOUNT_MINOR)
    events = STORIES[name](Story(payment))
    expected = tell(wallet, payment, [[event] for event in events], spend_after=len(events) + 9)
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    batches = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    assert tell(wallet, payment, [batch for batch in batches if batch], spend_after=len(events) + 9) == expected


class Spending(Paying):
    """A model beside the rows: what went in, what went back, what was spent."""

    holds = Bundle("holds")
    spends = Bundle("spends")

    def __init__(self) -> None:
        super().__init__()
        self.keys = 0

    @initialize(target=pending)
    def found(self) -> Any:
        organization = make_organization()
        self.wallets = [make_wallet(organization, "eur"), make_wallet(organization, "jpy"), make_wallet(currency="eur")]
        return multiple(*(Story(pending_top_up(wallet, AMOUNT_MINOR)) for wallet in self.wallets))

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    # -- rules --------------------------------------------------------------------------------------
    @rule(target=pending, number=st.integers(0, 2), amount_minor=st.integers(1, 5_000))
    def start(self, number: int, amount_minor: int) -> Story:
        return Story(pending_top_up(self.wallets[number], amount_minor))

    @rule(target=spends, number=st.integers(0, 2), amount_minor=st.integers(1, 4_000))
    def spend(self, number: int, amount_minor: int) -> Any:
        wallet, money = self.wallets[number], Money(amount_minor, self.wallets[number].currency)
        had = self.standing(wallet)
        try:
            made, _ = spending.spend(wallet=wallet, money=money, description="x", key=self.key(), actor=None)
        except DomainError:
            assert had[0] < amount_minor or had[1]
            return multiple()
        assert self.standing(wallet) == (had[0] - amount_minor, 0)
        return made

    @rule(spent=spends, share=st.integers(1, 100))
    def give_back(self, spent: WalletSpend, share: int) -> None:
        spent.refresh_from_db()
        left = (spent.amount_minor - spent.reversed_minor) * share // 100
        money = Money(left, spent.currency)
        if left:
            spending.reverse(spend_id=spent.pk, money=money, reason="x", key=self.key(), actor=None)

    @rule(target=holds, number=st.integers(0, 2), amount_minor=st.integers(1, 2_000))
    def hold(self, number: int, amount_minor: int) -> Any:
        wallet, money = self.wallets[number], Money(amount_minor, self.wallets[number].currency)
        try:
            return holding.authorize(wallet=wallet, money=money, description="x", key=self.key(), actor=None)[0]
        except DomainError:
            return multiple()

    @rule(target=spends, hold=consumes(holds), share=st.integers(1, 100))
    def capture(self, hold: WalletHold, share: int) -> WalletSpend:
        money = Money(max(1, hold.amount_minor * share // 100), hold.currency)
        return holding.capture(hold_id=hold.pk, money=money, actor=None)

    @rule(hold=consumes(holds))
    def release(self, hold: WalletHold) -> None:
        holding.release(hold_id=hold.pk, reason="not needed", actor=None)

    # -- what must hold -----------------------------------------------------------------------------
    def standing(self, wallet: Wallet) -> tuple[int, int]:
        return ledger.balance(wallet.account), ledger.balance(wallet.receivable)

    @invariant()
    def every_balance_is_what_went_in_and_out(self) -> None:
        for wallet in getattr(self, "wallets", []):
            payments = Payment.objects.filter(top_up__wallet=wallet, pk__in=self.paid_for)
            came = sum(payment.net_minor for payment in payments)
            spent = sum(s.amount_minor - s.reversed_minor for s in WalletSpend.objects.filter(wallet=wallet))
            held = sum(WalletHold.objects.filter(wallet=wallet, state="authorized").values_list("amount_minor", flat=True))
            balance, owed = self.standing(wallet)
            assert balance - owed == came - spent - held
            assert min(balance, owed) == 0


def test_whatever_happens_no_cent_is_lost_or_made() -> None:
    run_state_machine_as_test(Spending, settings=settings(PROFILE, max_examples=20, stateful_step_count=30))
