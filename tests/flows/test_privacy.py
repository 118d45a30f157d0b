"""What strangers can see: every public address is asked, and holds nothing that a donor did not publish."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import Organization, User
from donations.models import Donation
from payments.models import Payment
from pricing.hours import consume
from pricing.models import Subscription
from pricing.tests.factories import give_hours, make_plan
from tests.live import Live, a_campaign
from wallets.tests.factories import make_method, make_wallet

NOT_OURS = ("admin/", "api/docs/", "stripe/webhook/")
SECRETS = [
    "donors.example", "Hidden Ada", "Hidden Message",
    "Hidden Rosa", "Unpaid Uma", "Refunded Rita", "Stripe Name",
    "Hidden Hugo", "hidden-lesson", "Hidden Holdings", "hidden-spend",
]  # fmt: skip


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """Every path of the project as Django knows it, parameters and all."""
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        elif isinstance(pattern, URLPattern):
            yield path


def addresses(**known: list[str]) -> Iterator[str]:
    """Every route with each of the values known for its parameter; a parameter without any fails here."""
    for route in routes():
        if route.startswith(NOT_OURS) or route == "":
            continue
        name = re.search(r"<(?:\w+:)?(\w+)>", route)
        if name is None:
            yield f"/{route}"
            continue
        for value in known[name.group(1)]:
            yield "/" + route.replace(name.group(0), value)


def test_no_public_address_tells_what_donors_did_not_publish(live: Live) -> None:
    campaign = a_campaign(title="Clean water", slug="clean-water")
    by_user = live.register("eve@donors.example")
    hidden = {
        "anonymous": True,
        "message": "Hidden Message",
        "dedication": {"kind": "in_honour", "name": "Hidden Rosa"},
    }
    live.give_and_pay(campaign_id=campaign, donor_name="Hidden Ada", email="ada@donors.example", **hidden)
    live.give_and_pay(campaign_id=campaign, donor_name="Public Grace", email="grace@donors.example", message="Public Message")
    live.give(campaign_id=campaign, donor_name="Unpaid Uma", email="uma@donors.example")
    refunded = live.give_and_pay(campaign_id=campaign, donor_name="Refunded Rita", email="rita@donors.example")
    live.sandbox.post("refunds", payment_intent=refunded["payment_intent"]["id"])
    users = live.give(campaign_id=campaign, token=by_user, anonymous=True, donor_name="Hidden Ada")
    live.pay(users, email="eve@donors.example", name="Stripe Name")
    plan = make_plan()
    guest = {"name": "Hidden Hugo", "email": "hugo@donors.example"}
    bought = live.post("/api/finances/api/purchase/initiate/", 201, {"plan_id": plan.pk, "student_info": guest})
    card = {"payment_method": "pm_card_visa", "return_url": live.url}
    live.sandbox.stripe("POST", f"/v1/payment_intents/{bought['payment_intent_id']}/confirm", **card)
    live.flush()
    student = User.objects.get(email="eve@donors.example")
    give_hours(student, 100, actor=student)
    session = consume(student=student, hundredths=50, session_reference="hidden-lesson", actor=student)
    running = Subscription.objects.create(user=student, plan=plan, currency="eur", state="canceled")
    organization = live.post("/api/organizations", 201, {"name": "Hidden Holdings"}, token=by_user)["id"]
    wallet = make_wallet(Organization.objects.get(pk=organization), balance_minor=9_999)
    body = {"amount": 1, "description": "hidden-spend"}
    spent = live.post(f"/api/wallets/{organization}/spend", 201, body, token=by_user, key="k")["id"]
    held = live.post(f"/api/wallets/{organization}/holds", 201, body, token=by_user, key="k")["id"]
    donations = list(Donation.objects.values_list("pk", flat=True))
    seen = 0
    known = {
        "campaign": [campaign, "clean-water"],
        "donation_id": donations,
        # A guest's own session is shown to whoever holds its id; a user's shows no address.
        "session_id": [users["session_id"]],
        "plan": [str(plan.pk)],
        "consumption_id": [session.pk],
        "subscription": [running.pk],
        "organization_id": [organization],
        "organization": [organization],
        "payment_id": list(Payment.objects.values_list("pk", flat=True)),
        "spend_id": [spent],
        "hold_id": [held],
        "method_id": [make_method(wallet.organization).pk],
    }
    more = ["/", "/donate?campaign=clean-water", "/sponsors?currency=usd", "/api/campaigns?search=water"]
    more += [f"/api/donations?campaign_id={campaign}", f"/success?session_id={users['session_id']}"]
    more += [f"/api/finances/api/{name}/?student_id={student.pk}" for name in ("student-balance", "purchases", "consumption")]
    for address in [*more, *addresses(**known)]:
        answer = live.ask("GET", address)
        assert answer.status_code in {200, 302, 400, 401, 404, 405}, address
        found = [secret for secret in SECRETS if secret.lower() in answer.text.lower()]
        assert found == [], address
        seen += answer.status_code == 200
    assert seen > 25
    [named] = [gift for gift in live.wall(campaign) if not gift["anonymous"]]
    assert (named["display_name"], named["message"]) == ("Public Grace", "Public Message")
    assert "Public Grace" in live.ask("GET", "/sponsors").text


def test_anonymous_gift_shows_amount_and_time_only(live: Live) -> None:
    campaign = a_campaign()
    dedication = {"kind": "in_honour", "name": "Rosa"}
    started = live.give_and_pay(
        campaign_id=campaign, anonymous=True, donor_name="Ada", message="Hello", dedication=dedication, email="ada@example.org"
    )
    [gift] = live.wall(campaign)
    assert gift == {
        "id": started["donation_id"],
        "amount": "25.00",
        "currency": "USD",
        "display_name": "Anonymous",
        "message": "",
        "dedication": None,
        "created_at": gift["created_at"],
        "anonymous": True,
    }


def test_session_of_a_user_tells_a_holder_neither_address_nor_receipt(live: Live) -> None:
    ada, eve = live.register("ada@example.org"), live.register("eve@example.org")
    started = live.give(token=ada)
    live.pay(started, email="ada@example.org")
    for token in ("", eve, "not.a.token"):
        shown = live.session(started, token=token)
        assert (shown["payment_status"], shown["amount"]) == ("completed", "25.00")
        assert (shown["customer_email"], shown["receipt_url"]) == (None, None)
    own = live.session(started, token=ada)
    assert own["customer_email"] == "ada@example.org"
    assert own["receipt_url"].startswith(live.sandbox.url)


def test_session_older_than_a_day_is_for_its_owner_only(live: Live) -> None:
    ada, eve = live.register("ada@example.org"), live.register("eve@example.org")
    by_guest, by_ada = live.give(email="grace@example.org"), live.give(token=ada)
    live.pay(by_guest, email="grace@example.org")
    live.pay(by_ada, email="ada@example.org")
    Payment.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    for started, token in [(by_guest, ""), (by_guest, eve), (by_ada, ""), (by_ada, eve)]:
        path = f"/api/payments/stripe/session/{started['session_id']}"
        assert live.get(path, 404, token=token)["code"] == "not_found"
    assert live.session(by_ada, token=ada)["payment_status"] == "completed"


def test_session_of_the_account_that_is_not_ours_is_not_found_and_stripe_is_not_asked(live: Live) -> None:
    params = {
        "mode": "payment",
        "success_url": "https://shop.example.org/thanks",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "9900",
        "line_items[0][price_data][product_data][name]": "Secret product",
        "customer_email": "customer@example.org",
    }
    foreign = live.sandbox.stripe("POST", "/v1/checkout/sessions", **params)["id"]
    live.sandbox.post("faults", status=500, share=1)  # a call would be seen below
    refused = live.get(f"/api/payments/stripe/session/{foreign}", 404)
    assert refused == {"success": False, "error": "There is no such session.", "code": "not_found"}
    assert live.get("/api/payments/stripe/session/cs_test_" + "a" * 58, 404) == refused
    assert [rule["struck"] for rule in live.sandbox.rules("faults")] == [0]


@pytest.mark.parametrize(
    "malformed", ["cs_test_", "cs_prod_abc", "pi_123", "cs_test_a-b", "cs_test_" + "a" * 201, "%00", "cs_test_%0A"]
)
def test_malformed_session_id_is_refused(live: Live, malformed: str) -> None:
    refused = live.get(f"/api/payments/stripe/session/{malformed}", 400)
    assert (refused["success"], refused["code"]) == (False, "malformed_session_id")


def test_gift_is_for_its_giver_and_staff_only(live: Live, django_user_model) -> None:
    ada, eve = live.register("ada@example.org"), live.register("eve@example.org")
    started = live.give(token=ada)
    path = f"/api/donations/{started['donation_id']}"
    assert live.get(path, 401)["code"] == "not_authenticated"
    assert live.get(path, 404, token=eve)["code"] == "not_found"
    assert live.get(path, token=ada)["id"] == started["donation_id"]
    django_user_model.objects.filter(email="eve@example.org").update(is_staff=True)
    assert live.get(path, 404, token=eve)["code"] == "not_found"  # staff without a role see no gifts
    django_user_model.objects.get(email="eve@example.org").user_permissions.add(Permission.objects.get(codename="view_donation"))
    assert live.get(path, token=eve)["id"] == started["donation_id"]


def test_draft_campaign_is_seen_by_nobody(live: Live) -> None:
    draft = a_campaign(title="Secret plan", slug="secret-plan", state="draft")
    for address in (f"/api/campaigns/{draft}", "/api/campaigns/secret-plan", f"/api/campaigns/{draft}/proof",
                    "/campaigns/secret-plan", "/campaigns/secret-plan/proof", "/donate?campaign=secret-plan"):  # fmt: skip
        answer = live.ask("GET", address)
        assert answer.status_code == 404, address
        assert "Secret plan" not in answer.text
    for address in ("/", "/api/campaigns", "/api/campaigns?search=secret", "/api/campaigns?state=draft"):
        assert "Secret plan" not in live.ask("GET", address).text
    assert live.wall(draft) == []
