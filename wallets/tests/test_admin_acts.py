"""What staff do to wallets in the back office: once, with a reason, by who may, and never to more than is there."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from conventions.admin_showing import change_url
from payments import ledger
from payments.models import Payment, StripeEvent
from payments.money import Money
from payments.proving import check_books
from payments.settlement import settle_events, settle_stored
from payments.tests.stripe_objects import Story
from wallets import holding
from wallets.models import (
    SpendReversal,
    TopUp,
    Wallet,
    WalletAdjustment,
    WalletHold,
    WalletSpend,
)
from wallets.tests.back_office import lively, post, spend, staff, told
from wallets.tests.factories import fund, make_organization, make_wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance() -> Client:
    return staff("finance", "clerk@example.org")


@pytest.fixture
def clerk(finance: Client) -> User:
    return User.objects.get(email="clerk@example.org")


# -- acts -----------------------------------------------------------------------------------------------
def test_staff_block_and_unblock_with_a_reason(finance: Client, clerk: User) -> None:
    wallet = make_wallet()

    assert post(finance, wallet, "block", reason="").status_code == 200
    assert post(finance, wallet, "block", reason="Asked by their bank.").status_code == 302

    wallet.refresh_from_db()
    assert (wallet.blocked_at is not None, wallet.blocked_reason) == (True, "Asked by their bank.")
    assert told(post(finance, wallet, "block", reason="Again."))[-1] == "This wallet is blocked already."
    assert post(finance, wallet, "unblock", reason="All is well.").status_code == 302
    wallet.refresh_from_db()
    assert wallet.blocked_at is None
    entries = AuditEntry.objects.order_by("pk").values_list("action", "actor", "reason")
    assert list(entries) == [
        ("wallet.blocked", clerk.pk, "Asked by their bank."),
        ("wallet.unblocked", clerk.pk, "All is well."),
    ]


def test_a_spend_is_given_back_once_by_a_form_that_is_sent_twice(finance: Client, clerk: User) -> None:
    wallet = make_wallet(balance_minor=1_000)
    spent = spend(wallet, 600)
    form = {"amount": "2.50", "reason": "Not delivered.", "ticket": "a" * 20}

    answers = [post(finance, spent, "reverse", **form) for _ in range(2)]

    assert [told(answer)[-1] for answer in answers] == [
        "€2.50 went back to the wallet.",
        "€2.50 had gone back already; nothing was done twice.",
    ]
    assert (ledger.balance(wallet.account), SpendReversal.objects.count(), AuditEntry.objects.count()) == (650, 1, 1)
    assert list(check_books()) == []


@pytest.mark.parametrize(
    ("amount", "why"),
    [
        ("6.01", "Of this spend €6.00 can still be given back, which is less than €6.01."),
        ("0", "The amount must be more than zero."),
        ("-1", "The amount must be more than zero."),
        ("1.005", "Amounts in EUR have at most 2 decimals."),
        ("a lot", "Write the amount as a number"),
    ],
)
def test_what_cannot_be_given_back_is_told_and_nothing_moves(amount: str, why: str, finance: Client) -> None:
    wallet = make_wallet(balance_minor=1_000)
    spent = spend(wallet, 600)

    answer = post(finance, spent, "reverse", amount=amount, reason="Not delivered.", ticket="a" * 20)

    assert (answer.status_code, why in answer.content.decode()) == (200, True)
    assert (ledger.balance(wallet.account), AuditEntry.objects.count()) == (400, 0)


def test_a_hold_is_released(finance: Client) -> None:
    wallet = make_wallet(balance_minor=1_000)
    hold, _ = holding.authorize(wallet=wallet, money=Money(600, "eur"), description="A hall", key="h", actor=None)

    assert told(post(finance, hold, "release", reason="Canceled."))[-1] == "€6.00 went back to the wallet."

    assert ledger.balance(wallet.account) == 1_000
    assert told(post(finance, hold, "release", reason="Canceled."))[-1] == "This hold was released already."
    assert AuditEntry.objects.count() == 1


def test_the_refund_of_a_top_up_says_that_what_was_spent_will_be_owed(finance: Client) -> None:
    payment = fund(make_wallet(), 1_000).payment

    page = finance.get(change_url(Payment, payment.pk).replace("/change/", "/refund/")).content.decode()

    assert "What was spent of it already will be owed, and nothing more can be spent until it is repaid." in page


def test_an_adjustment_is_proposed_by_one_and_approved_by_another(finance: Client) -> None:
    wallet = make_wallet(balance_minor=1_000)
    second = staff("finance", "second@example.org")

    answer = post(finance, wallet, "adjust", direction="take", amount="4.00", reason="Charged to the wrong one.")
    adjustment = WalletAdjustment.objects.get()
    own = post(finance, adjustment, "approve")

    assert told(answer) == ["Proposed. Nothing has moved yet: somebody else of the staff has to approve it."]
    assert told(own)[-1] == "You proposed this adjustment: somebody else has to decide on it."
    assert ledger.balance(wallet.account) == 1_000
    pages = [client.get(change_url(WalletAdjustment, adjustment.pk)).content.decode() for client in (finance, second)]
    hint = "You proposed it; somebody else decides."
    assert [("Approve…" in page, hint in page) for page in pages] == [(False, True), (True, False)]

    assert told(post(second, adjustment, "approve"))[-1] == "The wallet was adjusted by −€4.00."
    assert (ledger.balance(wallet.account), ledger.balance("adjustments:eur")) == (600, -400)
    assert told(post(second, adjustment, "approve"))[-1] == "This adjustment was approved already."
    page = second.get(change_url(WalletAdjustment, adjustment.pk)).content.decode()
    assert "-€4.00 given in all" in page
    assert hint not in finance.get(change_url(WalletAdjustment, adjustment.pk)).content.decode()
    assert list(check_books()) == []


def test_taking_more_than_is_there_is_told_on_the_form(finance: Client) -> None:
    wallet = make_wallet(balance_minor=1_000)
    second = staff("finance", "second@example.org")
    post(finance, wallet, "adjust", direction="take", amount="10.01", reason="Charged to the wrong one.")
    adjustment = WalletAdjustment.objects.get()

    answer = post(second, adjustment, "approve")

    assert (answer.status_code, "The wallet has €10.00: €10.01 cannot be taken away." in answer.content.decode()) == (200, True)
    assert ledger.balance(wallet.account) == 1_000


def test_a_proposal_is_rejected_with_a_reason(finance: Client) -> None:
    wallet = make_wallet(balance_minor=1_000)
    second = staff("finance", "second@example.org")
    post(finance, wallet, "adjust", direction="add", amount="4.00", reason="Charged twice.")
    adjustment = WalletAdjustment.objects.get()

    assert post(second, adjustment, "reject", reason="").status_code == 200
    assert post(second, adjustment, "reject", reason="It was charged once.").status_code == 302

    adjustment.refresh_from_db()
    assert (adjustment.state, ledger.balance(wallet.account)) == ("rejected", 1_000)
    assert AuditEntry.objects.latest("pk").reason == "It was charged once."


def test_support_sees_everything_and_can_do_none_of_it() -> None:
    support = staff("support", "support@example.org")
    wallet, _ = lively()
    adjustment = WalletAdjustment.objects.get(state="proposed")
    before = AuditEntry.objects.count()
    acts = [(wallet, "block"), (wallet, "unblock"), (wallet, "adjust"), (adjustment, "approve"), (adjustment, "reject")]
    acts += [(WalletSpend.objects.get(), "reverse"), (WalletHold.objects.get(), "release")]

    assert [post(support, row, act, reason="Why not.").status_code for row, act in acts] == [403] * len(acts)

    assert AuditEntry.objects.count() == before
    for row in (wallet, adjustment, WalletSpend.objects.get(), WalletHold.objects.get()):
        assert 'class="refund"' not in support.get(change_url(type(row), row.pk)).content.decode()


# -- money that came past us ------------------------------------------------------------------------------
def came_past_us(amount_minor: int = 2_500) -> Story:
    story = Story(Payment(purpose="unmatched", amount_minor=amount_minor, currency="eur", livemode=False))
    story.metadata = {}
    settle_events(story.succeeded(), source="webhook")
    settle_stored(StripeEvent.objects.values_list("pk", flat=True), take_in_unmatched=True)
    story.payment = Payment.objects.get(payment_intent=story.intent_id)
    return story


def assign_to(client: Client, wallet: Wallet, story: Story) -> Any:
    return post(client, story.payment, "assign", target=f"wallet:{wallet.pk}", reason="The bank transfer named them.")


def test_unmatched_money_is_assigned_to_a_wallet_with_its_later_refund_and_dispute(finance: Client) -> None:
    wallet = make_wallet(make_organization(name="Acme"))
    story = came_past_us()
    page = finance.get(change_url(Payment, story.payment.pk).replace("/change/", "/assign/"), {"q": "Acme"})
    assert f"wallet:{wallet.pk}" in page.content.decode()

    assert assign_to(finance, wallet, story).status_code == 302

    assert (ledger.balance(wallet.account), ledger.balance("unmatched:eur")) == (2_500, 0)
    top_up = TopUp.objects.get()
    assert (top_up.wallet, top_up.state, top_up.amount_minor) == (wallet, "paid", 2_500)
    settle_events(story.refunded("a", 700, at=100, in_all=700), source="webhook")
    assert (ledger.balance(wallet.account), TopUp.objects.get().state) == (1_800, "partially_refunded")
    settle_events(story.disputed("lost"), source="webhook")
    wallet.refresh_from_db()
    assert (ledger.balance(wallet.account), ledger.balance(wallet.receivable), ledger.balance("unmatched:eur")) == (0, 700, 0)
    assert wallet.owed_since is not None
    assert list(check_books()) == []


def test_what_was_refunded_before_it_was_assigned_does_not_reach_the_wallet(finance: Client) -> None:
    wallet = make_wallet()
    story = came_past_us()
    settle_events(story.refunded("a", 700, at=100, in_all=700), source="webhook")

    assign_to(finance, wallet, story)

    assert (ledger.balance(wallet.account), ledger.balance(wallet.receivable)) == (1_800, 0)
    assert TopUp.objects.get().state == "partially_refunded"
    assert list(check_books()) == []


def test_money_of_another_currency_is_not_assigned(finance: Client) -> None:
    wallet = make_wallet(currency="usd")
    story = came_past_us()

    answer = assign_to(finance, wallet, story)

    assert answer.status_code == 200
    assert (ledger.balance(wallet.account), TopUp.objects.count()) == (0, 0)


def test_assigned_money_that_was_spent_and_then_won_back_from_a_dispute_leaves_nothing_owed(finance: Client) -> None:
    wallet = make_wallet()
    story = came_past_us()
    assign_to(finance, wallet, story)
    spend(wallet, 2_000)

    for event in story.disputed("won"):
        settle_events([event], source="webhook")

    wallet.refresh_from_db()
    assert (ledger.balance(wallet.account), ledger.balance(wallet.receivable), wallet.owed_since) == (500, 0, None)
    assert list(check_books()) == []
