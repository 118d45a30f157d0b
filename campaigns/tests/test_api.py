"""Campaigns over the API: what strangers read, what staff write, and the proof of a total."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.signing_in import issue_tokens
from accounts.tests.factories import UserFactory, staff_with
from campaigns.models import Campaign, CampaignTally
from donations.tests.factories import CampaignFactory, pending_donation
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
PATH = "/api/campaigns"


def as_user(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=user).access}")
    return client


@pytest.fixture
def staff() -> APIClient:
    return as_user(staff_with("campaigns.add_campaign", "campaigns.change_campaign"))


@pytest.fixture
def stranger() -> Client:
    return Client(raise_request_exception=False)


def titles(client: Any, query: str = "") -> list[str]:
    return [c["title"] for c in client.get(f"{PATH}?{query}").json()["results"]]


def paid(campaign: Campaign, amount_minor: int = 2500, email: str = "") -> Story:
    story = Story(pending_donation(campaign=campaign, amount_minor=amount_minor, email=email).payment)
    settle_events(story.succeeded(), source="webhook")
    return story


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_campaign_is_read_by_id_and_by_slug_and_its_total_is_exact_at_once(slash: str, stranger: Client) -> None:
    campaign = CampaignFactory(title="A well", slug="a-well", goal_minor=10_000, summary="Water")
    story = paid(campaign, 3333)
    settle_events(story.refunded("a", 333, at=100, in_all=333), source="webhook")
    body = stranger.get(f"{PATH}/{campaign.pk}{slash}").json()
    assert body == stranger.get(f"{PATH}/a-well{slash}").json()
    assert {name: body[name] for name in body if name != "last_donation_at"} == {
        "id": campaign.pk, "title": "A well", "slug": "a-well", "summary": "Water", "story": "", "image_url": None,
        "goal_amount": "100.00", "current_amount": "30.00", "currency": "USD", "progress_percent": "30.0", "donor_count": 1,
        "donation_count": 1, "state": "live", "starts_at": None, "ends_at": None, "minimum_amount": "0.00",
    }  # fmt: skip
    assert body["last_donation_at"].endswith("Z")


def test_a_campaign_without_goal_or_gifts_says_so(stranger: Client) -> None:
    body = stranger.get(f"{PATH}/{CampaignFactory(goal_minor=None, currency='jpy').pk}").json()
    told = [body[n] for n in ("goal_amount", "progress_percent", "current_amount", "donor_count", "last_donation_at", "currency")]
    assert told == [None, None, "0", 0, None, "JPY"]


def test_a_goal_that_is_passed_shows_more_than_a_hundred_percent_and_one_nearly_reached_less(stranger: Client) -> None:
    passed, nearly = CampaignFactory(goal_minor=2000), CampaignFactory(goal_minor=250_010)
    paid(passed)
    paid(nearly, 250_000)
    assert [stranger.get(f"{PATH}/{c.pk}").json()["progress_percent"] for c in (passed, nearly)] == ["125.0", "99.9"]


def test_drafts_are_hidden_from_all_but_staff(stranger: Client, staff: APIClient) -> None:
    draft, live = CampaignFactory(state="draft", title="Draft"), CampaignFactory(title="Live")
    assert titles(stranger) == titles(as_user(UserFactory())) == ["Live"]
    assert titles(stranger, "state=draft") == []
    assert [stranger.get(f"{PATH}/{key}").status_code for key in (draft.pk, draft.slug, f"{draft.pk}/proof")] == [404] * 3
    assert sorted(titles(staff)) == ["Draft", "Live"]
    assert staff.get(f"{PATH}/{draft.pk}").status_code == 200
    assert titles(stranger, f"search={live.title}") == ["Live"]


@pytest.mark.parametrize(
    "key", ["campaign_unknown", "no-such", "%00", "a%00b", "%F0%9F%92%A9", "..", "a" * 500, "'%20OR%201=1", "<b>"]
)
def test_what_is_no_campaign_is_404_and_no_error_of_ours(key: str, stranger: Client) -> None:
    answer = stranger.get(f"{PATH}/{key}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_list_is_searched_and_filtered(stranger: Client) -> None:
    CampaignFactory(title="Clean water", state="live")
    CampaignFactory(title="Schools", summary="with WATER taps", state="paused")
    CampaignFactory(title="Trees", state="ended")
    assert sorted(titles(stranger, "search=water")) == ["Clean water", "Schools"]
    assert titles(stranger, "search=water&state=paused") == ["Schools"]
    assert titles(stranger, "state=ended") == ["Trees"]
    assert titles(stranger, "search=%25") == titles(stranger, "search=_") == []
    assert len(titles(stranger, "search=%20")) == 3


@pytest.mark.parametrize(
    "query", ["state=open", "state=%00", "order=best", "page_size=0", "page_size=101", "page_size=x", "order=%00"]
)
def test_a_query_that_cannot_be_meant_is_refused_by_name(query: str, stranger: Client) -> None:
    answer = stranger.get(f"{PATH}?{query}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [query.split("=")[0]])


def test_the_list_is_ordered_as_asked(stranger: Client) -> None:
    now = timezone.now()
    for days, title in ((3, "B"), (1, "C"), (2, "A")):
        CampaignFactory(title=title, created_at=now - timedelta(days=days), ends_at=now + timedelta(days=days))
    orders = ("newest", "oldest", "title", "ending")
    assert {order: "".join(titles(stranger, f"order={order}")) for order in orders} == {
        "newest": "CAB", "oldest": "BAC", "title": "ABC", "ending": "CAB",
    }  # fmt: skip


def walk(client: Client, url: str) -> list[str]:
    seen: list[str] = []
    for _ in range(20):
        body = client.get(url).json()
        seen += [row["id"] for row in body["results"]]
        url = body["next"] or url
        if body["next"] is None:
            break
    return seen


@pytest.mark.parametrize("order", ["newest", "oldest", "title", "ending"])
def test_every_campaign_is_on_exactly_one_page(order: str, stranger: Client) -> None:
    now = timezone.now()
    for number in range(7):
        CampaignFactory(title="Same", created_at=now, ends_at=[None, now + timedelta(days=number)][number % 2])
    seen = walk(stranger, f"{PATH}?order={order}&page_size=2")
    assert sorted(seen) == sorted(Campaign.objects.values_list("pk", flat=True))


def cursor(**parts: str) -> str:
    return base64.b64encode("&".join(f"{k}={v}" for k, v in parts.items()).encode()).decode()


@pytest.mark.parametrize("order", ["newest", "title", "ending"])
@pytest.mark.parametrize(
    "value", ["%%%", "x", cursor(p="not a date"), cursor(p="%00"), cursor(o="-1", p="x"), cursor(o="9" * 99, p="x")]
)
def test_a_forged_cursor_is_refused_and_no_error_of_ours(order: str, value: str, stranger: Client) -> None:
    CampaignFactory()
    assert stranger.get(PATH, {"order": order, "cursor": value}).status_code in {200, 400, 404}


def test_pages_are_stable_while_campaigns_arrive(stranger: Client) -> None:
    now = timezone.now()
    old = [CampaignFactory(created_at=now - timedelta(days=n)).pk for n in range(4)]
    first = stranger.get(f"{PATH}?page_size=2").json()
    CampaignFactory(created_at=now + timedelta(days=1))
    second = stranger.get(first["next"]).json()
    assert [c["id"] for c in first["results"] + second["results"]] == old
    assert set(parse_qs(urlsplit(first["next"]).query)) == {"cursor", "page_size"}


def test_one_campaign_costs_at_most_two_queries_and_a_list_too_however_many_gifts(stranger: Client) -> None:
    campaign = CampaignFactory()
    for number in range(20):
        paid(campaign, email=f"d{number}@example.org")
    for path in (f"{PATH}/{campaign.pk}", f"{PATH}/{campaign.slug}", PATH):
        with CaptureQueriesContext(connection) as context:
            assert stranger.get(path).status_code == 200
        assert len(context.captured_queries) <= 2, context.captured_queries
    assert CampaignTally.objects.count() > 1


def test_the_proof_adds_up_and_says_what_is_behind_it(stranger: Client) -> None:
    campaign = CampaignFactory()
    story, other = paid(campaign, email="a@example.org"), paid(campaign, email="b@example.org")
    events = story.refunded("a", 700, at=100, in_all=700) + other.disputed("lost") + story.refund_failed("b", 300, at=200)
    settle_events(events, source="webhook")
    assert stranger.get(f"{PATH}/{campaign.slug}/proof").json() == {
        "campaign_id": campaign.pk, "currency": "USD", "gross": "50.00", "refunds": "7.00", "disputes": "25.00",
        "net": "18.00", "current_amount": "18.00", "transfers": 6, "proved": True,
    }  # fmt: skip


def test_a_tally_that_does_not_follow_from_the_books_is_not_proved(stranger: Client) -> None:
    campaign = CampaignFactory()
    paid(campaign)
    CampaignTally.objects.update(raised_minor=9999)
    body = stranger.get(f"{PATH}/{campaign.pk}/proof").json()
    assert (body["net"], body["current_amount"], body["proved"]) == ("25.00", "99.99", False)


BODY = {"title": "A well", "goal_amount": "5000.00", "currency": "eur", "state": "live"}


def test_only_staff_with_the_permission_write(stranger: Client) -> None:
    campaign = CampaignFactory(title="Before")
    askers = {
        "nobody": stranger,
        "user": as_user(UserFactory()),
        "staff": as_user(staff_with()),
        "staff who see": as_user(staff_with("campaigns.view_campaign")),
    }
    told = {
        who: (
            client.post(PATH, json.dumps(BODY), content_type="application/json").status_code,
            client.patch(f"{PATH}/{campaign.pk}", json.dumps({"title": "x"}), content_type="application/json").status_code,
        )
        for who, client in askers.items()
    }
    assert told == {"nobody": (401, 401), "user": (403, 403), "staff": (403, 403), "staff who see": (403, 403)}
    assert list(Campaign.objects.values_list("title", flat=True)) == ["Before"]


def test_adding_and_changing_are_two_permissions() -> None:
    campaign = CampaignFactory(title="Before", state="draft")
    told = {}
    for permission in ("add_campaign", "change_campaign"):
        client = as_user(staff_with(f"campaigns.{permission}"))
        posted = client.post(PATH, BODY | {"slug": permission, "state": "draft"}, format="json")
        told[permission] = posted.status_code, client.patch(f"{PATH}/{campaign.pk}", {"title": "x"}, format="json").status_code
    assert told == {"add_campaign": (201, 403), "change_campaign": (403, 200)}


def test_drafts_are_for_staff_who_may_see_campaigns() -> None:
    draft = CampaignFactory(title="Secret plan", state="draft")
    askers = [UserFactory(), staff_with(), staff_with("donations.view_donation"), staff_with("campaigns.view_campaign")]
    told = []
    for client in map(as_user, askers):
        codes = [client.get(f"{PATH}/{path}").status_code for path in (draft.pk, draft.slug, f"{draft.pk}/proof")]
        told.append((codes, titles(client)))
    assert told == [([404, 404, 404], [])] * 3 + [([200, 200, 200], ["Secret plan"])]


def test_staff_open_a_campaign(staff: APIClient) -> None:
    answer = staff.post(PATH, BODY, format="json")
    campaign = Campaign.objects.get()
    assert (answer.status_code, answer.json()["id"], answer.json()["slug"]) == (201, campaign.pk, "a-well")
    assert (campaign.goal_minor, campaign.currency, campaign.state) == (500_000, "eur", "live")
    assert campaign.owner is not None


def test_staff_change_a_campaign_field_by_field(staff: APIClient) -> None:
    campaign = CampaignFactory(title="Before", goal_minor=5)
    assert staff.patch(f"{PATH}/{campaign.slug}", {"goal_amount": None}, format="json").json()["goal_amount"] is None
    assert staff.patch(f"{PATH}/{campaign.slug}", {"state": "ended", "minimum_amount": "5"}, format="json").status_code == 200
    campaign.refresh_from_db()
    assert (campaign.title, campaign.goal_minor, campaign.state, campaign.minimum_minor) == ("Before", None, "ended", 500)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "title missing": ({"title": None}, "title"),
    "title blank": ({"title": "  "}, "title"),
    "title of two lines": ({"title": "A well\nBcc: all@example.org"}, "title"),
    "title with a null": ({"title": "a\x00b"}, "title"),
    "unknown field": ({"goal": 5}, "goal"),
    "unknown currency": ({"currency": "xyz"}, "currency"),
    "goal of zero": ({"goal_amount": "0"}, "goal_amount"),
    "goal negative": ({"goal_amount": "-5"}, "goal_amount"),
    "goal too fine": ({"goal_amount": "5.001"}, "goal_amount"),
    "goal is text": ({"goal_amount": "much"}, "goal_amount"),
    "goal beyond arithmetic": ({"goal_amount": "1e9999999"}, "goal_amount"),
    "minimum negative": ({"minimum_amount": "-1"}, "minimum_amount"),
    "state unknown": ({"state": "open"}, "state"),
    "end before start": ({"starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}, "ends_at"),
    "slug with spaces": ({"slug": "a b"}, "slug"),
    "image that is no address": ({"image_url": "javascript:alert(1)"}, "image_url"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_staff_may_not_write_is_refused_by_field(name: str, staff: APIClient) -> None:
    change, field = REFUSED[name]
    answer = staff.post(PATH, BODY | change, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    assert Campaign.objects.count() == 0


def test_a_currency_cannot_be_changed_and_a_slug_is_taken_once(staff: APIClient) -> None:
    campaign = CampaignFactory(slug="taken")
    other = CampaignFactory(slug="other")
    fixed = staff.patch(f"{PATH}/{campaign.pk}", {"currency": "eur"}, format="json")
    taken = staff.patch(f"{PATH}/{other.pk}", {"slug": "taken"}, format="json")
    assert (fixed.status_code, fixed.json()["code"]) == (400, "currency_fixed")
    assert (taken.status_code, taken.json()["code"]) == (409, "slug_taken")
    assert list(Campaign.objects.order_by("slug").values_list("slug", "currency")) == [("other", "usd"), ("taken", "usd")]


def test_what_staff_write_over_the_api_leaves_a_line_like_the_admin(staff: APIClient) -> None:
    made = staff.post(PATH, {"title": "Wells", "state": "draft"}).json()
    staff.patch(f"{PATH}/{made['id']}", {"title": "Deep wells", "goal_amount": "100"})
    staff.patch(f"{PATH}/{made['id']}", {"title": "Deep wells"})

    added, changed = AuditEntry.objects.order_by("pk")
    assert (added.action, added.target_id, added.before, added.after["title"]) == ("campaign.added", made["id"], {}, "Wells")
    assert (changed.action, changed.before, changed.after) == (
        "campaign.changed",
        {"title": "Wells", "goal_minor": None},
        {"title": "Deep wells", "goal_minor": 10_000},
    )
    assert added.actor == User.objects.get(is_staff=True)


def test_a_campaign_is_not_changed_when_that_cannot_be_recorded(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = CampaignFactory(title="Wells")

    def fail(**fields: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(audit, "record", fail)
    answer = staff.patch(f"{PATH}/{campaign.pk}", {"title": "Deep wells"})

    campaign.refresh_from_db()
    assert (answer.status_code, campaign.title) == (500, "Wells")
