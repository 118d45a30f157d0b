"""An address that grows in lower case is judged as it is kept, on every route that takes one from a guest."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from donations.tests.factories import CampaignFactory
from payments.models import Payment
from pricing.tests.factories import make_plan

pytestmark = pytest.mark.django_db
GROWS = "a@" + ".".join(["İ" * 60] * 4) + ".com"  # 249 characters, 489 in lower case


def body_of(path: str) -> dict[str, Any]:
    if "purchase" in path:
        return {"plan_id": make_plan().pk, "student_info": {"name": "Ada", "email": GROWS}}
    if "donations" in path:
        return {"amount": 25, "campaign_id": CampaignFactory().pk, "email": GROWS}
    return {"customer_email": GROWS}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/finances/api/purchase/initiate/", "student_info.email"),
        ("/api/donations/create-checkout-session/", "email"),
        ("/api/checkout/embedded-session", "customer_email"),
    ],
)
def test_is_refused_by_its_field(path: str, field: str) -> None:
    answer = APIClient(raise_request_exception=False).post(path, body_of(path), format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    assert Payment.objects.count() == 0
