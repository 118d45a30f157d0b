"""The back office of wallets: every row is found and read, acts are done once by who may, and pages cost the same however
much there is."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import staff_with
from backoffice.attention import attention
from conventions.admin_showing import change_url, link_by_id, list_url
from payments import ledger
from payments.models import Payment
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from wallets import holding
from wallets.adjusting import propose
from wallets.blocking import block
from wallets.models import (
    Notice,
    PaymentMethod,
    SpendReversal,
    TopUp,
    Wallet,
    WalletAdjustment,
    WalletHold,
    WalletSpend,
)
from wallets.tests.back_office import context, lively, spend, staff
from wallets.tests.factories import fund, make_organization, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance() -> Client:
    return staff("finance", "clerk@example.org")


@pytest.fixture
def clerk(finance: Client) -> User:
    return User.objects.get(email="clerk@example.org")


MODELS: list[type[Model]] = [
    Wallet, TopUp, WalletSpend, SpendReversal, WalletHold, WalletAdjustment, PaymentMethod, Notice,
]  # fmt: skip


def found(client: Client, model: type[Model], term: str) -> list[str]:
    """Ids in the list, in its order."""
    return [row.pk for row in context(client.get(list_url(model, q=term)))["cl"].result_list]


@pytest.mark.parametrize("role", ["support", "finance"])
def test_every_list_and_page_opens_and_names_its_organization(role: str) -> None:
    client = staff(role, "somebody@example.org")
    lively()

    for model in MODELS:
        row = model._default_manager.order_by("pk")[0]
        for url in (list_url(model), change_url(model, row.pk)):
            answer = client.get(url)
            assert (answer.status_code, "Acme" in answer.content.decode()) == (200, True), url


def test_the_list_tells_balance_held_and_owed(finance: Client) -> None:
    wallet, _ = lively()
    poor = make_wallet(make_organization(name="Poor"))
    story = fund(poor, 1_000)
    spend(poor, 900)
    settle_events(story.refunded("a", 400, at=100, in_all=400), source="webhook")

    rows = re.findall(r'field-(balance|held|owed)">([^<]+)<', finance.get(list_url(Wallet)).content.decode())

    assert rows == [
        ("balance", "€0.00"), ("held", "–"), ("owed", "€3.00"),
        ("balance", "€93.50"), ("held", "€3.00"), ("owed", "–"),
    ]  # fmt: skip
    assert [ledger.balance(code) for code in (wallet.account, wallet.held, poor.receivable)] == [9_350, 300, 300]


def test_a_wallet_is_found_by_its_organization_and_any_id(finance: Client) -> None:
    wallet, story = lively()
    lively("Other")
    terms = ["Acme", "acm", wallet.pk, wallet.organization_id, story.payment.pk, story.intent_id, story.charge_id]
    terms += [model._default_manager.filter(wallet=wallet)[0].pk for model in (TopUp, WalletSpend, WalletHold, WalletAdjustment)]
    terms += [SpendReversal.objects.filter(spend__wallet=wallet)[0].pk, Notice.objects.filter(wallet=wallet)[0].pk]
    terms += [PaymentMethod.objects.get(organization=wallet.organization).stripe_id]

    assert {term: set(found(finance, Wallet, term)) for term in terms} == {term: {wallet.pk} for term in terms}
    assert found(finance, Wallet, "nobody") == []
    assert len(found(finance, Wallet, "")) == 2


@pytest.mark.parametrize("model", MODELS[1:])
def test_its_rows_are_found_by_wallet_organization_and_payment(model: type[Model], finance: Client) -> None:
    wallet, story = lively()
    lively("Other")
    path = {SpendReversal: "spend__wallet", PaymentMethod: "organization__wallets"}.get(model, "wallet")
    own = set(model._default_manager.filter(**{path: wallet}).values_list("pk", flat=True))

    for term in (wallet.pk, wallet.organization_id, "Acme", story.payment.pk, story.intent_id):
        assert set(found(finance, model, term)) == own, term
    assert own
    assert set(found(finance, model, min(own))) == {min(own)}


def test_a_wallets_page_tells_its_story_with_the_balance_after_each_step(finance: Client) -> None:
    wallet, story = lively()

    page = finance.get(change_url(Wallet, wallet.pk))

    moved = context(page)["tables"][0]
    assert [(row[1], row[2].strip(), row[3], row[4], row[5]) for row in moved.rows] == [
        ("adjusted by staff", "+€0.50", "€93.50", "", ""),
        ("held: A hall", "−€3.00", "€93.00", "+€3.00", ""),
        ("reversed: Posters", "+€1.00", "€96.00", "", ""),
        ("Posters", "−€5.00", "€95.00", "", ""),
        ("top-up", "+€100.00", "€100.00", "", ""),
    ]
    assert [name for name, _ in context(page)["figures"]] == ["Balance", "Held", "Owed", "Standing", "Adjusted in all"]
    text = page.content.decode()
    for row in (story.payment, *(model._default_manager.order_by("pk")[0] for model in MODELS[1:-2])):
        assert str(link_by_id(row.pk)).split(">")[0] in text, row
    assert "+€0.50" in text


def test_a_captured_hold_is_told_as_such(finance: Client) -> None:
    wallet = make_wallet(balance_minor=1_000)
    hold, _ = holding.authorize(wallet=wallet, money=Money(600, "eur"), description="A hall", key="h", actor=None)
    holding.capture(hold_id=hold.pk, money=Money(600, "eur"), actor=None)

    moved = context(finance.get(change_url(Wallet, wallet.pk)))["tables"][0].rows

    assert [(row[1], row[4]) for row in moved[:2]] == [("captured: A hall", "−€6.00"), ("held: A hall", "+€6.00")]


def test_a_wallet_that_owes_says_since_when_and_how_much(finance: Client) -> None:
    wallet = make_wallet(make_organization(name="Poor"))
    story = fund(wallet, 1_000)
    spend(wallet, 900)
    settle_events(story.refunded("a", 400, at=100, in_all=400), source="webhook")

    page = finance.get(change_url(Wallet, wallet.pk))

    wallet.refresh_from_db()
    [notice] = context(page)["notices"]
    assert notice.startswith(f"€3.00 is owed since {wallet.owed_since:%Y-%m-%d}")
    assert [row[5] for row in context(page)["tables"][0].rows] == ["−€1.00", "+€4.00", "", ""]


def test_a_wallets_page_charts_its_own_top_ups_of_thirty_days(finance: Client) -> None:
    wallet = make_wallet(currency="eur")
    for amount_minor, ago in ((1_000, 0), (250, 29), (9_999, 30)):
        payment = fund(wallet, amount_minor).payment
        at = timezone.now() - timedelta(days=ago)
        Payment.objects.filter(pk=payment.pk).update(created_at=at, paid_at=at)
    settle_events(Story(pending_top_up(wallet, 100)).declined(), source="webhook")
    fund(make_wallet(wallet.organization, "usd"), 700)
    fund(make_wallet(), 800)
    today = timezone.now().date()

    answer = finance.get(change_url(Wallet, wallet.pk))

    volume, outcomes = context(answer)["charts"]
    assert (volume.sum, outcomes.sum, outcomes.note) == ("€12.50", "66.7 %", "2 of 3 top-ups started; 1 failed")
    assert [row for row in volume.rows if row[1] != "€0.00"] == [
        (today.isoformat(), "€10.00", "€0.00"),
        ((today - timedelta(days=29)).isoformat(), "€2.50", "€0.00"),
    ]
    assert outcomes.rows[0] == (today.isoformat(), "2", "1", "1", "50.0 %")
    text = answer.content.decode()
    assert [text.count(mark) for mark in ('role="img"', "charts.css", " style=")] == [2, 1, 0]


def test_who_may_not_see_top_ups_sees_no_chart_of_them() -> None:
    wallet = make_wallet(balance_minor=1_000)
    client = Client()
    client.force_login(staff_with("wallets.view_wallet"))

    answer = client.get(change_url(Wallet, wallet.pk))

    assert (answer.status_code, context(answer)["charts"]) == (200, [])
    assert "Topped up per day" not in answer.content.decode()


def test_every_page_costs_the_same_queries_and_counts_no_table(finance: Client) -> None:
    wallet, _ = lively()
    urls = [url for model in MODELS for url in (list_url(model), change_url(model, model._default_manager.order_by("pk")[0].pk))]
    for url in urls:
        asked(finance, url)  # content types are looked up once in a process, by whichever test comes first
    few = {url: asked(finance, url) for url in urls}

    lively("Second", rounds=3)
    for number in range(10, 14):
        spend(wallet, 100, key=f"more{number}")

    assert {url: len(asked(finance, url)) for url in urls} == {url: len(queries) for url, queries in few.items()}
    assert max(len(queries) for queries in few.values()) <= 22
    counts = [sql for queries in few.values() for sql in queries if "COUNT(" in sql and '"wallets_' in sql]
    assert counts == []


def asked(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured]


# -- what waits for somebody ------------------------------------------------------------------------------
def test_the_front_page_tells_who_owes_and_what_waits(finance: Client, clerk: User) -> None:
    poor = make_wallet(make_organization(name="Poor"))
    story = fund(poor, 1_000)
    spend(poor, 900)
    settle_events(story.refunded("a", 400, at=100, in_all=400), source="webhook")
    propose(wallet=poor, amount_minor=300, reason="Let it be.", actor=clerk)
    Wallet.objects.filter(pk=make_wallet().pk).update(top_up_paused_at=timezone.now(), top_up_paused_reason="Declined.")
    cache.clear()

    matters = {one.matter.key: (one.number, list(one.names)) for one in attention(clerk)}

    poor.refresh_from_db()
    assert matters == {
        "wallets-owing": (1, [f"Poor: €3.00 since {poor.owed_since:%Y-%m-%d}"]),
        "adjustments": (1, []),
        "wallets-paused": (1, []),
    }
    assert f"Poor: €3.00 since {poor.owed_since:%Y-%m-%d}" in finance.get("/admin/").content.decode()
    for one in attention(clerk):
        assert len(re.findall(r'class="field-', finance.get(one.matter.url()).content.decode())) > 0


def test_a_blocked_wallet_shows_why(finance: Client, clerk: User) -> None:
    wallet = make_wallet()
    block(wallet_id=wallet.pk, actor=clerk, reason="Asked by their bank.")

    page = finance.get(change_url(Wallet, wallet.pk))

    assert context(page)["notices"][0].endswith(": Asked by their bank.")
