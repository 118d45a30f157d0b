"""The front page's charts of top-ups: over all organizations, one currency at a time, apart from gifts, for who may see them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backoffice import front_page
from backoffice.tests.conftest import logged_in, staff
from backoffice.tests.test_front_page import SEES, chart, context, paid
from donations.tests.factories import CampaignFactory
from payments.models import Payment, Refund
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from wallets.models import Wallet
from wallets.tests.factories import fund, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance() -> Client:
    return logged_in(staff(*SEES))


def topped_up(wallet: Wallet, amount_minor: int, *, days_ago: int = 0) -> Story:
    """Begun and paid at this time of the day, so many days ago."""
    story = fund(wallet, amount_minor)
    at = timezone.now() - timedelta(days=days_ago)
    Payment.objects.filter(pk=story.payment.pk).update(created_at=at, paid_at=at)
    return story


def test_top_ups_are_told_per_day_and_currency_over_all_organizations(finance: Client) -> None:
    topped_up(make_wallet(currency="eur"), 2_500)
    topped_up(make_wallet(currency="eur"), 1_050, days_ago=3)
    topped_up(make_wallet(currency="eur"), 100, days_ago=29)
    topped_up(make_wallet(currency="eur"), 900_000, days_ago=30)
    topped_up(make_wallet(currency="jpy"), 700)
    today = timezone.now().date()

    euro, yen = (chart(context(finance, f"/admin/?currency={currency}"), "Topped up per day") for currency in ("eur", "jpy"))

    assert (euro.sum, yen.sum) == ("€36.50", "¥700")
    assert euro.note == f"in 30 days; most on {today.day} {today:%b}: €25.00"
    assert len(euro.rows) == 30
    assert {row[0]: row[1] for row in euro.rows if row[1] != "€0.00"} == {
        (today - timedelta(days=ago)).isoformat(): amount for ago, amount in ((0, "€25.00"), (3, "€10.50"), (29, "€1.00"))
    }
    assert ">Topped up per day</title>" in euro.picture
    assert f'<desc id="chart-topped-up-per-day-told">€36.50 {euro.note}</desc>' in euro.picture
    assert euro.picture.count('class="mark first"') == 3


def test_paid_failed_and_neither_are_parts_of_the_top_ups_begun(finance: Client) -> None:
    topped_up(make_wallet(), 100)
    topped_up(make_wallet(), 100)
    settle_events(Story(pending_top_up(make_wallet(), 100)).declined(), source="webhook")
    pending_top_up(make_wallet(), 100)

    told = chart(context(finance), "Top-ups paid and failed")

    assert (told.sum, told.note) == ("50.0 %", "2 of 4 top-ups started; 1 failed")
    assert told.rows[0] == (timezone.now().date().isoformat(), "4", "2", "1", "50.0 %")
    assert [row[1:] for row in told.rows[1:]] == [("0", "0", "0", "–")] * 29
    assert [(one.name, one.look, one.values[-1]) for one in told.key] == [
        ("paid", "first", 2), ("failed", "bad", 1), ("neither", "second", 1),
    ]  # fmt: skip
    assert [told.picture.count(f'class="mark {look}"') for look in ("first", "bad", "second")] == [1, 1, 1]


def test_what_went_back_of_top_ups_is_told_beside_what_came(finance: Client) -> None:
    story = fund(make_wallet(currency="eur"), 900)
    settle_events(story.refunded("a", 400, at=90, in_all=400), source="webhook")
    Refund.objects.update(created_at=timezone.now())
    Payment.objects.update(paid_at=timezone.now())

    told = chart(context(finance), "Topped up per day")

    assert told.sum == "€9.00"
    assert told.note.startswith("in 30 days, before €4.00 of refunds; most on ")
    assert told.rows[0][1:] == ("€9.00", "€4.00")


def test_gifts_and_top_ups_are_not_mixed(finance: Client) -> None:
    paid(campaign=CampaignFactory(currency="usd"), amount_minor=2500)
    topped_up(make_wallet(currency="usd"), 100)

    page = context(finance)

    assert (chart(page, "Gifts raised per day").sum, chart(page, "Topped up per day").sum) == ("$25.00", "$1.00")
    assert chart(page, "Gifts from started to paid").note == "1 of 1 gift started, all currencies"
    assert page["totals"][0]["cells"][0] == {"raised": "$25.00", "gifts": "1 gift"}


def test_a_currency_of_wallets_alone_is_offered_to_who_may_see_them_only(finance: Client) -> None:
    paid(campaign=CampaignFactory(currency="usd"))
    topped_up(make_wallet(currency="eur"), 100)
    others = logged_in(staff(front_page.GIFTS, front_page.EVENTS, email="other@example.org"))

    seen, unseen = context(finance, "/admin/?currency=eur"), context(others, "/admin/?currency=eur")

    assert (seen["currencies"], seen["currency"]) == (["usd", "eur"], "eur")
    assert (unseen["currencies"], unseen["currency"]) == (["usd"], "usd")
    assert [row["currency"] for row in seen["totals"]] == ["USD"]
    text = others.get("/admin/?currency=eur").content.decode()
    assert [word in text for word in ("Topped up", "Top-ups", "€1.00")] == [False, False, False]
