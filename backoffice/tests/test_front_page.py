"""The front page: sums per currency and never over two, what waits for somebody, each only for who may see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.tests.factories import UserFactory
from backoffice import front_page
from backoffice.attention import MATTERS, MOST, attention
from backoffice.figures import figures
from backoffice.models import Export
from backoffice.tests.conftest import logged_in, staff
from campaigns.models import Campaign
from conventions.charts import Chart
from donations.models import Donation, Receipt
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments import ledger
from payments.models import Dispute, LastRun, LedgerAccount, Payment, Refund, StripeEvent
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from payments.unmatched import UNMATCHED
from pricing.models import HourLot
from pricing.tests.factories import make_plan, pending_purchase
from wallets.adjusting import propose
from wallets.models import Wallet
from wallets.tests.factories import fund, make_wallet

pytestmark = pytest.mark.django_db

SEES = (front_page.GIFTS, front_page.REFUNDS, front_page.DISPUTES, front_page.TOP_UPS, front_page.EVENTS)


@pytest.fixture
def finance() -> Client:
    return logged_in(staff(*SEES))


def paid(*, days_ago: int = 0, **fields: Any) -> tuple[Donation, Story]:
    """Paid at this time of the day, so many days ago."""
    donation = pending_donation(**fields)
    story = Story(payment_of(donation))
    settle_events(story.succeeded(), source="webhook")
    at = timezone.now() - timedelta(days=days_ago)
    Donation.objects.filter(pk=donation.pk).update(paid_at=at, created_at=at)
    return Donation.objects.get(pk=donation.pk), story


def context(client: Client, url: str = "/admin/") -> dict[str, Any]:
    cache.clear()
    return client.get(url).context_data


def chart(page: dict[str, Any], title: str) -> Chart:
    return next(one for one in page["charts"] if one.title == title)


def test_money_is_told_per_currency_and_period(finance: Client) -> None:
    euro, yen = CampaignFactory(currency="eur"), CampaignFactory(currency="jpy")
    paid(campaign=euro, amount_minor=2500)
    paid(campaign=euro, amount_minor=1050, days_ago=6)
    paid(campaign=euro, amount_minor=100, days_ago=29)
    paid(campaign=euro, amount_minor=900_000, days_ago=30)
    paid(campaign=yen, amount_minor=700, days_ago=7)
    pending_donation(campaign=euro, amount_minor=5555)

    page = context(finance)

    told = {row["currency"]: [(cell["raised"], cell["gifts"]) for cell in row["cells"]] for row in page["totals"]}
    assert told == {
        "EUR": [("€25.00", "1 gift"), ("€35.50", "2 gifts"), ("€36.50", "3 gifts")],
        "JPY": [("¥0", "0 gifts"), ("¥0", "0 gifts"), ("¥700", "1 gift")],
    }


def test_a_chart_shows_one_currency_and_the_table_beneath_its_figures(finance: Client) -> None:
    euro, yen = CampaignFactory(currency="eur", title="Wells"), CampaignFactory(currency="jpy")
    paid(campaign=euro, amount_minor=2500)
    paid(campaign=euro, amount_minor=2500, days_ago=45)
    paid(campaign=yen, amount_minor=700)

    short, long, in_yen = (context(finance, f"/admin/{query}") for query in ("", "?days=90", "?currency=jpy"))

    assert [chart(page, "Gifts raised per day").sum for page in (short, long, in_yen)] == ["€25.00", "€50.00", "¥700"]
    assert [len(chart(page, "Gifts raised per day").rows) for page in (short, long)] == [30, 90]
    assert chart(short, "Gifts raised per day").rows[0] == (timezone.now().date().isoformat(), "1", "€25.00")
    assert chart(short, "Gifts by campaign").rows == [("Wells", "€25.00")]
    assert chart(long, "Gifts by campaign").rows == [("Wells", "€50.00")]


def test_what_went_back_is_told_and_what_never_left_is_not(finance: Client) -> None:
    _, story = paid(amount_minor=2500)
    settle_events(story.refunded("re_1", 500, at=90, in_all=500), source="webhook")
    Refund.objects.update(created_at=timezone.now())
    Donation.objects.update(paid_at=timezone.now())
    unsent = Refund.objects.get()
    Refund.objects.create(payment=unsent.payment, amount_minor=300, currency="usd", created_at=timezone.now())
    Refund.objects.create(
        payment=unsent.payment, stripe_id="re_2", amount_minor=200, currency="usd", created_at=timezone.now(),
        failed_at=timezone.now(), status="failed",
    )  # fmt: skip

    page = context(finance)

    assert chart(page, "Gifts refunded per day").sum == "$5.00"
    assert chart(page, "Gifts refunded per day").note == "1 time, 20.00 % of what came in"
    assert page["totals"][0]["cells"][0] == {"raised": "$25.00", "gifts": "1 gift", "refunded": "$5.00"}


def test_conversion_is_of_the_gifts_started_that_day(finance: Client) -> None:
    paid()
    pending_donation()
    pending_donation(created_at=timezone.now() - timedelta(days=40))

    told = chart(context(finance), "Gifts from started to paid")

    assert (told.sum, told.note) == ("50.0 %", "1 of 2 gifts started, all currencies")
    assert told.rows[0][1:] == ("2", "1", "50.0 %")


def test_the_delay_of_webhooks_is_told_by_hour(finance: Client) -> None:
    now = timezone.now()
    for name, seconds, source in (("a", 1, "webhook"), ("b", 4, "webhook"), ("c", 3600, "pull")):
        StripeEvent.objects.create(
            id=f"evt_{name}", type="charge.succeeded", object_id="ch_1", livemode=False, created_at=now, source=source,
            payload="{}", state="applied",
        )  # fmt: skip
        StripeEvent.objects.filter(pk=f"evt_{name}").update(received_at=now, created_at=now - timedelta(seconds=seconds))

    told = chart(context(finance), "Webhooks on their way")

    assert (told.sum, told.note) == ("2.5 s", "on average, 4.0 s at most; 2 webhooks in 24 hours")
    assert [row[1:] for row in told.rows] == [("2", "2.5 s", "4.0 s")]


def test_an_empty_house_has_a_page_too(finance: Client) -> None:
    answer = finance.get("/admin/")

    assert answer.status_code == 200
    assert "Nothing waits for anybody." in answer.content.decode()
    assert chart(answer.context_data, "Gifts raised per day").sum == "$0.00"
    assert chart(answer.context_data, "Gifts from started to paid").sum == "–"


@pytest.mark.parametrize("query", ["?days=x", "?currency=xyz", "?days=90&currency=<script>", "?days=1000000"])
def test_an_odd_question_gets_the_usual_page(finance: Client, query: str) -> None:
    page = finance.get(f"/admin/{query}")
    assert page.status_code == 200
    assert (page.context_data or {})["currency"] == "usd"
    assert "<script>" not in page.content.decode()


# -- who may see what ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("permission", "titles"),
    [
        (front_page.GIFTS, ["Gifts raised per day", "Gifts by campaign", "Gifts from started to paid"]),
        (front_page.REFUNDS, ["Gifts refunded per day"]),
        (front_page.DISPUTES, ["Gifts disputed per day"]),
        (front_page.EVENTS, ["Webhooks on their way"]),
        (front_page.TOP_UPS, ["Topped up per day", "Top-ups paid and failed"]),
        ("wallets.view_wallet", []),
        ("campaigns.view_campaign", []),
    ],
)
def test_each_sees_what_he_may(permission: str, titles: list[str]) -> None:
    _, story = paid(amount_minor=2500)
    settle_events(story.refunded("re_1", 500, at=90, in_all=500), source="webhook")

    page = context(logged_in(staff(permission)))

    assert [one.title for one in page["charts"]] == titles
    assert bool(page["totals"]) == (permission == front_page.GIFTS)
    assert all(set(cell) == {"raised", "gifts"} for row in page["totals"] for cell in row["cells"])


def test_strangers_are_sent_to_log_in() -> None:
    assert Client().get("/admin/").status_code == 302


# -- what waits ------------------------------------------------------------------------------------------
def event(name: str, state: str) -> None:
    waits = "pi_1" if state == "parked" else None
    StripeEvent.objects.create(
        id=f"evt_{name}", type="charge.succeeded", object_id="ch_1", livemode=False, created_at=timezone.now(),
        source="webhook", payload="{}", state=state, waiting_for=waits,
    )  # fmt: skip


def everything_that_waits() -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    gift, _ = paid(amount_minor=2500, email="ada@example.org")
    other, _ = paid(amount_minor=2500, email="ben@example.org")
    for state in ("dead", "failed", "parked", "applied"):
        event(state, state)
    refund = {"payment": gift.payment, "amount_minor": 100, "currency": "usd", "created_at": long_ago}
    Refund.objects.create(**refund)
    Refund.objects.create(**refund, stripe_id="re_f", failed_at=long_ago, status="failed")
    Dispute.objects.create(
        payment=gift.payment, stripe_id="dp_1", amount_minor=2500, currency="usd", status="needs_response", opened_at=long_ago
    )
    owed = pending_purchase(make_plan())
    settle_events(Story(owed).succeeded(), source="webhook")
    HourLot.objects.update(owed_hundredths=100)
    Refund.objects.create(**refund | {"payment": owed}, stripe_id="re_o", succeeded_at=long_ago, status="succeeded")
    Receipt.objects.create(donation=gift, claimed_at=long_ago)
    Receipt.objects.create(donation=other, claimed_at=long_ago, last_error="no such mailbox")
    Payment.objects.create(
        purpose=UNMATCHED, destination=_unmatched_account(), via="checkout", amount_minor=100, currency="usd",
        livemode=False, paid_at=long_ago, status="paid",
    )  # fmt: skip
    LastRun.objects.create(name="check_books", finished_at=long_ago, found=1)
    Export.objects.create(kind="donations", format="csv", state="failed")
    wallet = make_wallet()
    Wallet.objects.filter(pk=wallet.pk).update(owed_since=long_ago, top_up_paused_at=long_ago)
    propose(wallet=wallet, amount_minor=100, reason="Charged twice", actor=UserFactory.create())


def _unmatched_account() -> LedgerAccount:
    ledger.open_accounts([ledger.unmatched_account("usd")])
    return LedgerAccount.objects.get(pk=ledger.unmatched_account("usd"))


def test_everything_that_waits_is_told_once_and_its_list_shows_it() -> None:
    everything_that_waits()
    user = staff(*{matter.permission for matter in MATTERS})
    client = logged_in(user)

    found = attention(user)

    assert [(one.matter.key, one.number) for one in found] == [(matter.key, 1) for matter in MATTERS]
    lists = [(one.matter.key, client.get(url)) for one in found if (url := one.matter.url())]
    assert {key: (answer.status_code, len((answer.context_data or {})["cl"].result_list)) for key, answer in lists} == {
        matter.key: (200, 1) for matter in MATTERS if matter.url()
    }


@pytest.mark.parametrize("matter", MATTERS, ids=lambda matter: matter.key)
def test_what_waits_is_told_to_who_may_see_it_only(matter: Any) -> None:
    everything_that_waits()
    expected = [one.key for one in MATTERS if one.permission == matter.permission]

    assert [one.matter.key for one in attention(staff(matter.permission))] == expected
    assert attention(staff("campaigns.view_campaign", email="none@example.org")) == []


def test_what_is_being_done_this_moment_does_not_wait_for_anybody() -> None:
    gift, _ = paid(email="ada@example.org")
    Refund.objects.create(payment=gift.payment, amount_minor=100, currency="usd", created_at=timezone.now())
    Receipt.objects.create(donation=gift, claimed_at=timezone.now())

    assert attention(staff("payments.view_refund", "donations.view_receipt")) == []


@pytest.mark.parametrize(("number", "said"), [(1, "1 adjustment waits for"), (2, "2 adjustments wait for")])
def test_one_is_told_as_one(number: int, said: str) -> None:
    wallet = make_wallet()
    for _ in range(number):
        propose(wallet=wallet, amount_minor=100, reason="Charged twice", actor=UserFactory.create())

    (found,) = attention(staff("wallets.view_walletadjustment"))
    assert f"{found.told} {found.what}" == f"{said} a second person"


def test_many_are_counted_no_further_than_needed() -> None:
    for number in range(MOST + 5):
        event(str(number), "dead")

    (found,) = attention(staff("payments.view_stripeevent"))
    assert f"{found.told} {found.what}" == f"more than {MOST} dead events"


# -- what it costs ---------------------------------------------------------------------------------------
def test_the_page_costs_the_same_queries_however_much_there_is(
    finance: Client, django_assert_max_num_queries: DjangoAssertNumQueries, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    paid()
    finance.get("/admin/")  # session and content types
    cache.clear()
    with django_assert_max_num_queries(40) as few:
        finance.get("/admin/")
    for number in range(8):
        paid(campaign=CampaignFactory(currency="usd"), days_ago=number * 3)
        fund(make_wallet(), 100)
    Payment.objects.filter(purpose="wallet").update(created_at=timezone.now(), paid_at=timezone.now())
    cache.clear()
    with django_assert_num_queries(len(few)):
        finance.get("/admin/")


def test_a_refund_of_a_top_up_is_no_refund_of_a_gift() -> None:
    story = fund(make_wallet(currency="usd"), 900)
    settle_events(story.refunded("a", 900, at=90, in_all=900), source="webhook")
    Refund.objects.update(created_at=timezone.now())
    assert figures(30).window.refunded.count == {}


def test_figures_are_kept_for_a_minute_and_settled_days_for_longer(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    campaign = CampaignFactory()
    paid(campaign=campaign, amount_minor=100)
    paid(campaign=campaign, amount_minor=100, days_ago=5)
    assert figures(30).window.by_campaign == {("usd", campaign.pk): 200}
    Donation.objects.update(amount_minor=700)

    with django_assert_num_queries(0):
        assert figures(30).window.by_campaign == {("usd", campaign.pk): 200}
    cache.delete(f"figures:{(timezone.now() - timedelta(days=1)).date()}")
    assert figures(30).window.by_campaign == {("usd", campaign.pk): 800}
    cache.clear()
    assert figures(30).window.by_campaign == {("usd", campaign.pk): 1400}
    assert Campaign.objects.count() == 1


# -- words -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0.0 s"), (2540, "2.5 s"), (59_999, "59.9 s"), (60_000, "1 min"), (7_200_000, "2 h")]
)
def test_delays_are_told_in_the_unit_that_fits(milliseconds: int, text: str) -> None:
    assert front_page._seconds(milliseconds) == text
