"""Topping up by itself: what is not known yet, what is wanted no more, and what ends a pause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from conventions.errors import DomainError
from payments import checkout, stripe_gateway
from payments.errors import StripeRefused, StripeUnavailable
from payments.models import Payment
from payments.money import Money
from payments.settlement import settle_events, settle_objects
from payments.tests.stripe_objects import Story
from wallets import automatic, fulfilment, spending
from wallets.models import TopUp, Wallet
from wallets.tests.factories import make_method, make_organization, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet() -> Wallet:
    """Empty, below its threshold, with a card; nothing was tried yet."""
    made = make_wallet(make_organization(stripe_customer="cus_1"))
    make_method(made.organization)
    rule = {"top_up_below_minor": 2_000, "top_up_amount_minor": 5_000, "top_up_daily_limit_minor": 50_000}
    Wallet.objects.filter(pk=made.pk).update(**rule, top_up_due_at=timezone.now())
    made.refresh_from_db()
    return made


def unsent(wallet: Wallet, *, age: timedelta) -> TopUp:
    """An automatic top-up whose call was written down, and may have been sent."""
    payment = pending_top_up(wallet, 5_000, is_automatic=True)
    checkout.plan_call(payment.pk, checkout.INTENT, {"customer": "cus_1"})
    TopUp.objects.filter(payment=payment).update(created_at=timezone.now() - age)
    return TopUp.objects.select_related("payment", "wallet__organization").get(payment=payment)


def failed(wallet: Wallet) -> Story:
    story = Story(pending_top_up(wallet, 5_000, is_automatic=True))
    settle_events(story.declined(), source="webhook")
    wallet.refresh_from_db()
    return story


# -- whose answer never came -----------------------------------------------------------------------------
@pytest.mark.parametrize("age", [timedelta(minutes=2), timedelta(hours=23), timedelta(days=9)])
def test_while_a_charge_may_have_been_made_no_other_one_is(wallet: Wallet, age: timedelta) -> None:
    made = unsent(wallet, age=age)
    assert automatic.due() == []
    assert automatic.top_up(wallet.pk) is None
    assert [one.pk for one in automatic.unsent()] == [made.pk]
    assert TopUp.objects.count() == 1


def test_a_charge_that_was_given_up_makes_room_for_another(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_gateway, "find_intent", lambda **_: None)
    automatic.finish(unsent(wallet, age=timedelta(days=2)))
    assert (Payment.objects.get().status, automatic.due()) == ("canceled", [wallet.pk])


def test_a_charge_of_another_amount_than_is_wanted_now_is_not_sent(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    unsent(wallet, age=timedelta(minutes=2))
    Wallet.objects.update(top_up_amount_minor=1_000, top_up_daily_limit_minor=1_000)
    sent: list[Any] = []
    monkeypatch.setattr(stripe_gateway, "create", lambda *call, **_: sent.append(call))
    monkeypatch.setattr(stripe_gateway, "find_intent", lambda **_: None)
    [made] = automatic.unsent()
    automatic.finish(made)
    assert (sent, Payment.objects.get().status) == ([], "canceled")


def test_the_daily_limit_counts_what_was_planned_long_ago_and_paid_today(wallet: Wallet) -> None:
    Wallet.objects.update(top_up_daily_limit_minor=5_000)
    made = unsent(wallet, age=timedelta(hours=30))
    now = timezone.now()
    settle_objects([Story(made.payment).intent("succeeded") | {"customer": "cus_1"}])
    # Paid two hours ago, and spent since.
    Payment.objects.update(paid_at=now - timedelta(hours=2))
    TopUp.objects.update(paid_at=now - timedelta(hours=2))
    spending.spend(wallet=wallet, money=Money(4_000, "eur"), description="Chalk", key="1", actor=None)
    assert automatic.due() == [wallet.pk]
    assert automatic.top_up(wallet.pk) is None
    assert TopUp.objects.count() == 1


def test_an_older_failure_that_is_paid_does_not_end_the_pause_of_a_newer(wallet: Wallet) -> None:
    older = failed(wallet)
    Wallet.objects.update(top_up_paused_at=None, top_up_paused_reason="")  # the rule was sent again
    newer = failed(wallet)
    settle_events(older.succeeded()[:2], source="webhook")
    wallet.refresh_from_db()
    assert wallet.top_up_paused_at is not None
    settle_events(newer.succeeded()[:2], source="webhook")
    wallet.refresh_from_db()
    assert wallet.top_up_paused_at is None


def test_a_charge_that_is_wanted_no_more_is_looked_for_and_not_sent(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    unsent(wallet, age=timedelta(minutes=2))
    never = {"top_up_below_minor": None, "top_up_amount_minor": None, "top_up_daily_limit_minor": None}
    Wallet.objects.update(**never)
    sent: list[Any] = []
    monkeypatch.setattr(stripe_gateway, "create", lambda *call, **_: sent.append(call))
    monkeypatch.setattr(stripe_gateway, "find_intent", lambda **_: None)
    [made] = automatic.unsent()
    automatic.finish(made)
    assert (sent, Payment.objects.get().status, TopUp.objects.get().state) == ([], "canceled", "abandoned")


# -- pauses ----------------------------------------------------------------------------------------------
def test_a_failed_charge_that_is_paid_after_all_ends_its_pause(wallet: Wallet) -> None:
    story = failed(wallet)
    assert wallet.top_up_paused_at is not None
    settle_events(story.succeeded()[:2], source="webhook")
    wallet.refresh_from_db()
    assert wallet.top_up_paused_at is None


def test_a_refund_of_what_once_failed_does_not_end_the_pause_of_another(wallet: Wallet) -> None:
    story = failed(wallet)
    settle_events(story.succeeded()[:2], source="webhook")
    failed(wallet)
    assert wallet.top_up_paused_at is not None
    settle_events(story.refunded("a", 1_000, at=100, in_all=1_000), source="webhook")
    wallet.refresh_from_db()
    assert wallet.top_up_paused_at is not None
    assert automatic.due() == []


def test_new_settings_are_limited_as_payments_are_and_reading_is_not(wallet: Wallet, settings: Any) -> None:
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"checkout": "2/m"}
    client = APIClient()
    client.force_authenticate(wallet.organization.memberships.get().user)
    statuses = [client.patch(f"/api/wallets/{wallet.organization_id}", {}, format="json").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert client.get(f"/api/wallets/{wallet.organization_id}").status_code == 200


# -- the sweep -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("error", "tried"), [(StripeUnavailable("down"), 3), (StripeRefused("no"), 5)])
def test_a_stripe_that_is_down_holds_up_the_sweep_for_three_calls(error: DomainError, tried: int) -> None:
    rows: list[int] = []

    def work(row: int) -> None:
        rows.append(row)
        raise error

    assert (fulfilment._each(range(5), work), len(rows)) == (0, tried)
