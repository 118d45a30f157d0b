"""Campaigns in the back office: money in major units stored exactly, totals only read, what has money kept."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD, UserFactory
from campaigns.models import Campaign, CampaignTally
from conventions.admin_showing import change_url, list_url
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments.models import Transfer
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/campaigns/campaign/", "/admin/campaigns/campaign/add/"
_slugs = (f"wells-{n}" for n in itertools.count(1))


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


def written(**fields: str) -> dict[str, str]:
    empty = dict.fromkeys(("summary", "story", "image_url", "owner", "goal", "minimum"), "")
    times = dict.fromkeys(("starts_at_0", "starts_at_1", "ends_at_0", "ends_at_1"), "")
    return {**empty, **times, "title": "Wells", "slug": next(_slugs), "state": "draft", "currency": "usd", **fields}


@pytest.mark.parametrize(
    ("currency", "goal", "minor"),
    [
        ("usd", "5000.00", 500_000),
        ("usd", "0.07", 7),
        ("usd", "5000", 500_000),
        ("jpy", "5000", 5000),
        ("kwd", "5.120", 5120),
        ("kwd", "5.12", 5120),
        ("huf", "5000.50", 500_050),
        ("isk", "5000", 500_000),
        ("usd", "", None),
        ("EUR", "1.10", 110),
    ],
)
def test_a_goal_is_stored_exactly_as_written(root: Client, currency: str, goal: str, minor: int | None) -> None:
    answer = root.post(ADD, written(currency=currency, goal=goal, minimum=goal))

    assert answer.status_code == 302
    campaign = Campaign.objects.get()
    assert (campaign.goal_minor, campaign.minimum_minor, campaign.currency) == (minor, minor or 0, currency.lower())
    assert campaign.owner == User.objects.get()


@pytest.mark.parametrize(
    ("currency", "goal", "sentence"),
    [
        ("usd", "50.001", "Amounts in USD have at most 2 decimals."),
        ("jpy", "50.5", "Amounts in JPY are whole numbers."),
        ("isk", "50.5", "Amounts in ISK are whole numbers."),
        ("kwd", "5.123", "Amounts in KWD have at most two decimals (a third must be 0)."),
        ("usd", "5,000", "Write the amount as a number such as 25 or 25.50."),
        ("usd", "$5", "Write the amount as a number such as 25 or 25.50."),
        ("usd", "0", "The goal must be more than zero."),
        ("usd", "-5", "The goal must be more than zero."),
        ("usd", "1e15", "That amount is too large."),
    ],
)
def test_a_goal_that_cannot_be_stored_exactly_is_refused(root: Client, currency: str, goal: str, sentence: str) -> None:
    answer = root.post(ADD, written(currency=currency, goal=goal))

    assert answer.context["adminform"].errors == {"goal": [sentence]}
    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"currency": "xxx"}, {"currency": ["'xxx' is not a currency that can be charged."]}),
        ({"minimum": "-1"}, {"minimum": ["The minimum cannot be negative."]}),
        ({"title": "a\x07b"}, {"title": ["Control characters are not allowed."]}),
        (
            {"starts_at_0": "2026-05-02", "starts_at_1": "00:00", "ends_at_0": "2026-05-01", "ends_at_1": "00:00"},
            {"ends_at": ["The end must be after the start."]},
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_field(root: Client, fields: dict[str, str], errors: dict[str, list[str]]) -> None:
    answer = root.post(ADD, written(**fields))

    assert answer.context["adminform"].errors == errors
    assert not Campaign.objects.exists()


def test_the_form_shows_money_in_major_units_and_saves_it_unchanged(root: Client) -> None:
    campaign = CampaignFactory(currency="kwd", goal_minor=5120, minimum_minor=10)
    url = change_url(Campaign, campaign.pk)

    form = root.get(url).context["adminform"].form
    root.post(url, written(goal=form.initial["goal"], minimum=form.initial["minimum"], title="Renamed"))

    campaign.refresh_from_db()
    assert (form.initial["goal"], form.initial["minimum"]) == ("5.120", "0.010")
    assert (campaign.title, campaign.goal_minor, campaign.minimum_minor) == ("Renamed", 5120, 10)


def test_currency_totals_and_the_general_fund_cannot_be_posted(root: Client) -> None:
    campaign = CampaignFactory()
    root.post(
        change_url(Campaign, campaign.pk),
        written(
            currency="eur", goal="10", goal_minor="1", raised="99", donations="7", is_general_fund="on", total_raised_minor="5"
        ),
    )

    campaign.refresh_from_db()
    assert (campaign.currency, campaign.goal_minor, campaign.is_general_fund) == ("usd", 1000, False)
    assert not CampaignTally.objects.exists()


def test_the_list_shows_what_was_raised(root: Client) -> None:
    campaign = CampaignFactory(title="Wells", goal_minor=10_000)
    story = Story(payment_of(pending_donation(campaign=campaign, amount_minor=2500)))
    settle_events([*story.succeeded(), *story.refunded("a", 1000, at=60, in_all=1000)], source="webhook")

    row = root.get(LIST).content.decode()

    assert '<td class="field-raised nowrap">$15.00</td>' in row or '<td class="field-raised">$15.00</td>' in row
    assert '<progress max="100" value="15.0" aria-label="15 %"></progress> 15 %' in row
    assert ">$100.00</td>" in row


def test_the_list_takes_as_many_queries_for_five_as_for_fifty(root: Client, django_assert_num_queries: Any) -> None:
    CampaignFactory.create_batch(5)
    with django_assert_num_queries(6):
        root.get(LIST)
    CampaignFactory.create_batch(45)
    with django_assert_num_queries(6):
        many = root.get(LIST)

    assert len(many.context["cl"].result_list) == 50


def test_the_totals_lead_to_the_books_and_the_proof(root: Client) -> None:
    campaign = CampaignFactory()
    story = Story(payment_of(pending_donation(campaign=campaign, amount_minor=2500)))
    settle_events(story.succeeded(), source="webhook")

    page = root.get(change_url(Campaign, campaign.pk)).content.decode()
    behind = root.get(list_url(Transfer, account=campaign.account)).context["cl"].result_list

    assert f'href="{list_url(Transfer, account=campaign.account)}"' in page
    assert f'href="/api/campaigns/{campaign.pk}/proof"' in page
    assert [transfer.amount_minor for transfer in behind] == [2500]


def test_only_a_draft_without_gifts_can_be_deleted(root: Client) -> None:
    fund = Campaign.objects.general_fund()
    draft_fund = Campaign.objects.filter(pk=fund.pk)
    draft_fund.update(state="draft")
    live, given, empty = CampaignFactory(), CampaignFactory(state="draft"), CampaignFactory(state="draft")
    pending_donation(campaign=given)

    codes = [
        root.post(change_url(Campaign, campaign.pk).replace("/change/", "/delete/"), {"post": "yes"}).status_code
        for campaign in (fund, live, given, empty)
    ]
    root.post(LIST, {"action": "delete_selected", "_selected_action": live.pk, "post": "yes"})

    assert codes == [403, 403, 403, 302]
    assert set(Campaign.objects.all()) == {fund, live, given}


def test_who_may_only_look_changes_nothing() -> None:
    looker = UserFactory.create(is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename="view_campaign"))
    client = Client()
    client.force_login(looker)
    campaign = CampaignFactory(title="Wells")

    page = client.get(change_url(Campaign, campaign.pk))
    posted = client.post(change_url(Campaign, campaign.pk), written(title="Taken over"))

    assert (page.status_code, posted.status_code) == (200, 403)
    assert client.post(ADD, written()).status_code == 403
    assert [c.title for c in Campaign.objects.all()] == ["Wells"]


def test_campaigns_are_found_by_title_and_id(root: Client) -> None:
    wells, _ = CampaignFactory(title="Wells"), CampaignFactory(title="Books")

    found = [list(root.get(list_url(Campaign, q=term)).context["cl"].result_list) for term in ("wel", wells.pk)]

    assert found == [[wells], [wells]]
