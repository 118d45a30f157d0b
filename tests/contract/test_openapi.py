"""The project's OpenAPI document, judged by schemathesis against the running project: all checks, seeded, bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from campaigns.models import Campaign
from pricing.models import Product
from pricing.tests.factories import make_plan
from tests.live import Live, a_campaign

SEED, EXAMPLES, TIMEOUT_S = 2026, 12, 900
# What a document cannot say: that a password is too common, that a link was used before, that an amount is finer than
# the currency or below its minimum, that a campaign, plan, student or session does not exist, that hours are finer than a
# hundredth or a session reference used, that a Stripe session was never made, which organizations one is in,
# which wallets and holds they have.
CONFIG = """
[[operations]]
include-operation-id = [
    "auth_register", "auth_verify_email", "auth_password_reset_confirm", "donations_create_checkout_session",
    "payments_stripe_session", "campaigns_create", "campaigns_update", "auth_me_change", "donors_me_update",
    "purchase_initiate", "hours_consume", "hours_reverse", "subscription_change", "subscription_portal",
    "student_balance", "student_purchases", "student_consumption", "checkout_embedded_session", "checkout_session_status",
    "organizations_create", "organization", "organization_rename", "organization_members", "organization_member_change",
    "organization_member_remove", "organization_invitations", "organization_invitation_withdraw",
    "organization_invitation_accept", "payments", "payment", "payments_statistics", "payments_create_intent",
    "payments_client_secret", "wallets", "wallets_change", "wallet_transactions", "wallets_spend", "wallets_hold",
    "wallets_holds", "wallets_capture", "wallets_release_hold", "wallets_reverse_spend",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]

# And that an address was invited within the last minute.
[[operations]]
include-operation-id = "organization_invite"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "429"]
"""


def judge(live: Live, tmp_path: Path, *arguments: str) -> str:
    """Run schemathesis as a program; returns its report, and fails with it."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(config),
        "run",
        f"{live.url}/api/schema/?format=json",
    ]
    bounds = ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", str(SEED), "--generation-database", "none"]
    done = subprocess.run(
        [*command, *bounds, "--continue-on-failure", "--suppress-health-check", "all", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    return done.stdout


@pytest.fixture
def ready(live: Live) -> Live:
    a_campaign(title="Clean water", slug="clean-water")
    live.give_and_pay(campaign_id=str(Campaign.objects.get().pk), donor_name="Ada")
    make_plan(name="Five hours")
    Product.objects.create(sku="a-book", name="A book", amount_minor=900, currency="eur")
    return live


def staff_token(live: Live) -> str:
    token = live.register("staff@example.org")
    User.objects.filter(email="staff@example.org").update(is_staff=True, is_superuser=True)
    return token


def test_document_describes_every_route_and_says_3_1(live: Live) -> None:
    document = live.get("/api/schema/", format="json")
    assert document["openapi"].startswith("3.1")
    paths = set(document["paths"])
    for contract in (
        "/api/donations/create-checkout-session/",
        "/api/payments/stripe/session/{session_id}",
        "/api/donations",
        "/api/finances/api/pricing-plans/",
        "/api/finances/api/hours/consumptions/{consumption_id}/reverse/",
        "/api/checkout/embedded-session",
        "/api/organizations/{organization_id}/members/{member_id}",
    ):
        assert contract in paths
    for methods in document["paths"].values():
        for method, operation in methods.items():
            assert operation["responses"], (method, operation)


def test_document_holds_for_a_stranger(ready: Live, tmp_path: Path) -> None:
    """Without the coverage phase, whose every case the next test sends too, with and without its token."""
    assert " passed" in judge(ready, tmp_path, "--phases", "examples,fuzzing")


def test_document_holds_for_staff_with_a_token(ready: Live, tmp_path: Path) -> None:
    assert " passed" in judge(ready, tmp_path, "--header", f"Authorization: Bearer {staff_token(ready)}")


def test_document_does_not_need_a_token(live: Live, settings: Any) -> None:
    answer = live.ask("GET", "/api/schema/")
    assert answer.status_code == 200
    assert "openapi" in answer.headers["Content-Type"]
