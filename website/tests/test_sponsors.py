from __future__ import annotations

import re

import pytest

from donations.tests.factories import CampaignFactory
from website import sponsoring
from website.tests.arriving import gift, refund, story

pytestmark = pytest.mark.django_db


def listed(client, query: str = "") -> list[tuple[str, str]]:
    page = client.get(f"/sponsors{query}").content.decode()
    return re.findall(r'class="sponsor-name">([^<]+)</span><span class="sponsor-total">([^<]+)<', page)


def test_sponsors_stand_by_level_with_their_public_total(client, django_assert_num_queries):
    wells = CampaignFactory(goal_minor=None)
    gift(campaign=wells, amount_minor=100_000, email="p@example.org", display_name="Hill & Sons")
    gift(campaign=wells, amount_minor=40_000, email="g@example.org", display_name="Gerd")
    gift(campaign=wells, amount_minor=10_000, email="g@example.org", display_name="Gerd the Second")
    gift(campaign=wells, amount_minor=10_000, email="s@example.org", display_name="Sam")
    gift(campaign=wells, amount_minor=500, email="b@example.org", display_name="Bea")

    with django_assert_num_queries(4):
        page = client.get("/sponsors").content.decode()

    assert re.findall(r'<section class="level level-([a-z]+)"', page) == ["platinum", "gold", "silver", "bronze"]
    assert listed(client) == [
        ("Hill &amp; Sons", "$1,000.00"),
        ("Gerd the Second", "$500.00"),
        ("Sam", "$100.00"),
        ("Bea", "$5.00"),
    ]


def test_anonymous_gifts_and_addresses_are_never_shown(client):
    wells = CampaignFactory()
    gift(campaign=wells, amount_minor=90_000, email="hidden@example.org", display_name="Hidden Hal", anonymous=True)
    gift(campaign=wells, amount_minor=70_000, email="nameless@example.org", display_name="")
    gift(campaign=wells, amount_minor=2_000, email="both@example.org", display_name="Bo")
    gift(campaign=wells, amount_minor=50_000, email="both@example.org", display_name="Bo in secret", anonymous=True)

    page = client.get("/sponsors").content.decode()

    assert listed(client) == [("Bo", "$20.00")]
    assert "Hidden" not in page
    assert "secret" not in page
    assert "example.org" not in page


def test_refunds_count_and_what_was_given_back_is_not_shown(client):
    wells = CampaignFactory()
    refund(story(campaign=wells, amount_minor=5_000, email="p@example.org", display_name="Partly"), 2_000)
    refund(story(campaign=wells, amount_minor=5_000, email="w@example.org", display_name="Wholly"), 5_000)

    assert listed(client) == [("Partly", "$30.00")]


def test_each_currency_is_by_itself(client):
    gift(campaign=CampaignFactory(currency="usd"), amount_minor=5_000, email="a@example.org", display_name="Ann")
    gift(campaign=CampaignFactory(currency="eur"), amount_minor=7_000, email="a@example.org", display_name="Ann")

    assert listed(client) == [("Ann", "$50.00")]
    assert listed(client, "?currency=eur") == [("Ann", "€70.00")]
    assert listed(client, "?currency=xyz") == [("Ann", "$50.00")]


def test_gifts_to_drafts_are_not_shown(client):
    gift(campaign=CampaignFactory(state="draft"), amount_minor=5_000, email="a@example.org", display_name="Ann")

    assert listed(client) == []


def test_sponsors_turn_pages(client, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(sponsoring, "PER_PAGE", 2)
    wells = CampaignFactory()
    for number in range(3):
        gift(campaign=wells, amount_minor=1_000 * (3 - number), email=f"p{number}@example.org", display_name=f"P{number}")

    assert listed(client) == [("P0", "$30.00"), ("P1", "$20.00")]
    with django_assert_num_queries(2):
        assert listed(client, "?page=2") == [("P2", "$10.00")]
    assert listed(client, "?page=99") == [("P2", "$10.00")]
