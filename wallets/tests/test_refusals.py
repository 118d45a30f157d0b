"""What a wallet's routes refuse, and that a refusal leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Organization, Role, User
from accounts.signing_in import issue_tokens
from accounts.tests.factories import staff_with
from payments import ledger
from wallets.models import Wallet, WalletHold, WalletSpend
from wallets.tests.factories import join, make_organization, make_wallet

pytestmark = pytest.mark.django_db


def client_of(organization: Organization) -> APIClient:
    return signed_in(organization.memberships.get().user)


def signed_in(user: User) -> APIClient:
    made = APIClient(raise_request_exception=False)
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=user).access}")
    return made


def refusal(answer: Any) -> tuple[int, str, str]:
    told = answer.json()
    return answer.status_code, told["code"], told["error"]


def money_of(wallet: Wallet) -> tuple[int, int]:
    """Balance, held."""
    return ledger.balance(wallet.account), ledger.balance(wallet.held)


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


def test_a_hold_that_has_ended_and_more_than_a_hold_are_refused_by_name(organization: Organization) -> None:
    client, wallet = client_of(organization), make_wallet(organization, "usd", 1_000)
    holds = f"/api/wallets/{organization.pk}/holds"
    asked = {"amount": "3.00", "currency": "usd", "description": "A hall"}
    held = client.post(holds, asked, format="json", headers={"Idempotency-Key": "h"}).json()["id"]
    capture, release = f"{holds}/{held}/capture", f"/api/wallets/holds/{held}/release"

    assert refusal(client.post(capture, {"amount": "5.00"}, format="json")) == (
        409,
        "more_than_held",
        "The hold is $3.00, which is less than $5.00: capture at most that, and spend the rest besides.",
    )
    assert money_of(wallet) == (700, 300)
    assert client.post(capture, {"amount": "1.00"}, format="json").status_code == 201
    assert refusal(client.post(capture, {"amount": "2.00"}, format="json")) == (
        409,
        "hold_ended",
        "This hold has ended: it was captured, released, or is past its time.",
    )
    seller = signed_in(staff_with("wallets.reverse_walletspend"))
    assert refusal(seller.post(release, {"reason": "Canceled."}, format="json")) == (
        409,
        "hold_ended",
        "This hold was captured; give the spend back instead.",
    )
    assert money_of(wallet) == (900, 0)


def test_more_than_was_spent_is_not_given_back_and_says_what_can_be(organization: Organization) -> None:
    client, wallet = client_of(organization), make_wallet(organization, "usd", 1_000)
    asked = {"amount": "6.00", "currency": "usd", "description": "Chalk"}
    path = f"/api/wallets/{organization.pk}/spend"
    spent = client.post(path, asked, format="json", headers={"Idempotency-Key": "s"}).json()["id"]
    seller = signed_in(staff_with("wallets.reverse_walletspend"))

    def give_back(key: str, **amount: str) -> Any:
        body = {"reason": "Not delivered.", **amount}
        return seller.post(f"/api/wallets/spends/{spent}/reverse", body, format="json", headers={"Idempotency-Key": key})

    assert give_back("r1", amount="2.50").status_code == 201
    assert refusal(give_back("r2", amount="3.51")) == (
        409,
        "more_than_spent",
        "Of this spend $3.50 can still be given back, which is less than $3.51.",
    )
    assert give_back("r3").status_code == 201
    gone = (409, "more_than_spent", "All of this spend, $6.00, was given back already: nothing is left of it.")
    assert [refusal(give_back("r4")), refusal(give_back("r5", amount="0.01"))] == [gone, gone]
    assert money_of(wallet) == (1_000, 0)


@pytest.mark.parametrize(("act", "rows"), [("spend", WalletSpend), ("holds", WalletHold)])
def test_a_wallet_that_was_never_topped_up_is_named_as_missing(organization: Organization, act: str, rows: type[Any]) -> None:
    make_wallet(organization, "eur", 1_000)
    answer = client_of(organization).post(
        f"/api/wallets/{organization.pk}/{act}",
        {"amount": "1.00", "currency": "usd", "description": "Chalk"},
        format="json",
        headers={"Idempotency-Key": "one"},
    )
    assert refusal(answer) == (400, "no_such_wallet", "There is no such wallet yet: top it up first.")
    assert list(answer.json()["fields"]) == ["currency"]
    assert (rows.objects.count(), Wallet.objects.count()) == (0, 1)


def test_what_a_member_may_not_read_a_head_request_does_not_measure(organization: Organization) -> None:
    member = join(organization, role=Role.MEMBER)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=member).access}")
    path = f"/api/organizations/{organization.pk}/invitations"
    assert (client.get(path).status_code, client.head(path).status_code) == (403, 403)
