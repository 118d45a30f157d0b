"""Payments per day: exact in every currency, each fact on its day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from accounts.models import Organization
from donations.tests.factories import pending_donation
from payments.settlement import settle_events
from payments.tests.stripe_objects import BORN, Story
from wallets.models import PaymentStatistic
from wallets.statistics import TopUpDay, of_wallet, over_all_organizations
from wallets.tests.factories import fund, join, make_organization, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db

DAY_S = 86_400
PAID_ON = "2026-09-21"  # stories are told from BORN on
PERIOD = {"since": "2026-09-01", "until": "2026-10-31"}


@pytest.fixture
def organization() -> Organization:
    return make_organization()


def days(organization: Organization, **query: str) -> list[dict[str, Any]]:
    client = APIClient()
    client.force_authenticate(join(organization))
    response = client.get("/api/payments/statistics", {"organization_id": organization.pk, **query})
    assert response.status_code == 200, response.content
    return list(response.json()["statistics"])


def day(day: str, currency: str = "EUR", **figures: Any) -> dict[str, Any]:
    none = {"attempts": 0, "paid": 0, "failed": 0, "conversion": None, "volume": "0.00", "refunded": "0.00"}
    return {"day": day, "currency": currency, **none, **figures}


def tell(story: Story, *events: Any) -> None:
    for event in events:
        settle_events([event], source="webhook")


def test_attempts_count_on_their_day_and_money_on_the_day_it_moved(organization: Organization) -> None:
    wallet = make_wallet(organization)
    with time_machine.travel(datetime(2026, 9, 20, 23, 59, 59, tzinfo=UTC), tick=False):
        paid = fund(wallet, 5_000)  # at Stripe on the day after
        tell(Story(pending_top_up(wallet, 700)), *Story(pending_top_up(wallet, 700)).declined())
    tell(paid, *paid.refunded("a", 1_000, at=DAY_S, in_all=1_000), *paid.refunded("b", 500, at=3 * DAY_S, in_all=1_500))
    assert days(organization, **PERIOD) == [
        day("2026-09-24", refunded="5.00"),
        day("2026-09-22", refunded="10.00"),
        day(PAID_ON, volume="50.00"),
        day("2026-09-20", attempts=3, paid=1, failed=1, conversion="33.3"),
    ]


def test_yen_and_dinars_are_rows_of_their_own_and_exact(organization: Organization) -> None:
    with time_machine.travel(datetime(2026, 9, 21, 12, tzinfo=UTC)):
        fund(make_wallet(organization, "jpy"), 12_345)
        dinars = make_wallet(organization, "kwd")
        fund(dinars, 1_000_000_000_010)
        story = fund(dinars, 5_430)
        pending_top_up(dinars, 1_000)
        tell(story, *story.refunded("a", 1_230, at=5, in_all=1_230))
    assert days(organization, **PERIOD) == [
        day(PAID_ON, "JPY", attempts=1, paid=1, conversion="100.0", volume="12345", refunded="0"),
        day(PAID_ON, "KWD", attempts=3, paid=2, conversion="66.7", volume="1000000005.440", refunded="1.230"),
    ]


def test_a_refund_that_failed_was_none(organization: Organization) -> None:
    story = fund(make_wallet(organization), 5_000)
    tell(story, *story.refund_failed("a", 2_000, at=100))
    assert [row["refunded"] for row in days(organization, **PERIOD)] == ["0.00"]


def test_figures_agree_with_the_payments_themselves(organization: Organization) -> None:
    wallet = make_wallet(organization)
    for n in range(1, 8):
        story = fund(wallet, 1_000 * n)
        tell(story, *story.refunded("a", 100 * n, at=n * DAY_S, in_all=100 * n))
    rows = list(PaymentStatistic.objects.filter(organization=organization))
    assert sum(row.volume_minor for row in rows) == 28_000
    assert sum(row.refunded_minor for row in rows) == 2_800
    assert sum(row.attempts for row in rows) == sum(row.paid for row in rows) == 7
    assert all(isinstance(row.volume_minor, int) for row in rows)


def test_gifts_and_other_organizations_are_not_counted(organization: Organization) -> None:
    fund(make_wallet(), 5_000)
    gift = Story(pending_donation(display_name="Ada").payment)
    tell(gift, *gift.succeeded())
    assert days(organization, **PERIOD) == []
    assert PaymentStatistic.objects.filter(volume_minor__gt=0).count() == 1


def test_both_ends_of_a_period_are_in_it(organization: Organization) -> None:
    wallet = make_wallet(organization)
    fund(wallet, 5_000)
    assert datetime.fromtimestamp(BORN, UTC).date().isoformat() == PAID_ON
    assert len(days(organization, since=PAID_ON, until=PAID_ON)) == 1
    assert days(organization, since="2026-09-22", until="2026-09-30") == []
    assert days(organization, since="2026-09-01", until="2026-09-20") == []


def test_the_last_thirty_days_are_told_unless_asked_for_others(organization: Organization) -> None:
    client = APIClient()
    client.force_authenticate(join(organization))
    with time_machine.travel(datetime(2026, 10, 20, 1, tzinfo=UTC)):
        fund(make_wallet(organization), 5_000)
        body = client.get("/api/payments/statistics", {"organization_id": organization.pk}).json()
    assert (body["since"], body["until"], body["organization_id"]) == (PAID_ON, "2026-10-20", organization.pk)
    assert [row["day"] for row in body["statistics"]] == ["2026-10-20", PAID_ON]


@pytest.mark.parametrize("period", [("2026-09-02", "2026-09-01"), ("2025-09-01", "2026-09-02"), ("0001-01-01", "9999-12-31")])
def test_a_period_of_no_day_or_of_too_many_is_refused(organization: Organization, period: tuple[str, str]) -> None:
    client = APIClient()
    client.force_authenticate(join(organization))
    query = {"organization_id": organization.pk, "since": period[0], "until": period[1]}
    refused = client.get("/api/payments/statistics", query)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_period")


def test_a_period_that_ends_in_the_first_days_of_time_is_no_error(organization: Organization) -> None:
    assert days(organization, until="0001-01-02") == []
    assert days(organization, since="9999-12-01", until="9999-12-31") == []


def test_the_sums_over_all_organizations_are_those_of_the_view() -> None:
    with time_machine.travel(datetime(2026, 9, 20, 23, 59, 59, tzinfo=UTC), tick=False):
        for currency in ("eur", "eur", "jpy"):
            wallet = make_wallet(currency=currency)
            paid = fund(wallet, 5_000)
            tell(Story(pending_top_up(wallet, 700)), *Story(pending_top_up(wallet, 700)).declined())
            tell(paid, *paid.refunded("a", 1_000, at=DAY_S, in_all=1_000), *paid.refund_failed("b", 500, at=2 * DAY_S))
        gift = Story(pending_donation(display_name="Ada").payment)
    tell(gift, *gift.succeeded(), *gift.refunded("a", 100, at=DAY_S, in_all=100))
    viewed: dict[Any, TopUpDay] = {}
    for row in PaymentStatistic.objects.filter(day__range=("2026-09-20", "2026-09-22")):
        seen = viewed.setdefault((row.day, row.currency), TopUpDay())
        for name in ("attempts", "paid", "failed", "volume_minor", "refunded_minor"):
            setattr(seen, name, getattr(seen, name) + getattr(row, name))

    told = over_all_organizations(date(2026, 9, 20), date(2026, 9, 23))

    assert told == viewed
    assert told == {
        (date(2026, 9, 20), "eur"): TopUpDay(attempts=6, paid=2, failed=2),
        (date(2026, 9, 20), "jpy"): TopUpDay(attempts=3, paid=1, failed=1),
        (date(2026, 9, 21), "eur"): TopUpDay(volume_minor=10_000),
        (date(2026, 9, 21), "jpy"): TopUpDay(volume_minor=5_000),
        (date(2026, 9, 22), "eur"): TopUpDay(refunded_minor=2_000),
        (date(2026, 9, 22), "jpy"): TopUpDay(refunded_minor=1_000),
    }
    assert over_all_organizations(date(2026, 9, 22), date(2026, 9, 23)) == {
        key: day for key, day in viewed.items() if key[0] == date(2026, 9, 22)
    }


def test_a_wallets_days_are_its_own_currency_of_its_own_organization(organization: Organization) -> None:
    wallet, yen = make_wallet(organization), make_wallet(organization, "jpy")
    with time_machine.travel(datetime(2026, 9, 21, 12, tzinfo=UTC)):
        fund(wallet, 5_000)
        fund(yen, 700)
        fund(make_wallet(), 900)

    assert of_wallet(wallet, date(2026, 9, 1), date(2026, 9, 21)) == {
        date(2026, 9, 21): TopUpDay(attempts=1, paid=1, volume_minor=5_000)
    }
    assert of_wallet(wallet, date(2026, 9, 22), date(2026, 9, 30)) == {}
