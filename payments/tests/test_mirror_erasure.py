"""Whoever was erased stays erased in the mirror, under whatever name Stripe still has them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from djstripe import models as djstripe

from donations.tests.factories import pending_donation
from payments.mirror import Mirror
from payments.models import MirrorGap, Payment
from payments.persons import ERASED_DOMAIN, erased_ids
from payments.settlement import settle_events
from payments.tests.stripe_objects import BORN, Story

pytestmark = pytest.mark.django_db
Json = dict[str, Any]
CUSTOMER = {"id": "cus_ada", "object": "customer", "email": "ada@example.org", "name": "Ada", "livemode": False, "created": BORN}
OTHER = CUSTOMER | {"id": "cus_grace", "email": "grace@example.org", "name": "Grace"}


def card(name: str, customer: Any) -> Json:
    return {"id": name, "object": "payment_method", "type": "card", "customer": customer, "livemode": False, "created": BORN,
            "billing_details": {"name": "of the card"}, "metadata": {}}  # fmt: skip


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Mirror:
    story = Story(pending_donation().payment)
    settle_events(story.succeeded(), source="webhook")
    pk = story.payment.pk
    Payment.objects.filter(pk=pk).update(stripe_customer="cus_ada", customer_email=f"{pk}{ERASED_DOMAIN}", customer_name="Erased")
    monkeypatch.setattr(Mirror, "account", lambda self: None)
    return Mirror(until=timezone.now() + timedelta(minutes=1))


def mirrored() -> list[str]:
    models = (djstripe.Customer, djstripe.PaymentMethod, djstripe.PaymentIntent)
    return sorted(pk for model in models for pk in model.objects.values_list("id", flat=True))


def test_the_customer_of_a_list_is_left_out(mirror: Mirror) -> None:
    assert erased_ids(["cus_ada", "cus_grace"]) >= {"cus_ada"}
    mirror.write_all("customer", [CUSTOMER, OTHER])
    assert (mirrored(), MirrorGap.objects.count()) == (["cus_grace"], 0)


@pytest.mark.parametrize("customer", ["cus_ada", CUSTOMER])
def test_a_saved_card_of_an_erased_customer_is_left_out(customer: Any, mirror: Mirror) -> None:
    mirror.write_all("customer", [OTHER])
    mirror.write_all("payment_method", [card("pm_ada", customer), card("pm_grace", "cus_grace")])
    assert (mirrored(), MirrorGap.objects.count()) == (["cus_grace", "pm_grace"], 0)


def test_what_another_object_brings_along_is_left_out_too(mirror: Mirror) -> None:
    intent = {
        "id": "pi_later", "object": "payment_intent", "amount": 500, "amount_capturable": 0, "amount_received": 500,
        "currency": "usd", "status": "succeeded", "capture_method": "automatic", "confirmation_method": "automatic",
        "customer": None, "payment_method": card("pm_ada", "cus_ada"), "payment_method_types": ["card"], "livemode": False,
        "created": BORN, "metadata": {},
    }  # fmt: skip
    mirror.write_all("payment_intent", [intent])
    assert (mirrored(), MirrorGap.objects.count()) == (["pi_later"], 0)
    assert djstripe.PaymentIntent.objects.get().payment_method_id is None
