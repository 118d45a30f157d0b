"""Donations over the API: what may be asked, what others see of a gift, and what its giver sees."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.signing_in import issue_tokens
from accounts.tests.factories import UserFactory
from campaigns.models import Campaign
from donations.models import Donation, Donor
from donations.tests.factories import CampaignFactory, pending_donation
from payments import stripe_gateway
from payments.models import Payment, StripeCall
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
GIVE = "/api/donations/create-checkout-session/"


def as_user(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=user).access}")
    return client


@pytest.fixture
def stranger() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.fixture
def campaign(db: None) -> Campaign:
    return CampaignFactory(title="A well")


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stripe, which opens a session for every call; gives the keys of the calls."""
    keys: list[str] = []

    def create(operation: str, params: Any, *, idempotency_key: str) -> dict[str, Any]:
        keys.append(idempotency_key)
        return {"id": f"cs_test_{len(keys)}", "url": f"https://checkout.stripe.com/c/{len(keys)}"}

    monkeypatch.setattr(stripe_gateway, "create", create)
    return keys


def paid(campaign: Campaign, *, amount_minor: int = 2500, email: str = "", at: int = 0, **fields: Any) -> Donation:
    donation = pending_donation(campaign=campaign, amount_minor=amount_minor, email=email, **fields)
    story = Story(donation.payment)
    session = story.session("complete", "paid")
    settle_events([story.event("checkout.session.completed", session, 5 + at)], source="webhook")
    return Donation.objects.get(pk=donation.pk)


# -- giving -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [GIVE, GIVE.removesuffix("/")])
def test_a_gift_of_a_stranger_is_written_down_as_asked(
    path: str, stranger: APIClient, campaign: Campaign, sessions: list[str]
) -> None:
    body = {
        "amount": "25.50", "currency": "USD", "campaign_id": campaign.pk, "donor_name": " Ada ", "email": "Ada@Example.org",
        "anonymous": True, "message": "For\nyou", "dedication": {"kind": "in_memory", "name": "Grace"},
    }  # fmt: skip
    answer = stranger.post(path, body, format="json")
    donation = Donation.objects.get()
    assert (answer.status_code, set(answer.json())) == (200, {"url", "session_id", "donation_id"})
    assert answer.json()["donation_id"] == donation.pk
    told = (donation.amount_minor, donation.display_name, donation.message, donation.dedication_kind, donation.dedication_name)
    assert told == (2550, "Ada", "For\nyou", "in_memory", "Grace")
    assert (donation.anonymous, donation.state, donation.donor, donation.payment.user) == (True, "pending", None, None)
    assert donation.payment.customer_email == "ada@example.org"
    assert len(sessions) == 1


def test_a_gift_without_campaign_goes_to_the_one_general_fund(stranger: APIClient, sessions: list[str]) -> None:
    assert [stranger.post(GIVE, {"amount": 5}, format="json").status_code for _ in range(2)] == [200, 200]
    fund = Campaign.objects.get()
    assert (fund.is_general_fund, fund.donations.count(), fund.currency) == (True, 2, "usd")


def test_the_general_fund_is_made_though_its_address_is_taken(stranger: APIClient, sessions: list[str]) -> None:
    CampaignFactory(slug="general-fund")
    assert stranger.post(GIVE, {"amount": 5}, format="json").status_code == 200
    assert Campaign.objects.filter(is_general_fund=True).count() == 1


def test_a_signed_in_donors_habit_decides_where_nothing_is_asked(campaign: Campaign, sessions: list[str]) -> None:
    user = UserFactory(name="Ada")
    Donor.objects.create(user=user, email=user.email, anonymous_by_default=True)
    client = as_user(user)
    for asked in ({}, {"anonymous": False}, {"anonymous": None}):
        client.post(GIVE, {"amount": 5, "campaign_id": campaign.pk, **asked}, format="json")
    assert list(Donation.objects.order_by("pk").values_list("anonymous", flat=True)) == [True, False, True]
    assert set(Payment.objects.values_list("user", "customer_email")) == {(user.pk, user.email)}


REFUSED: dict[str, tuple[dict[str, Any], int, str, list[str] | None]] = {
    "below the minimum": ({"amount": "0.49"}, 400, "amount_too_small", ["amount"]),
    "above the maximum": ({"amount": 1_000_000}, 400, "amount_too_large", ["amount"]),
    "too fine": ({"amount": "25.005"}, 400, "amount_too_precise", ["amount"]),
    "beyond arithmetic": ({"amount": "1e9999999"}, 400, "amount_too_large", ["amount"]),
    "negative": ({"amount": -5}, 400, "amount_too_small", ["amount"]),
    "boolean": ({"amount": True}, 400, "invalid", ["amount"]),
    "list": ({"amount": [5]}, 400, "invalid", ["amount"]),
    "null": ({"amount": None}, 400, "null", ["amount"]),
    "another currency": ({"currency": "eur"}, 400, "other_currency", ["currency"]),
    "unknown currency": ({"currency": "xyz"}, 400, "unknown_currency", ["currency"]),
    "long currency": ({"currency": "dollars"}, 400, "max_length", ["currency"]),
    "unknown campaign": ({"campaign_id": "campaign_x"}, 400, "unknown_campaign", ["campaign_id"]),
    "null in campaign": ({"campaign_id": "a\x00b"}, 400, "null_characters_not_allowed", ["campaign_id"]),
    "long message": ({"message": "x" * 501}, 400, "max_length", ["message"]),
    "control character": ({"message": "a\x07b"}, 400, "control_characters", ["message"]),
    "surrogate": ({"message": "a\ud800b"}, 400, "surrogate_characters_not_allowed", ["message"]),
    "direction override": ({"donor_name": "a\u202eb"}, 400, "control_characters", ["donor_name"]),
    "name is a number": ({"donor_name": 7}, 400, "invalid", ["donor_name"]),
    "no address": ({"email": "ada"}, 400, "invalid", ["email"]),
    "address of two": ({"email": "a@example.org,b@example.org"}, 400, "invalid", ["email"]),
    "address with a header": ({"email": "a@example.org\nBcc: b@example.org"}, 400, "invalid", ["email"]),
    "dedication to nobody": ({"dedication": {"kind": "in_honour", "name": " "}}, 400, "blank", ["dedication.name"]),
    "dedication of another kind": ({"dedication": {"kind": "in_fun", "name": "A"}}, 400, "invalid_choice", ["dedication.kind"]),
    "unknown field": ({"amuont": 5}, 400, "unknown_field", ["amuont"]),
    "field of a dedication": ({"dedication": {"kind": "in_honour", "name": "A", "x": 1}}, 400, "unknown_field", ["dedication.x"]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_given_is_refused_by_field_and_writes_nothing(
    name: str, stranger: APIClient, campaign: Campaign, sessions: list[str]
) -> None:
    change, status, code, fields = REFUSED[name]
    body = json.dumps({"amount": 25, "campaign_id": campaign.pk} | change)
    answer = stranger.post(GIVE, body, content_type="application/json")
    told = answer.json()
    assert (answer.status_code, told["code"], list(told["fields"]), told["success"]) == (status, code, fields, False)
    assert Payment.objects.count() == Donation.objects.count() == StripeCall.objects.count() == len(sessions) == 0


@pytest.mark.parametrize(
    "raw", ["", "[]", '"x"', "1", "null", "{", '{"amount": NaN}', '{"amount": 1e99999999999999999999}', "[" * 9999]
)
def test_a_body_that_is_no_gift_is_a_400(raw: str, stranger: APIClient, sessions: list[str]) -> None:
    assert stranger.post(GIVE, raw, content_type="application/json").status_code == 400
    assert len(sessions) == Payment.objects.count() == 0


NOW = timezone.now()
CLOSED = {
    "paused": {"state": "paused"},
    "ended": {"state": "ended"},
    "not yet": {"starts_at": NOW + timedelta(hours=1)},
    "over": {"ends_at": NOW - timedelta(hours=1)},
}


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_a_campaign_that_is_not_live_takes_no_gift(name: str, stranger: APIClient, sessions: list[str]) -> None:
    campaign = CampaignFactory(**CLOSED[name])
    answer = stranger.post(GIVE, {"amount": 5, "campaign_id": campaign.pk}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign_not_live")
    assert Payment.objects.count() == 0


def test_a_draft_is_not_even_known(stranger: APIClient, sessions: list[str]) -> None:
    answer = stranger.post(GIVE, {"amount": 5, "campaign_id": CampaignFactory(state="draft").pk}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_campaign")


# -- the wall -----------------------------------------------------------------------------------------
def wall(client: APIClient, campaign: Campaign, **query: Any) -> list[dict[str, Any]]:
    return list(client.get("/api/donations", {"campaign_id": campaign.pk, **query}).json()["results"])


def test_an_anonymous_gift_shows_its_amount_and_time_and_nothing_else(stranger: APIClient, campaign: Campaign) -> None:
    secret = {"display_name": "Ada", "message": "Hello", "dedication_kind": "in_honour", "dedication_name": "Grace"}
    gift = paid(campaign, email="ada@example.org", anonymous=True, **secret)
    (shown,) = wall(stranger, campaign)
    assert {name: shown[name] for name in shown if name != "created_at"} == {
        "id": gift.pk, "amount": "25.00", "currency": "USD", "display_name": "Anonymous", "message": "", "dedication": None,
        "anonymous": True,
    }  # fmt: skip


@pytest.mark.parametrize("asker", ["stranger", "staff", "giver"])
def test_the_wall_is_the_same_for_everybody(asker: str, stranger: APIClient, campaign: Campaign) -> None:
    giver = UserFactory()
    paid(campaign, user=giver, anonymous=True, display_name="Ada")
    clients = {"stranger": stranger, "staff": as_user(UserFactory(is_staff=True)), "giver": as_user(giver)}
    assert [gift["display_name"] for gift in wall(clients[asker], campaign)] == ["Anonymous"]


def test_a_named_gift_shows_what_its_giver_wrote(stranger: APIClient, campaign: Campaign) -> None:
    paid(campaign, display_name="Ada", message="Hello", dedication_kind="in_memory", dedication_name="Grace")
    (shown,) = wall(stranger, campaign)
    assert (shown["display_name"], shown["message"], shown["dedication"]) == (
        "Ada",
        "Hello",
        {"kind": "in_memory", "name": "Grace"},
    )


@pytest.mark.parametrize("field", ["display_name", "message", "dedication_name"])
def test_no_public_output_holds_an_address_though_its_giver_wrote_one(
    field: str, stranger: APIClient, campaign: Campaign
) -> None:
    paid(
        campaign, **{"display_name": "Ada", "dedication_kind": "in_honour", "dedication_name": "Grace", field: "ada@example.org"}
    )
    assert "ada@example.org" not in json.dumps(wall(stranger, campaign))


def test_only_gifts_whose_money_is_here_are_on_the_wall_with_what_remains(stranger: APIClient, campaign: Campaign) -> None:
    pending_donation(campaign=campaign)
    stories = [Story(pending_donation(campaign=campaign, email=f"{n}@example.org").payment) for n in range(3)]
    for story in stories:
        settle_events(story.succeeded(), source="webhook")
    partly, fully, disputed = stories
    events = partly.refunded("a", 700, at=100, in_all=700) + fully.refunded("a", 2500, at=100, in_all=2500)
    settle_events(events + disputed.disputed("lost"), source="webhook")
    assert [gift["amount"] for gift in wall(stranger, campaign)] == ["18.00"]


def test_the_wall_is_newest_first_in_pages_and_costs_two_queries_at_most(stranger: APIClient, campaign: Campaign) -> None:
    gifts = [paid(campaign, at=n).pk for n in range(5)]
    first = stranger.get("/api/donations", {"campaign_id": campaign.pk, "page_size": 2})
    pages = [first.json()]
    for _ in range(2):
        pages.append(stranger.get(pages[-1]["next"]).json())
    assert [gift["id"] for page in pages for gift in page["results"]] == gifts[::-1]
    assert pages[-1]["next"] is None
    with CaptureQueriesContext(connection) as context:
        assert len(wall(stranger, campaign, page_size=100)) == 5
    assert len(context.captured_queries) <= 2


def test_a_drafts_wall_is_empty_and_a_wall_without_a_campaign_is_refused(stranger: APIClient) -> None:
    draft = CampaignFactory(state="draft")
    paid(draft)
    assert wall(stranger, draft) == []
    for query in ({}, {"campaign_id": ""}, {"campaign_id": "\x00"}):
        answer = stranger.get("/api/donations", query)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["campaign_id"])


def test_gifts_paid_in_the_same_second_are_each_shown_once(campaign: Campaign) -> None:
    gifts = {paid(campaign).pk for _ in range(7)}
    client, url, seen = Client(), f"/api/donations?campaign_id={campaign.pk}&page_size=3", []
    for _ in range(3):
        page = client.get(url).json()
        seen += [gift["id"] for gift in page["results"]]
        url = page["next"]
    assert (len(seen), set(seen), url) == (7, gifts, None)
