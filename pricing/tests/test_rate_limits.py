"""What asks Stripe is limited as a checkout is, whichever route it comes by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from accounts.tests.factories import UserFactory
from payments import stripe_gateway
from pricing.tests.test_api import FINANCES, as_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_a_minute(settings: Any) -> Iterator[None]:
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"checkout": "2/m"}
    cache.clear()
    yield
    cache.clear()


def test_acts_on_a_subscription_are_limited_and_looking_is_not() -> None:
    client = as_user(UserFactory.create())
    body = {"subscription_id": "subscription_x", "action": "cancel"}
    acts = [client.post(f"{FINANCES}/subscription/", body, format="json").status_code for _ in range(3)]
    assert acts == [404, 404, 429]
    assert client.get(f"{FINANCES}/subscription/").status_code == 200


def test_the_portal_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(stripe_gateway, "open_portal", lambda **call: asked.append(call) or "https://billing.example")
    client = as_user(UserFactory.create(stripe_customer="cus_9"))
    answers = [client.post(f"{FINANCES}/subscription/portal/", {}, format="json").status_code for _ in range(3)]
    assert (answers, len(asked)) == ([200, 200, 429], 2)
