"""What a wallet's routes refuse, and that a refusal leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Organization, Role
from accounts.signing_in import issue_tokens
from wallets.models import Wallet, WalletHold, WalletSpend
from wallets.tests.factories import join, make_organization, make_wallet

pytestmark = pytest.mark.django_db


def client_of(organization: Organization) -> APIClient:
    made = APIClient(raise_request_exception=False)
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=organization.memberships.get().user).access}")
    return made


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.mark.parametrize(
    ("body", "status"),
    [({"amount": "0"}, 400), ({"amount": "5.5"}, 400), ({"amount": "1000", "payment_method_id": "method_x"}, 404)],
)
def test_a_top_up_that_is_refused_opens_no_wallet(organization: Organization, body: dict[str, Any], status: int) -> None:
    asked = {"organization_id": organization.pk, "currency": "jpy", **body}
    answer = client_of(organization).post("/api/payments/create-intent", asked, format="json")
    assert (answer.status_code, Wallet.objects.count()) == (status, 0)


def test_settings_that_are_refused_open_no_wallet(organization: Organization) -> None:
    asked = {"currency": "jpy", "low_balance": "0.5"}
    answer = client_of(organization).patch(f"/api/wallets/{organization.pk}", asked, format="json")
    assert (answer.status_code, Wallet.objects.count()) == (400, 0)


@pytest.mark.parametrize(("act", "rows"), [("spend", WalletSpend), ("holds", WalletHold)])
def test_one_key_for_two_currencies_is_refused(organization: Organization, act: str, rows: type[Any]) -> None:
    client = client_of(organization)
    for currency in ("eur", "usd"):
        make_wallet(organization, currency, 10_000)
    answers = [
        client.post(
            f"/api/wallets/{organization.pk}/{act}",
            {"amount": "10.00", "currency": currency, "description": "Chalk"},
            format="json",
            headers={"Idempotency-Key": "one"},
        )
        for currency in ("eur", "usd", "eur")
    ]
    assert [answer.status_code for answer in answers][:2] == [201, 422]
    assert answers[1].json()["code"] == "idempotency_key_reused"
    assert answers[2].json()["id"] == answers[0].json()["id"]
    assert rows.objects.count() == 1


def test_what_a_member_may_not_read_a_head_request_does_not_measure(organization: Organization) -> None:
    member = join(organization, role=Role.MEMBER)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=member).access}")
    path = f"/api/organizations/{organization.pk}/invitations"
    assert (client.get(path).status_code, client.head(path).status_code) == (403, 403)
