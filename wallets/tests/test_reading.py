"""What members see of their wallets: balances, statements, payments; and what strangers do not."""

from __future__ import annotations

import csv
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import Organization, User
from accounts.tests.factories import UserFactory
from payments import ledger, stripe_gateway
from payments.errors import StripeUnavailable
from payments.ledger import Posting
from payments.models import Transfer
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from wallets import blocking, holding, setting_up, spending, statement
from wallets.models import TopUp, Wallet
from wallets.tests.factories import fund, join, make_organization, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db

NOBODYS = "/api/wallets/org_01m7yw1dwweh9a956y05ske4gt"


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def api(organization: Organization) -> APIClient:
    """A member without a role."""
    return client_of(join(organization))


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def eur(amount_minor: int) -> Money:
    return Money(amount_minor, "eur")


def spend(wallet: Wallet, amount_minor: int, *, key: str, description: str = "Seats") -> str:
    spent, _ = spending.spend(wallet=wallet, money=eur(amount_minor), description=description, key=key, actor=None)
    return spent.pk


def move_often(wallet: Wallet, times: int) -> None:
    """`times` transfers of a cent each, in and out by turns, as spends and their reversals would be."""
    ledger.open_accounts([spending.revenue_account("eur")], kind="income")
    sides = [(spending.revenue_account("eur"), wallet.account), (wallet.account, spending.revenue_account("eur"))]
    ledger.post(
        [
            Posting(
                key=f"{('spend-reversal', 'spend')[n % 2]}:{wallet.pk}:{times}:{n}",
                debit=sides[n % 2][0],
                credit=sides[n % 2][1],
                amount_minor=1,
                currency="eur",
                occurred_at=timezone.now(),
                memo="=1+1",
            )
            for n in range(times)
        ]
    )


def lines(client: APIClient, wallet: Wallet, **query: Any) -> list[dict[str, Any]]:
    response = client.get(f"/api/wallets/{wallet.organization_id}/transactions", query)
    assert response.status_code == 200, response.content
    return list(response.json()["results"])


def told(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def file_of(client: APIClient, wallet: Wallet, **query: Any) -> list[dict[str, str]]:
    response = client.get(f"/api/wallets/{wallet.organization_id}/transactions", query, headers={"Accept": "text/csv"})
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(text.splitlines()))


# -- balances --------------------------------------------------------------------------------------------
def test_an_organization_without_a_wallet_has_nothing(api: APIClient, organization: Organization) -> None:
    response = api.get(f"/api/wallets/{organization.pk}")
    assert response.status_code == 200
    assert response.json() == {"organization_id": organization.pk, "balance": "0.00", "currency": "USD", "wallets": []}
    assert Wallet.objects.count() == 0


def test_a_wallet_shows_what_may_be_spent_what_is_held_and_how_it_tops_up(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization, balance_minor=5_000)
    actor = UserFactory.create()
    setting_up.set_low_balance(wallet=wallet, alert_below=eur(1_000), actor=actor)
    holding.authorize(wallet=wallet, money=eur(700), description="Van", key="h1", actor=None)
    assert api.get(f"/api/wallets/{organization.pk}").json() == {
        "organization_id": organization.pk,
        "balance": "43.00",
        "currency": "EUR",
        "wallets": [
            {
                "id": wallet.pk,
                "currency": "EUR",
                "balance": "43.00",
                "held": "7.00",
                "owed": "0.00",
                "is_blocked": False,
                "blocked_reason": None,
                "low_balance": "10.00",
                "is_low": False,
                "auto_top_up": None,
            }
        ],
    }


def test_a_wallet_that_tops_itself_up_shows_its_rule_and_why_it_paused(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization, "jpy")
    rule = {"top_up_below_minor": 100, "top_up_amount_minor": 500, "top_up_daily_limit_minor": 1_000}
    Wallet.objects.filter(pk=wallet.pk).update(**rule)
    shown = {"enabled": True, "below": "100", "amount": "500", "daily_limit": "1000", "paused_reason": None}
    assert api.get(f"/api/wallets/{organization.pk}").json()["wallets"][0]["auto_top_up"] == shown
    Wallet.objects.filter(pk=wallet.pk).update(top_up_paused_at=timezone.now(), top_up_paused_reason="The card expired.")
    shown |= {"enabled": False, "paused_reason": "The card expired."}
    assert api.get(f"/api/wallets/{organization.pk}").json()["wallets"][0]["auto_top_up"] == shown


def test_each_currency_is_a_wallet_of_its_own(api: APIClient, organization: Organization) -> None:
    make_wallet(organization, "eur", balance_minor=1_000)
    make_wallet(organization, "jpy", balance_minor=300)
    body = api.get(f"/api/wallets/{organization.pk}").json()
    assert (body["balance"], body["currency"]) == ("10.00", "EUR")
    assert [(one["currency"], one["balance"]) for one in body["wallets"]] == [("EUR", "10.00"), ("JPY", "300")]
    body = api.get(f"/api/wallets/{organization.pk}", {"currency": "JPY"}).json()
    assert (body["balance"], body["currency"], len(body["wallets"])) == ("300", "JPY", 2)
    body = api.get(f"/api/wallets/{organization.pk}", {"currency": "kwd"}).json()
    assert (body["balance"], body["currency"]) == ("0.000", "KWD")
    refused = api.get(f"/api/wallets/{organization.pk}", {"currency": "xyz"})
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_currency")


def test_what_is_owed_blocks_and_says_so(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization)
    story = fund(wallet, 5_000)
    spend(wallet, 4_000, key="s1")
    for event in story.refunded("a", 3_000, at=100, in_all=3_000):
        settle_events([event], source="webhook")
    one = api.get(f"/api/wallets/{organization.pk}").json()["wallets"][0]
    assert (one["balance"], one["owed"], one["is_blocked"]) == ("0.00", "20.00", True)
    assert one["blocked_reason"] == "€20.00 is owed after a refund or dispute. It is repaid from what is topped up next."


def test_members_do_not_read_what_staff_wrote_about_a_block(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization)
    blocking.block(wallet_id=wallet.pk, actor=UserFactory.create(is_staff=True), reason="Looks like laundering")
    one = api.get(f"/api/wallets/{organization.pk}").json()["wallets"][0]
    assert (one["is_blocked"], one["blocked_reason"]) == (True, "Blocked by us. Please contact us.")


# -- the statement ---------------------------------------------------------------------------------------
def test_the_statement_tells_every_movement_and_the_balance_after_it(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization)
    story = fund(wallet, 5_000)
    spent = spend(wallet, 3_000, key="s1")
    for event in story.refunded("a", 4_000, at=100, in_all=4_000):
        settle_events([event], source="webhook")
    spending.reverse(spend_id=spent, money=eur(2_500), reason="Fewer", key="r1", actor=None)
    fund(wallet, 900, is_automatic=True)
    hold, _ = holding.authorize(wallet=wallet, money=eur(500), description="Van", key="h1", actor=None)
    holding.capture(hold_id=hold.pk, money=eur(200), actor=None)
    rows = lines(api, wallet)
    assert told(rows, "kind", "amount", "balance_after", "description") == [
        ("release", "3.00", "12.00", "Rest of a captured hold: Van"),
        ("hold", "-5.00", "9.00", "Held: Van"),
        ("top_up", "9.00", "14.00", "Automatic top-up"),
        ("repayment", "-20.00", "5.00", "Repaid from a reversed spend"),
        ("reversal", "25.00", "25.00", "Reversed: Seats"),
        ("refund", "-20.00", "0.00", "Refund of a top-up"),
        ("spend", "-30.00", "20.00", "Seats"),
        ("top_up", "50.00", "50.00", "Top-up"),
    ]
    refund, first = rows[5], rows[7]
    assert (first["payment_id"], first["stripe_id"]) == (story.payment.pk, story.intent_id)
    assert (refund["payment_id"], refund["stripe_id"]) == (story.payment.pk, f"re_{story.number}_a")
    assert told(rows[6:7], "payment_id", "stripe_id", "currency") == [(None, None, "EUR")]


def test_a_dispute_and_its_return_lead_to_the_dispute_at_stripe(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization)
    story = fund(wallet, 5_000)
    for event in story.disputed("won"):
        settle_events([event], source="webhook")
    dispute = f"dp_{story.number}"
    assert told(lines(api, wallet), "kind", "amount", "balance_after", "stripe_id") == [
        ("dispute", "50.00", "50.00", dispute),
        ("dispute", "-50.00", "0.00", dispute),
        ("top_up", "50.00", "50.00", story.intent_id),
    ]


def test_balances_run_on_across_pages_whatever_is_booked_meanwhile(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization, balance_minor=1_000)
    for n in range(6):
        spend(wallet, 100, key=f"s{n}")
    whole = told(lines(api, wallet), "id", "amount", "balance_after")
    assert [balance for *_, balance in whole] == ["4.00", "5.00", "6.00", "7.00", "8.00", "9.00", "10.00"]
    first = api.get(f"/api/wallets/{organization.pk}/transactions", {"page_size": 3}).json()
    fund(wallet, 5_000)
    spend(wallet, 7, key="later")
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    pages = first["results"] + second["results"] + third["results"]
    assert told(pages, "id", "amount", "balance_after") == whole
    assert third["next"] is None
    assert api.get(third["previous"]).json()["results"] == second["results"]
    assert told(lines(api, wallet)[:2], "amount", "balance_after") == [("-0.07", "53.93"), ("50.00", "54.00")]


def test_a_statement_of_a_time_keeps_its_balances(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization, balance_minor=1_000)
    spend(wallet, 100, key="s1")
    spend(wallet, 200, key="s2")
    spend(wallet, 300, key="s3")
    s3, s2, s1, paid = lines(api, wallet)
    between = Transfer.objects.get(pk=s2["id"]).posted_at
    assert lines(api, wallet, since=between - timedelta(days=1), until=between + timedelta(days=1)) == [s3, s2, s1, paid]
    assert lines(api, wallet, until=between - timedelta(days=1)) == []
    assert lines(api, wallet, since=between + timedelta(days=1)) == []
    # Ids tell the time at which they were made, which is a moment after the row's.
    assert statement.first_id(between) <= s2["id"] < statement.first_id(between + timedelta(seconds=30))
    refused = api.get(f"/api/wallets/{organization.pk}/transactions", {"since": "yesterday"})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["since"])


def test_a_currency_without_a_wallet_has_no_statement(api: APIClient, organization: Organization) -> None:
    assert api.get(f"/api/wallets/{organization.pk}/transactions").json()["results"] == []
    yen = make_wallet(organization, "jpy", balance_minor=500)
    assert told(lines(api, yen, currency="jpy"), "amount", "balance_after", "currency") == [("500", "500", "JPY")]
    assert api.get(f"/api/wallets/{organization.pk}/transactions", {"currency": "eur"}).status_code == 404


def test_a_bad_cursor_is_refused(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization, balance_minor=500)
    statement_of = f"/api/wallets/{wallet.organization_id}/transactions"
    assert api.get(statement_of, {"cursor": "x"}).status_code == 404
    assert api.get(statement_of, {"cursor": b64encode(b"p=\x00").decode()}).status_code in {200, 404}
    behind_the_last = b64encode(b"p=transfer_0").decode()
    assert api.get(statement_of, {"cursor": behind_the_last}).json()["results"] == []


def test_the_statement_takes_as_many_queries_for_300_transfers_as_for_3(
    api: APIClient, organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    wallet = make_wallet(organization)
    move_often(wallet, 3)
    with django_assert_num_queries(6):  # membership, wallet, the two sides, their rows, the balance
        assert len(lines(api, wallet, page_size=100)) == 3
    with django_assert_num_queries(3):  # membership, wallets, their accounts
        assert len(api.get(f"/api/wallets/{organization.pk}").json()["wallets"]) == 1
    move_often(wallet, 300)
    make_wallet(organization, "usd")
    with django_assert_num_queries(6):
        assert len(lines(api, wallet, page_size=100)) == 100
    with django_assert_num_queries(3):
        assert len(api.get(f"/api/wallets/{organization.pk}").json()["wallets"]) == 2


# -- as a file -------------------------------------------------------------------------------------------
def test_the_file_holds_the_whole_statement_and_no_formula(
    api: APIClient, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "CHUNK", 2)
    wallet = make_wallet(organization, balance_minor=1_000)
    for n, description in enumerate(["=HYPERLINK(1)", "+1", 'Seats, and "more"', "@x"]):
        spend(wallet, 100, key=f"s{n}", description=description)
    rows = file_of(api, wallet)
    assert [(row["amount"], row["balance_after"], row["description"]) for row in rows] == [
        ("-1.00", "6.00", "'@x"),
        ("-1.00", "7.00", 'Seats, and "more"'),
        ("-1.00", "8.00", "'+1"),
        ("-1.00", "9.00", "'=HYPERLINK(1)"),
        ("10.00", "10.00", "Top-up"),
    ]
    json = lines(api, wallet)
    same = ("id", "occurred_at", "booked_at", "kind", "amount", "balance_after", "currency")
    assert told(rows, *same) == told(json, *same)
    until = Transfer.objects.get(pk=json[0]["id"]).posted_at - timedelta(days=1)
    assert file_of(api, wallet, until=until.isoformat()) == []


def test_a_file_of_nothing_has_its_heading_and_errors_stay_json(api: APIClient, organization: Organization) -> None:
    response = api.get(f"/api/wallets/{organization.pk}/transactions", headers={"Accept": "text/csv"})
    assert b"".join(response.streaming_content).startswith(b"id,occurred_at,booked_at,kind,amount")  # type: ignore[attr-defined]
    refused = api.get(f"{NOBODYS}/transactions", headers={"Accept": "text/csv"})
    assert (refused.status_code, refused["Content-Type"], refused.json()["code"]) == (404, "application/json", "not_found")


# -- payments --------------------------------------------------------------------------------------------
def test_the_history_of_payments_tells_what_came_of_each(api: APIClient, organization: Organization) -> None:
    wallet = make_wallet(organization)
    story = fund(wallet, 5_000)
    for event in story.refunded("a", 2_000, at=100, in_all=2_000):
        settle_events([event], source="webhook")
    declined = Story(pending_top_up(wallet, 700))
    settle_events(declined.declined(), source="webhook")
    opened = pending_top_up(wallet, 800, is_automatic=True)
    body = api.get("/api/payments", {"organization_id": organization.pk}).json()
    assert body["next"] is None
    names = ("id", "status", "amount", "refunded", "is_automatic", "can_be_finished", "failure_message", "receipt_url")
    assert told(body["results"], *names) == [
        (opened.pk, "open", "8.00", "0.00", True, False, None, None),
        (declined.payment.pk, "failed", "7.00", "0.00", False, True, "Your card has insufficient funds.", None),
        (story.payment.pk, "partially_refunded", "50.00", "20.00", False, False, None, f"https://pay.example/{story.charge_id}"),
    ]
    page = api.get("/api/payments", {"organization_id": organization.pk, "page_size": 2}).json()
    assert [row["id"] for row in api.get(page["next"]).json()["results"]] == [story.payment.pk]


def test_a_polled_payment_is_settled_from_stripe(
    api: APIClient, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = make_wallet(organization)
    story = Story(pending_top_up(wallet, 700))
    story.payment.payment_intent = story.intent_id
    story.payment.save(update_fields=["payment_intent"])
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", lambda _: story.intent("succeeded"))
    shown = api.get(f"/api/payments/{story.payment.pk}").json()
    assert (shown["status"], shown["amount"]) == ("paid", "7.00")
    assert api.get(f"/api/wallets/{organization.pk}").json()["balance"] == "7.00"
    assert TopUp.objects.get().state == "paid"


def test_a_polled_payment_is_answered_from_our_database_while_stripe_is_down(
    api: APIClient, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_: str) -> None:
        raise StripeUnavailable("Stripe cannot be reached.")

    payment = pending_top_up(make_wallet(organization), 700)
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", down)
    assert api.get(f"/api/payments/{payment.pk}").json()["status"] == "open"  # nothing to ask for yet
    payment.payment_intent = "pi_down"
    payment.save(update_fields=["payment_intent"])
    shown = api.get(f"/api/payments/{payment.pk}").json()
    assert (shown["status"], shown["can_be_finished"]) == ("open", True)


# -- strangers -------------------------------------------------------------------------------------------
def test_another_tenant_finds_nothing(organization: Organization) -> None:
    wallet = make_wallet(organization)
    payment = fund(wallet, 5_000).payment
    stranger = client_of(join(make_organization()))
    for address in (
        f"/api/wallets/{organization.pk}",
        f"/api/wallets/{organization.pk}/transactions",
        f"/api/payments?organization_id={organization.pk}",
        f"/api/payments/statistics?organization_id={organization.pk}",
        f"/api/payments/{payment.pk}",
        f"/api/wallets/{wallet.pk}",
        "/api/payments/pay_nothing",
    ):
        response = stranger.get(address)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), address
        assert APIClient().get(address).status_code == 401, address


def test_the_organization_must_be_named(api: APIClient) -> None:
    for address in ("/api/payments", "/api/payments/statistics"):
        refused = api.get(address)
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["organization_id"])
