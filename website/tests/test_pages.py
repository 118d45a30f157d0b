from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.urls import resolve, reverse

from accounts.tests.factories import UserFactory, staff_with
from donations.models import Donor
from donations.tests.factories import CampaignFactory
from website.tests.arriving import gift, refund, story

pytestmark = pytest.mark.django_db


def text(response) -> str:
    return response.content.decode()


def labels(page: str) -> list[str]:
    """What the preset buttons of a donation form say."""
    return re.findall(r'data-amount="[^"]+">([^<]+)</button>', page)


@pytest.mark.parametrize(
    ("path", "title", "queries"),
    [
        ("/", "Largesse: give where you see what it does", 1),
        ("/donate", "Donate · Largesse", 1),
        ("/success?session_id=cs_test_1", "Your gift · Largesse", 0),
        ("/cancel", "Nothing was charged · Largesse", 0),
        ("/login", "Login · Largesse", 0),
        ("/register", "Register · Largesse", 0),
        ("/verify-email?token=x", "Confirm your address · Largesse", 0),
        ("/password-reset", "Forgotten password · Largesse", 0),
        ("/password-reset?token=x", "Choose a new password · Largesse", 0),
        ("/documentation", "Documentation · Largesse", 0),
        ("/sponsors", "Sponsors · Largesse", 2),
        ("/pricing", "Plans · Largesse", 2),
    ],
)
def test_page_answers_a_stranger_within_its_query_budget(client, django_assert_num_queries, path, title, queries):
    with django_assert_num_queries(queries):
        response = client.get(path)

    assert response.status_code == 200
    assert f"<title>{title}</title>" in text(response)


@pytest.mark.parametrize(
    "path", ["/donate", "/success", "/cancel", "/login", "/register", "/documentation", "/sponsors", "/pricing", "/hero-me"]
)
def test_page_answers_with_and_without_its_trailing_slash(client, path):
    assert client.get(path).status_code == 200
    assert client.get(f"{path}/").status_code == 200


def test_the_usual_address_of_an_icon_leads_to_it(client):
    answer = client.get("/favicon.ico")

    assert (answer.status_code, answer["Location"]) == (302, "/static/favicon.svg")
    assert finders.find("favicon.svg")


@pytest.mark.parametrize("path", ["/", "/donate", "/campaigns/wells", "/login", "/account", "/documentation", "/sponsors", "/x"])
def test_pages_hold_no_inline_script_or_style(client, path):
    CampaignFactory(slug="wells")
    client.force_login(UserFactory.create())

    page = text(client.get(path))

    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []


def test_home_shows_live_campaigns_and_the_ways_on(client, django_assert_num_queries):
    wells = CampaignFactory(title="Wells", goal_minor=10_000)
    CampaignFactory(title="Draft one", state="draft")
    CampaignFactory(title="Ended one", state="ended")
    gift(campaign=wells, amount_minor=2500)

    with django_assert_num_queries(1):
        page = text(client.get("/"))

    assert re.findall(r'<h3><a href="[^"]+">([^<]+)</a></h3>', page) == ["Wells"]
    assert '<strong class="figure">$25.00</strong> of $100.00' in page
    assert "1 donor · 25 %" in page
    assert re.findall(r'id="home-([a-z]+)"[^>]*>([^<]+)<', page) == [
        ("donate", "Donate"),
        ("pricing", "Plans"),
        ("sponsors", "Sponsors"),
        ("documentation", "Documentation"),
        ("login", "Login"),
        ("register", "Register"),
    ]


def test_home_turns_pages_without_counting(client, django_assert_num_queries):
    for number in range(13):
        CampaignFactory(title=f"Number {number}")

    with django_assert_num_queries(1):
        first = text(client.get("/"))
    second = text(client.get("/?page=2"))

    assert first.count("<h3>") == 12
    assert 'rel="next" href="?page=2"' in first
    assert re.findall(r"<h3><a[^>]+>([^<]+)<", second) == ["Number 0"]
    assert 'rel="next"' not in second


@pytest.mark.parametrize("page", ["0", "-1", "x", "9999999", "", "٣"])
def test_nonsense_page_numbers_are_no_error(client, page):
    assert client.get("/", {"page": page}).status_code == 200
    assert client.get("/sponsors", {"page": page, "currency": "nonsense"}).status_code == 200


def test_campaign_shows_totals_story_and_form(client, django_assert_num_queries):
    wells = CampaignFactory(slug="wells", goal_minor=10_000, story="One <b>two</b>\n\nthree")
    gift(campaign=wells, amount_minor=12_500, email="a@example.org")
    gift(campaign=wells, amount_minor=2_500, email="a@example.org")

    with django_assert_num_queries(1):
        page = text(client.get("/campaigns/wells"))

    assert '<strong id="raised" class="figure">$150.00</strong>' in page
    assert '<span id="goal">$100.00</span>' in page
    assert '<dd id="donors">1</dd>' in page
    assert '<dd id="donations">2</dd>' in page
    assert 'aria-label="150 % of the goal"' in page
    assert '<rect class="mercury" width="100.0%"' in page
    assert '<rect class="goal-mark" x="66.7%"' in page
    assert "<p>One &lt;b&gt;two&lt;/b&gt;</p>" in page
    assert f'data-campaign-id="{wells.pk}"' in page
    assert text(client.get(f"/campaigns/{wells.pk}")).count("<h1>") == 1


@pytest.mark.parametrize("state", ["paused", "ended"])
def test_campaign_that_takes_no_gifts_has_no_form(client, state):
    CampaignFactory(slug="wells", state=state)

    page = text(client.get("/campaigns/wells"))

    assert 'id="giving-form"' not in page
    assert 'id="not-taking-gifts"' in page


def test_draft_is_found_by_staff_only(client):
    CampaignFactory(slug="wells", state="draft")

    assert client.get("/campaigns/wells").status_code == 404
    client.force_login(UserFactory.create(is_staff=True))
    assert client.get("/campaigns/wells").status_code == 404
    client.force_login(staff_with("campaigns.view_campaign"))
    assert client.get("/campaigns/wells").status_code == 200


def test_proof_adds_up_the_books(client, django_assert_num_queries):
    wells = CampaignFactory(slug="wells")
    gift(campaign=wells, amount_minor=5_000)
    refund(story(campaign=wells, amount_minor=2_500), 1_000)

    with django_assert_num_queries(2):
        page = text(client.get("/campaigns/wells/proof"))

    assert re.findall(r'id="proof-([a-z]+)">([^<]+)</td>', page) == [
        ("gross", "$75.00"),
        ("refunds", "-$10.00"),
        ("disputes", "$0.00"),
        ("net", "$65.00"),
        ("shown", "$65.00"),
    ]
    assert "Sum of 3 entries" in page
    assert "<strong>Proved.</strong>" in page


def test_general_fund_offers_the_five_amounts_in_dollars(client):
    assert labels(text(client.get("/donate"))) == ["Donate $5", "Donate $10", "Donate $20", "Donate $50", "Donate $100"]


def test_donate_offers_amounts_in_the_currency_of_the_campaign(client):
    CampaignFactory(slug="trains", currency="jpy")

    page = text(client.get("/donate?campaign=trains"))

    assert labels(page) == ["Donate ¥500", "Donate ¥1,000", "Donate ¥2,000", "Donate ¥5,000", "Donate ¥10,000"]
    assert 'data-currency="JPY"' in page


@pytest.mark.parametrize("campaign", ["nothing", "a b", "%00", "x" * 101])
def test_donate_to_an_unknown_campaign_is_not_found(client, campaign):
    assert client.get(f"/donate?campaign={campaign}").status_code == 404


def test_form_is_filled_with_what_is_known_of_the_giver(client):
    ada = UserFactory.create(email="ada@example.org", name="Ada")
    Donor.objects.create(user=ada, email=ada.email, anonymous_by_default=True)
    client.force_login(ada)

    page = text(client.get("/donate"))

    assert 'autocomplete="name" maxlength="200" value="Ada"' in page
    assert 'maxlength="320" value="ada@example.org"' in page
    assert 'type="checkbox" checked' in page


def test_api_reference_needs_nothing_inline_and_nothing_from_elsewhere(client):
    page = text(client.get(reverse("api-docs")))

    assert '<div id="swagger-ui"></div>' in page
    assert "<style" not in page
    assert re.findall(r"<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []


def test_documentation_names_only_addresses_that_there_are(client):
    page = text(client.get("/documentation"))

    paths = {path.replace("…", "_x") for path in re.findall(r"http://[^/]+(/api/[^\s'?<]*)", page)}
    assert {"/api/finances/api/purchase/initiate/", "/api/payments/create-intent", "/api/wallets/org__x/spend"} < paths
    for path in paths:
        assert resolve(path)


def test_unknown_address_is_a_page_without_a_query(client, django_assert_num_queries):
    client.force_login(UserFactory.create())

    with django_assert_num_queries(0):
        response = client.get("/nope")

    assert response.status_code == 404
    assert "<h1>Not found</h1>" in text(response)
    assert re.findall(r'id="nav-([a-z]+)"', text(response)) == ["pricing", "organizations", "account", "logout", "donate"]
    client.cookies.clear()
    assert re.findall(r'id="nav-([a-z]+)"', text(client.get("/nope"))) == ["pricing", "login", "register", "donate"]


def test_our_own_failure_is_a_page_without_a_query_and_without_internals(client, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr("website.views.show", lambda campaign: 1 / 0)
    CampaignFactory(slug="wells")
    client.raise_request_exception = False

    with django_assert_num_queries(1):
        response = client.get("/campaigns/wells")

    assert response.status_code == 500
    assert "<h1>Something went wrong</h1>" in text(response)
    assert "ZeroDivisionError" not in text(response)


def test_pages_refuse_to_be_posted_to(client):
    assert client.post("/donate").status_code == 405
