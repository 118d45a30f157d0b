"""Lists that stay the same size of work however long their tables are, and searches that find whole ids."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import PASSWORD
from campaigns.models import Campaign
from conventions import admin_lists
from conventions.admin_showing import list_url
from donations.models import Donation, Donor, Receipt, Supporter
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments.admin import lists
from payments.admin.lists import MOST_PAGES, UncountedPaginator
from payments.models import Dispute, LedgerAccount, Payment, Refund, StripeCall, StripeEvent, Transfer
from payments.refunds import request_refund
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


def told(number: int) -> list[Story]:
    """Gifts to one campaign, each paid, refunded in part and disputed, with a refund that was not sent."""
    campaign = CampaignFactory()
    stories = [Story(payment_of(pending_donation(campaign=campaign))) for _ in range(number)]
    happened = [[*s.succeeded(), *s.refunded("a", 500, at=60, in_all=500), *s.disputed("won")] for s in stories]
    settle_events([event for events in happened for event in events], source="webhook")
    for story in stories:
        request_refund(payment_id=story.payment.pk, amount_minor=100, requested_by=None)
    return stories


def fill(model: Any, rows: int) -> None:
    """Of tables that gifts of one donor do not fill."""
    donors = [Donor(email=f"donor{n}-{rows}@example.org") for n in range(rows)]
    Donor.objects.bulk_create(donors)
    Supporter.objects.bulk_create([Supporter(campaign=Campaign.objects.first(), donor=donor) for donor in donors])
    LedgerAccount.objects.bulk_create(
        [LedgerAccount(code=f"campaign:{rows}-{n}:usd", kind="liability", currency="usd") for n in range(rows)]
    )
    without = Donation.objects.filter(receipt=None)
    Receipt.objects.bulk_create([Receipt(donation=gift, claimed_at=gift.created_at) for gift in without])


# Queries of an open list, the two of session and user among them; constant at any number of rows.
QUERIES = {
    Payment: 6,
    Refund: 5,
    Dispute: 5,
    Transfer: 5,
    StripeEvent: 5,
    StripeCall: 5,
    LedgerAccount: 4,
    Donation: 7,
    Donor: 5,
    Supporter: 5,
    Receipt: 4,
}


@pytest.mark.parametrize("model", QUERIES)
def test_a_list_takes_as_many_queries_for_five_rows_as_for_fifty_and_counts_none(
    root: Client, django_assert_num_queries: Any, model: Any
) -> None:
    told(5)
    fill(model, 5)
    with django_assert_num_queries(QUERIES[model]):
        few = root.get(list_url(model))
    told(50)
    fill(model, 50)
    with (
        django_assert_num_queries(QUERIES[model]),
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        many = root.get(list_url(model))

    assert [q["sql"] for q in queries.captured_queries if "COUNT(" in q["sql"].upper()] == []
    assert len(few.context["cl"].result_list) >= 5
    assert len(many.context["cl"].result_list) == 50
    assert "50 shown, more follow" in many.content.decode()


def test_the_page_of_a_payment_takes_as_many_queries_however_much_happened(root: Client, django_assert_num_queries: Any) -> None:
    story = told(1)[0]
    url = f"/admin/payments/payment/{story.payment.pk.replace('_', '_5F')}/change/"
    root.get(url)  # content types are looked up once
    with django_assert_num_queries(13):
        root.get(url)
    settle_events([story.event("charge.updated", story.charge(), 1000 + n, previous={}) for n in range(60)], source="webhook")
    for _ in range(5):
        request_refund(payment_id=story.payment.pk, amount_minor=1, requested_by=None)
    with django_assert_num_queries(13):
        root.get(url)


def rows_at(number: int) -> UncountedPaginator:
    return UncountedPaginator(Payment.objects.order_by("pk"), 5, number=number)


def test_a_page_knows_only_whether_more_follow() -> None:
    for _ in range(12):
        pending_donation()

    assert [(p.count, p.num_pages, p.has_more) for p in map(rows_at, (1, 2, 3))] == [
        (6, 2, True),
        (11, 3, True),
        (12, 3, False),
    ]
    assert [len(rows_at(n).page(n).object_list) for n in (1, 2, 3)] == [5, 5, 2]


def test_an_empty_table_has_one_empty_page() -> None:
    assert (rows_at(1).count, rows_at(1).num_pages, rows_at(1).has_more) == (0, 1, False)
    assert list(rows_at(1).page(1).object_list) == []


def test_a_full_last_page_is_the_last() -> None:
    for _ in range(5):
        pending_donation()

    assert (rows_at(1).count, rows_at(1).num_pages, rows_at(1).has_more) == (5, 1, False)


def test_pages_end_where_they_would_cost_too_much(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_lists, "MOST_PAGES", 2)
    monkeypatch.setattr(lists.ReadOnly, "list_per_page", 3)
    for _ in range(10):
        pending_donation()

    last = root.get("/admin/payments/payment/?p=2")
    beyond = root.get("/admin/payments/payment/?p=3")

    assert "3 shown, more follow: narrow the list by a search, a filter or a date" in last.content.decode()
    assert (beyond.status_code, beyond["Location"]) == (302, "/admin/payments/payment/?e=1")
    assert MOST_PAGES == 200


@pytest.mark.parametrize("page", ["0", "-1", "x", ""])
def test_a_page_number_that_is_none_shows_the_first(root: Client, page: str) -> None:
    pending_donation()

    answer = root.get(f"/admin/payments/payment/?p={page}", follow=True)

    assert answer.status_code == 200


def test_all_rows_at_once_are_not_to_be_had(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists.ReadOnly, "list_per_page", 3)
    for _ in range(5):
        pending_donation()

    assert len(root.get("/admin/payments/payment/?all=").context["cl"].result_list) == 3


def test_dates_are_stepped_through_by_calendar(root: Client) -> None:
    payment = payment_of(pending_donation())
    made = payment.created_at
    url = "/admin/payments/payment/"

    years = root.get(url).context["cl"].date_steps()["choices"]
    months = root.get(f"{url}?created_at__year={made.year}").context["cl"]
    days = root.get(f"{url}?created_at__year={made.year}&created_at__month={made.month}").context["cl"]
    day = root.get(f"{url}?created_at__year={made.year}&created_at__month={made.month}&created_at__day={made.day}").context["cl"]
    before = root.get(f"{url}?created_at__year={made.year - 1}").context["cl"]

    assert years == [{"title": str(made.year), "query": f"?created_at__year={made.year}"}]
    assert len(months.date_steps()["choices"]) == 12
    assert len(days.date_steps()["choices"]) in {28, 29, 30, 31}
    assert day.date_steps()["choices"] == []
    assert [list(cl.result_list) for cl in (months, days, day, before)] == [[payment], [payment], [payment], []]


def test_a_date_that_is_none_is_refused_without_a_trace(root: Client) -> None:
    pending_donation()

    answer = root.get("/admin/payments/payment/?created_at__year=2026&created_at__month=13")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/payments/payment/?e=1")


def test_payments_are_found_by_any_whole_id_and_by_address(root: Client) -> None:
    story, other = told(2)
    payment = Payment.objects.get(pk=story.payment.pk)
    Payment.objects.filter(pk=other.payment.pk).update(customer_email="grace@example.org", customer_name="Grace Hopper")
    terms = [
        payment.pk,
        payment.subject_id,
        story.session_id,
        story.intent_id,
        story.charge_id,
        f"re_{story.number}_a",
        f"dp_{story.number}",
        f" {story.charge_id} ",
        Refund.objects.filter(payment=payment).first().pk,
        Dispute.objects.get(payment=payment).pk,
        Transfer.objects.filter(payment=payment).first().pk,
        StripeEvent.objects.filter(object_id=story.charge_id).first().pk,
        "Ada@Example.org",
        "lovelace",
    ]

    found = {term: [p.pk for p in root.get(list_url(Payment, q=term)).context["cl"].result_list] for term in terms}

    assert found == {term: [payment.pk] for term in terms}


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("25.00", ["usd 2500", "eur 2500", "jpy 25"]),
        ("25", ["usd 2500", "eur 2500", "jpy 25"]),
        ("$25", ["usd 2500"]),
        ("$ 25.00", ["usd 2500"]),
        ("25 EUR", ["eur 2500"]),
        ("¥25", ["jpy 25"]),
        ("2,500.00", ["usd 250000", "jpy 2500"]),
        ("25.001", []),
        ("26", []),
        ("$", []),
        ("25.00.00", []),
    ],
)
@pytest.mark.parametrize("model", [Payment, Donation])
def test_an_amount_finds_what_it_means_in_each_currency(root: Client, model: Any, term: str, found: list[str]) -> None:
    for currency, amount_minor in (("usd", 2500), ("usd", 250_000), ("eur", 2500), ("jpy", 25), ("jpy", 2500)):
        campaign = CampaignFactory(currency=currency, goal_minor=None)
        pending_donation(campaign=campaign, amount_minor=amount_minor, display_name="25 dollars")

    rows = root.get(list_url(model, q=term)).context["cl"].result_list

    assert sorted(f"{row.currency} {row.amount_minor}" for row in rows) == sorted(found)


def test_a_currency_narrows_both_lists(root: Client) -> None:
    for currency in ("usd", "eur"):
        donation = pending_donation(campaign=CampaignFactory(currency=currency))
        settle_events(Story(payment_of(donation)).succeeded(), source="webhook")

    for model in (Payment, Donation):
        page = root.get(list_url(model, currency="eur"))
        assert [row.currency for row in page.context["cl"].result_list] == ["eur"]
        assert ["?currency=usd" in page.content.decode(), "?currency=gbp" in page.content.decode()] == [True, False]


def test_half_an_id_finds_nothing(root: Client) -> None:
    story = told(1)[0]

    for term in (story.payment.pk[:-1], "pi_", "evt_none", "donation_none", "%"):
        assert list(root.get(list_url(Payment, q=term)).context["cl"].result_list) == []


@pytest.mark.parametrize(
    ("model", "term", "rows"),
    [
        (Refund, "re_{n}_a", 1),
        (Refund, "{pay}", 2),
        (Refund, "pi_{n}", 2),
        (Dispute, "dp_{n}", 1),
        (Dispute, "{pay}", 1),
        (Transfer, "re_{n}_a", 1),
        (Transfer, "dp_{n}", 2),
        (Transfer, "{pay}", 4),
        (Transfer, "stripe:usd", 8),
        (StripeEvent, "ch_{n}", 3),
        (StripeEvent, "{pay}", 12),
        (StripeCall, "refund_none", 0),
        (LedgerAccount, "stripe:", 1),
    ],
)
def test_rows_are_found_by_whole_ids(root: Client, model: Any, term: str, rows: int) -> None:
    story = told(2)[0]

    answer = root.get(list_url(model, q=term.format(n=story.number, pay=story.payment.pk)))

    assert len(answer.context["cl"].result_list) == rows


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("payment/?status__exact=paid", 1),
        ("payment/?status__exact=open", 1),
        ("payment/?purpose=donation", 2),
        ("payment/?purpose=unmatched", 0),
        ("payment/?back=refunded", 1),
        ("payment/?back=disputed", 0),
        ("payment/?livemode__exact=1", 0),
        ("refund/?sent=no", 1),
        ("refund/?sent=yes", 1),
        ("refund/?status__exact=failed", 0),
        ("dispute/?status=won", 1),
        ("dispute/?status=lost", 0),
        ("stripecall/?answered=no", 1),
        ("stripecall/?answered=yes", 0),
        ("stripecall/?answered=error", 0),
        ("stripeevent/?type=charge.succeeded", 1),
        ("stripeevent/?state__exact=dead", 0),
        ("ledgeraccount/?kind__exact=asset", 1),
    ],
)
def test_lists_are_filtered(root: Client, path: str, rows: int) -> None:
    told(1)
    pending_donation()

    assert len(root.get(f"/admin/payments/{path}").context["cl"].result_list) == rows


def test_nothing_in_the_pages_needs_more_than_the_content_security_policy_allows(root: Client) -> None:
    told(1)
    pages = [root.get(list_url(model)) for model in QUERIES]

    assert ["default-src 'self'" in page["Content-Security-Policy"].split("; ") for page in pages] == [True] * len(pages)
    text = "".join(page.content.decode() for page in pages)
    assert " style=" not in text
    assert "<style" not in text
    assert "<script>" not in text
    assert "admin_site.css" in text
