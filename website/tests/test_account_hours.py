"""Hours and subscriptions on the account's page, and changing a subscription from there."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.tests.factories import UserFactory
from payments import stripe_gateway
from payments.money import Money
from pricing.models import HourLot, PricingPlan, Subscription
from pricing.tests.factories import give_hours, make_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_plan_on_sale() -> None:
    """But for what the test makes."""
    PricingPlan.objects.all().delete()


def text(response: Any) -> str:
    return str(response.content.decode())


def test_account_leaves_out_lots_that_are_used_up_or_over(client):
    ada, now = UserFactory.create(), timezone.now()
    give_hours(ada, 300, actor=ada, expires_at=now + timedelta(days=9))
    over = give_hours(ada, 200, actor=ada, expires_at=now + timedelta(days=1))
    HourLot.objects.filter(pk=over.pk).update(expires_at=now - timedelta(days=1))
    client.force_login(ada)

    page = text(client.get("/account"))

    assert re.findall(r'id="hours-(\w+)">([\d.]+)<', page) == [
        ("remaining", "3"),
        ("purchased", "5"),
        ("consumed", "0"),
        ("expired", "2"),
    ]
    assert re.findall(r'<tr><td>([^<]+)</td><td class="number">([^<]+)<', page) == [("Given by us", "3")]


def subscribed(**fields: Any) -> Subscription:
    plan = make_plan(name="Monthly", days=None)
    state = {"stripe_id": "sub_1", "stripe_item": "si_1", "state": "active", **fields}
    return Subscription.objects.create(user=UserFactory.create(), plan=plan, currency="eur", **state)


def test_subscription_is_changed_by_its_owner_only(client, monkeypatch):
    subscription = subscribed()
    monkeypatch.delattr(stripe_gateway, "update_subscription")
    client.force_login(UserFactory.create())

    page = client.post(f"/account/subscriptions/{subscription.pk}", {"act": "cancel"}, follow=True)

    assert "There is no such subscription." in text(page)


@pytest.mark.parametrize("body", [{}, {"act": "explode"}, {"act": "change"}, {"act": "change", "plan": "x"}])
def test_nonsense_changes_nothing_at_stripe(client, monkeypatch, body):
    subscription = subscribed()
    monkeypatch.delattr(stripe_gateway, "update_subscription")
    client.force_login(subscription.user)

    page = client.post(f"/account/subscriptions/{subscription.pk}", body, follow=True)

    assert "Choose what to change the subscription to." in text(page)


def test_subscription_is_changed_from_this_site_s_own_pages_only():
    subscription, strict = subscribed(), Client(enforce_csrf_checks=True)
    strict.force_login(subscription.user)

    assert strict.post(f"/account/subscriptions/{subscription.pk}", {"act": "cancel"}).status_code == 403
    assert strict.get(f"/account/subscriptions/{subscription.pk}").status_code == 405


def test_account_offers_the_plans_of_the_same_currency_that_are_not_taken(client):
    subscription = subscribed()
    more = make_plan(name="More", days=None, price=Money(10_400, "eur"))
    make_plan(name="Dollars", days=None, price=Money(10_400, "usd"))
    make_plan(name="Package")
    client.force_login(subscription.user)

    page = text(client.get("/account"))

    assert re.findall(r'<option value="(\d+)">([^<]+)</option>', page) == [(str(more.pk), "More, €104 a month")]


def test_account_shows_the_plan_of_the_paid_month_and_from_when_another_one_counts(client):
    until = timezone.now() + timedelta(days=9)
    agreed = {"hours_hundredths": 800, "amount_minor": 9900, "current_period_end": until}
    more = make_plan(name="More", days=None, price=Money(10_400, "eur"))
    subscription = subscribed(**agreed)
    Subscription.objects.update(paid_plan=subscription.plan, plan=more, changes_at=until)
    client.force_login(subscription.user)

    page = " ".join(text(client.get("/account")).split())

    assert "<h3>Monthly <span" in page
    assert f'<p class="changing">More begins on <time datetime="{until:%Y-%m-%dT%H:%M}' in page
    assert "8 hours each month for €99 from then on." in page
    assert re.findall(r"<option[^>]*>([^<]+)<", page) == ["Monthly, €75 a month"]


def test_account_shows_the_price_that_was_agreed_and_none_of_a_subscription_that_ends(client):
    until = timezone.now() + timedelta(days=9)
    subscription = subscribed(hours_hundredths=450, amount_minor=4900, current_period_end=until)
    client.force_login(subscription.user)

    assert "4.5 hours each month for €49." in " ".join(text(client.get("/account")).split())
    Subscription.objects.update(cancel_at_period_end=True)
    page = " ".join(text(client.get("/account")).split())
    assert "each month for" not in page
    assert "<p>It ends on <time" in page
