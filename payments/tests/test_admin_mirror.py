"""The mirror in the back office: what may be seen, and that nothing can be done there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from djstripe import models as djstripe

from accounts.models import User
from donations.tests.factories import pending_donation
from payments.mirror import MODELS
from payments.models import Payment

pytestmark = pytest.mark.django_db
LIST = "/admin/djstripe/charge/"
PASSWORD = "correct horse battery"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser(email="staff@example.org", password=PASSWORD))
    return client


def charge(stripe_id: str = "ch_1", intent: str | None = None) -> Any:
    data = {"amount": 2500, "currency": "usd", "status": "succeeded", "note": "kept", "client_secret": "ch_1_secret_x"}
    return djstripe.Charge.objects.create(
        id=stripe_id,
        amount=25,
        currency="usd",
        status="succeeded",
        created=timezone.now(),
        payment_intent_id=intent,
        stripe_data=data,
    )


def test_only_what_the_mirror_keeps_is_registered_and_nothing_that_holds_keys() -> None:
    registered = {model for model in admin.site._registry if model._meta.app_label == "djstripe"}
    assert registered == set(MODELS.values())
    assert not registered & {djstripe.APIKey, djstripe.WebhookEndpoint, djstripe.WebhookEventTrigger}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.__name__)
def test_each_list_opens(model: Any, staff: Client) -> None:
    assert staff.get(f"/admin/djstripe/{model._meta.model_name}/").status_code == 200


def test_a_row_is_shown_with_what_it_names_and_without_secrets(staff: Client) -> None:
    djstripe.PaymentIntent.objects.create(id="pi_1", stripe_data={"amount": 2500, "currency": "usd", "status": "succeeded"})
    charge(intent="pi_1")
    page = staff.get(f"{LIST}ch_5F1/change/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "$25.00" in text
    assert '<a href="/admin/djstripe/paymentintent/pi_5F1/change/">pi_1</a>' in text
    assert "kept" in text
    assert "secret" not in text.replace("csrfmiddlewaretoken", "")


def test_a_row_is_found_by_its_number_and_by_its_id(staff: Client) -> None:
    row = charge()
    charge("ch_2")
    assert staff.get(f"{LIST}{row.pk}/change/").status_code == 200
    found = staff.get(LIST, {"q": "ch_2"}).content.decode()
    assert ("ch_2" in found, "ch_1" in found) == (True, False)


@pytest.mark.parametrize("path", [f"{LIST}add/", f"{LIST}ch_5F1/delete/"])
def test_nothing_is_added_or_deleted(path: str, staff: Client) -> None:
    charge()
    assert staff.get(path).status_code == 403
    assert staff.post(path, {"post": "yes"}).status_code == 403
    assert djstripe.Charge.objects.count() == 1


def test_nothing_is_changed_and_no_action_is_offered(staff: Client) -> None:
    row = charge()
    assert staff.post(f"{LIST}ch_5F1/change/", {"amount": "1"}).status_code == 403
    page = staff.post(LIST, {"action": "_resync_instances", "_selected_action": [str(row.pk)]})
    assert "action" not in staff.get(LIST).context["cl"].list_display
    assert page.status_code in {200, 302}
    row.refresh_from_db()
    assert (row.amount, djstripe.APIKey.objects.count()) == (25, 0)


def test_whoever_may_not_see_it_does_not(client: Client) -> None:
    charge()
    user = User.objects.create_user(email="clerk@example.org", password=PASSWORD, is_staff=True)
    client.force_login(user)
    assert client.get(LIST).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_charge", content_type__app_label="djstripe"))
    assert client.get(LIST).status_code == 200
    assert client.get("/admin/djstripe/customer/").status_code == 403


def test_a_list_counts_nothing_and_costs_the_same_for_any_length(staff: Client) -> None:
    charge("ch_0")
    staff.get(LIST)
    with CaptureQueriesContext(connection) as short:
        staff.get(LIST)
    for number in range(1, 60):
        charge(f"ch_{number}")
    with CaptureQueriesContext(connection) as long:
        staff.get(LIST)
    assert len(short) == len(long)
    assert not any("COUNT(" in query["sql"] for query in long.captured_queries)


def test_a_payment_links_to_its_mirrored_objects_and_to_the_dashboard(staff: Client, settings: Any) -> None:
    settings.STRIPE_MIRROR, settings.STRIPE_API_BASE = True, None
    payment = pending_donation().payment
    Payment.objects.filter(pk=payment.pk).update(payment_intent="pi_1", charge="ch_1")
    djstripe.PaymentIntent.objects.create(id="pi_1", stripe_data={})
    text = staff.get(f"/admin/payments/payment/{payment.pk.replace('_', '_5F')}/change/").content.decode()
    assert '<a href="/admin/djstripe/paymentintent/pi_5F1/change/">pi_1</a>' in text
    assert "/admin/djstripe/charge/ch" not in text
    assert '<a href="https://dashboard.stripe.com/test/payments/pi_1" rel="noreferrer">pi_1</a>' in text


def test_with_a_sandbox_nothing_links_to_the_dashboard(staff: Client) -> None:
    payment = pending_donation().payment
    Payment.objects.filter(pk=payment.pk).update(payment_intent="pi_1")
    page = staff.get(f"/admin/payments/payment/{payment.pk.replace('_', '_5F')}/change/")
    assert (page.status_code, b"dashboard.stripe.com" in page.content) == (200, False)
