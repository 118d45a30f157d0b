"""The back office of plans and hours: prices exact per currency, hours adjusted and sessions reversed with a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import AuditEntry, User
from accounts.tests.factories import UserFactory
from conventions.admin_showing import change_url, link_by_id, list_url
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.models import (
    HourConsumption,
    HourLot,
    PlanPrice,
    PricingPlan,
    Product,
    PurchaseTransaction,
    Student,
    Subscription,
)
from pricing.tests.factories import give_hours, make_plan, pending_purchase

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk() -> User:
    user = UserFactory.create(is_staff=True, email="clerk@example.org")
    user.groups.add(Group.objects.get(name="finance"))
    return user


@pytest.fixture
def finance(clerk: User) -> Client:
    client = Client()
    client.force_login(clerk)
    return client


@pytest.fixture
def student() -> User:
    return UserFactory.create(email="ada@example.org")


def left(student: User) -> int:
    return hours.balance_of(student, now=timezone.now()).remaining


# -- plans and their prices -------------------------------------------------------------------------------
ADD = "/admin/pricing/pricingplan/add/"


def plan_form(*prices: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What the form sends; each of `prices` is a row, with `id` where the row is there already."""
    fields: dict[str, Any] = {
        "name": "Ten hours", "description": "", "plan_type": "package", "hours": "10", "validity_days": "60",
        "is_active": "on", "display_order": "5", "prices-TOTAL_FORMS": len(prices),
        "prices-INITIAL_FORMS": sum("id" in price for price in prices),
    }  # fmt: skip
    for number, price in enumerate(prices):
        fields |= {f"prices-{number}-{name}": value for name, value in price.items()}
    return {name: value for name, value in (fields | changes).items() if value is not None}


EURO = {"currency": "EUR", "amount": "140", "is_default": "on"}
YEN = {"currency": "jpy", "amount": "15100"}


def test_a_plan_is_put_on_sale_with_prices_in_major_units(finance: Client) -> None:
    answer = finance.post(ADD, plan_form(EURO, YEN, {"currency": "kwd", "amount": "46.50"}))
    plan = PricingPlan.objects.get(name="Ten hours")
    prices = plan.prices.order_by("pk").values_list("currency", "amount_minor", "is_default")
    assert (answer.status_code, plan.hours_hundredths, plan.validity_days) == (302, 1000, 60)
    assert list(prices) == [("eur", 14_000, True), ("jpy", 15_100, False), ("kwd", 46_500, False)]
    line = AuditEntry.objects.get(action="pricingplan.added")
    assert line.after["hours_hundredths"] == 1000


@pytest.mark.parametrize(
    ("prices", "changes", "told"),
    [
        ([EURO | {"amount": "140.005"}], {}, "Amounts in EUR have at most 2 decimals."),
        ([EURO | {"currency": "jpy", "amount": "100.5"}], {}, "Amounts in JPY are whole numbers."),
        ([EURO | {"amount": "0"}], {}, "The smallest amount is €0.50."),
        ([EURO | {"amount": "-1"}], {}, "The smallest amount is €0.50."),
        ([EURO | {"amount": "a lot"}], {}, "Write the amount as a number"),
        ([EURO | {"currency": "xyz"}], {}, "is not a currency that can be charged"),
        ([EURO, YEN | {"currency": "eur"}], {}, "Please correct the duplicate data for currency."),
        ([EURO | {"is_default": None}], {}, "Choose one price as the default"),
        ([EURO, YEN | {"is_default": "on"}], {}, "Choose one price as the default"),
        ([], {}, "A plan on sale needs a price."),
        ([EURO], {"hours": "1.255"}, "Hours have at most two decimals."),
        ([EURO], {"hours": "0"}, "Hours must be more than 0"),
        ([EURO], {"validity_days": ""}, "A package needs the number of days"),
        ([EURO], {"validity_days": "0"}, "A package needs the number of days"),
        ([EURO], {"plan_type": "subscription"}, "leave this empty"),
        ([EURO], {"name": "a\u202eb"}, "Control characters are not allowed."),
        ([EURO], {"name": "Basic Package"}, "already exists"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told_and_nothing_is_saved(
    prices: list[dict[str, Any]], changes: dict[str, str], told: str, finance: Client
) -> None:
    rows = [{name: value for name, value in price.items() if value is not None} for price in prices]
    before = PricingPlan.objects.count(), PlanPrice.objects.count()
    answer = finance.post(ADD, plan_form(*rows, **changes))
    assert (answer.status_code, told in answer.content.decode()) == (200, True)
    assert (PricingPlan.objects.count(), PlanPrice.objects.count()) == before


def rows_of(plan: PricingPlan, default: str) -> list[dict[str, Any]]:
    return [
        {
            "id": price.pk,
            "plan": plan.pk,
            "amount": str(price.money),
            **({"is_default": "on"} if price.currency == default else {}),
        }
        for price in plan.prices.order_by("pk")
    ]


def test_the_default_price_moves_either_way_and_an_amount_with_it(finance: Client) -> None:
    plan = PricingPlan.objects.get(name="Basic Package")
    url = change_url(PricingPlan, str(plan.pk))
    shown = {"name": plan.name, "hours": "5", "validity_days": "30", "plan_type": None}
    for currency, other in (("usd", "eur"), ("eur", "usd")):
        answer = finance.post(url, plan_form(*rows_of(plan, currency), **shown))
        assert answer.status_code == 302
        assert dict(plan.prices.values_list("currency", "is_default")) == {currency: True, other: False}
    euro, dollar = rows_of(plan, "eur")
    finance.post(url, plan_form(euro | {"amount": "79.90"}, dollar | {"DELETE": "on"}, **shown))
    assert list(plan.prices.values_list("currency", "amount_minor")) == [("eur", 7990)]


def test_neither_the_type_of_a_plan_nor_the_currency_of_a_price_changes(finance: Client) -> None:
    plan = PricingPlan.objects.get(name="Basic Package")
    rows = [row | {"currency": "gbp"} for row in rows_of(plan, "eur")]
    changes = {"name": plan.name, "hours": "5", "validity_days": "30", "plan_type": "subscription"}
    assert finance.post(change_url(PricingPlan, str(plan.pk)), plan_form(*rows, **changes)).status_code == 302
    plan.refresh_from_db()
    assert (plan.plan_type, set(plan.prices.values_list("currency", flat=True))) == ("package", {"eur", "usd"})


def test_what_staff_save_is_on_the_public_list_at_once(
    finance: Client, client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    cache.clear()
    public = "/api/finances/api/pricing-plans/"
    assert "Ten hours" not in {plan["name"] for plan in client.get(public).json()}
    with django_capture_on_commit_callbacks(execute=True):
        finance.post(ADD, plan_form(EURO))
    assert {plan["name"]: plan["price_eur"] for plan in client.get(public).json()}["Ten hours"] == "140.00"


def test_what_was_sold_is_not_deleted(finance: Client, student: User) -> None:
    sold, unsold = make_plan(name="Sold"), make_plan(name="Unsold")
    pending_purchase(sold, user=student)
    statuses = [
        finance.post(f"/admin/pricing/pricingplan/{plan.pk}/delete/", {"post": "yes"}).status_code for plan in (sold, unsold)
    ]
    assert statuses == [403, 302]
    assert set(PricingPlan.objects.filter(name__in=["Sold", "Unsold"])) == {sold}


def test_a_product_has_an_exact_price(finance: Client) -> None:
    form = {"sku": "a-book", "name": "A book", "description": "", "currency": "USD", "amount": "9.99", "is_active": "on"}
    url = "/admin/pricing/product/add/"
    assert "at most 2 decimals" in finance.post(url, form | {"amount": "9.999"}).content.decode()
    assert finance.post(url, form).status_code == 302
    product = Product.objects.get(sku="a-book")
    assert (product.amount_minor, product.currency) == (999, "usd")


# -- reading -------------------------------------------------------------------------------------------------
@pytest.fixture
def bought(student: User, clerk: User) -> PurchaseTransaction:
    """A paid plan of five hours, of which two were used in a session and all were refunded."""
    payment = pending_purchase(make_plan(name="Five hours", days=30_000), user=student)
    story = Story(payment)
    settle_events(story.succeeded(), source="webhook")
    hours.consume(student=student, hundredths=200, session_reference="lesson-1", actor=clerk)
    settle_events(story.refunded("a", 7500, at=100, in_all=7500), source="webhook")
    return PurchaseTransaction.objects.get()


def test_a_students_page_tells_lots_sessions_and_movements(bought: PurchaseTransaction, finance: Client, student: User) -> None:
    page = finance.get(change_url(Student, student.pk))
    context: Any = page.context_data
    assert dict(context["figures"]) == {
        "Left": "0.00", "Bought or given": "5.00", "Used": "2.00", "Expired": "0.00", "Taken back with money": "3.00",
        "Taken away by staff": "0.00", "Next expiry": "–", "Owed after refunds": "2.00",
    }  # fmt: skip
    lots, sessions, movements, _ = context["tables"]
    assert [row[2:5] for row in lots.rows] == [("5.00", "0.00", "2.00")]
    assert [row[1:3] for row in sessions.rows] == [("lesson-1", "2.00")]
    assert [row[1:3] for row in movements.rows] == [
        ("taken back by a refund or dispute", "−3.00"),
        ("consumed", "−2.00"),
        ("granted", "+5.00"),
    ]
    text = page.content.decode()
    assert change_url(PurchaseTransaction, bought.pk) in text
    assert change_url(User, student.pk) in text


@pytest.mark.parametrize("model", [PurchaseTransaction, HourLot, HourConsumption, Student])
@pytest.mark.parametrize("by", ["user", "email", "own id"])
def test_each_list_finds_a_students_rows(
    model: Any, by: str, bought: PurchaseTransaction, finance: Client, student: User
) -> None:
    give_hours(UserFactory.create(), 100, actor=student)
    own = {PurchaseTransaction: bought, HourLot: HourLot.objects.get(student=student), Student: student}
    row = own.get(model) or HourConsumption.objects.get()
    term = {"user": student.pk, "email": "Ada@example.org", "own id": row.pk}[by]
    found: Any = finance.get(list_url(model, q=term)).context_data
    assert [one.pk for one in found["cl"].result_list] == [row.pk]
    missing: Any = finance.get(list_url(model, q="nobody@example.org")).context_data
    assert list(missing["cl"].result_list) == []


def test_a_purchase_is_found_by_stripes_ids_and_links_to_its_payment(bought: PurchaseTransaction, finance: Client) -> None:
    bought.payment.refresh_from_db()
    found: Any = finance.get(list_url(PurchaseTransaction, q=bought.payment.payment_intent or "")).context_data
    assert [one.pk for one in found["cl"].result_list] == [bought.pk]
    assert (
        change_url(type(bought.payment), bought.payment_id)
        in finance.get(change_url(PurchaseTransaction, bought.pk)).content.decode()
    )
    # A public id of a user still leads to the person, not to the page of hours.
    assert change_url(User, str(bought.user_id)) in link_by_id(str(bought.user_id))


def test_hours_owed_after_a_refund_are_a_filter_of_lots(bought: PurchaseTransaction, finance: Client, student: User) -> None:
    give_hours(student, 100, actor=student)
    found: Any = finance.get(list_url(HourLot, owed="yes")).context_data
    assert [(lot.purchase_id, lot.owed_hundredths) for lot in found["cl"].result_list] == [(bought.pk, 200)]


def test_the_list_of_students_shows_who_has_hours_and_a_search_finds_anybody(finance: Client, student: User) -> None:
    give_hours(student, 250, actor=student, expires_at=timezone.now() + timedelta(days=3))
    give_hours(student, 100, actor=student, expires_at=timezone.now() - timedelta(days=3))
    newcomer = UserFactory.create()
    listed: Any = finance.get(list_url(Student)).context_data
    assert [(row.pk, row.bought_hundredths, row.left_hundredths) for row in listed["cl"].result_list] == [(student.pk, 350, 250)]
    found: Any = finance.get(list_url(Student, q=newcomer.pk)).context_data
    assert [row.pk for row in found["cl"].result_list] == [newcomer.pk]


def test_a_subscription_shows_its_page_at_stripe(finance: Client, student: User, settings: Any) -> None:
    settings.STRIPE_API_BASE = ""
    plan = PricingPlan.objects.get(name="Monthly Four")
    row = Subscription.objects.create(user=student, plan=plan, currency="eur", stripe_id="sub_1", state="active")
    text = finance.get(change_url(Subscription, row.pk)).content.decode()
    assert "https://dashboard.stripe.com/test/subscriptions/sub_1" in text


# -- adjusting -------------------------------------------------------------------------------------------------
def adjust(client: Client, student: User, **changes: Any) -> Any:
    form = {"direction": "give", "hours": "2.5", "expires_on": "", "reason": "a lesson fell out", "seen_hundredths": "0"}
    return client.post(f"{change_url(Student, student.pk).removesuffix('change/')}adjust/", form | changes)


def test_hours_are_given_with_a_reason_and_a_line_in_the_history(finance: Client, student: User, clerk: User) -> None:
    last_day = (timezone.now() + timedelta(days=10)).date()
    assert adjust(finance, student, expires_on=last_day.isoformat()).status_code == 302
    lot = HourLot.objects.get(student=student)
    assert lot.expires_at is not None
    assert (lot.granted_hundredths, lot.expires_at.isoformat()) == (250, f"{last_day + timedelta(days=1)}T00:00:00+00:00")
    line = AuditEntry.objects.get(action="adjust hours")
    assert (line.actor, line.target_id, line.reason) == (clerk, student.pk, "a lesson fell out")
    assert "adjust hours" in finance.get(f"{change_url(Student, student.pk).removesuffix('change/')}history/").content.decode()


def test_unused_hours_are_taken_away(finance: Client, student: User, clerk: User) -> None:
    give_hours(student, 300, actor=clerk)
    assert adjust(finance, student, direction="take", hours="1", seen_hundredths="300").status_code == 302
    assert left(student) == 200
    assert list(check_books()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reason": " "}, "This field is required."),
        ({"hours": "1.255"}, "Hours have at most two decimals."),
        ({"hours": "-1"}, "Hours must be more than 0"),
        ({"expires_on": "2020-01-01"}, "That day is over."),
        ({"direction": "take", "expires_on": "2999-01-01"}, "Only hours that are given have a last day."),
        ({"direction": "take", "hours": "3.01"}, "Only 3.00 unused hours are left to take away."),
        ({"seen_hundredths": "100"}, "Meanwhile 3.00 hours are left."),
    ],
)
def test_what_is_wrong_with_an_adjustment_is_told_and_changes_nothing(
    changes: dict[str, str], told: str, finance: Client, student: User, clerk: User
) -> None:
    give_hours(student, 300, actor=clerk)
    lines = AuditEntry.objects.count()
    answer = adjust(finance, student, **({"seen_hundredths": "300"} | changes))
    assert (answer.status_code, told in answer.content.decode()) == (200, True)
    assert (left(student), HourLot.objects.count(), AuditEntry.objects.count()) == (300, 1, lines)


def test_a_form_sent_twice_adjusts_once(finance: Client, student: User) -> None:
    statuses = [adjust(finance, student).status_code for _ in range(2)]
    assert (statuses, left(student)) == ([302, 200], 250)


# -- reversing ---------------------------------------------------------------------------------------------------
def test_a_session_is_reversed_once_and_only_with_a_reason(finance: Client, student: User, clerk: User) -> None:
    give_hours(student, 300, actor=clerk)
    session = hours.consume(student=student, hundredths=100, session_reference="s1", actor=clerk)
    url = f"{change_url(HourConsumption, session.pk).removesuffix('change/')}reverse/"
    assert "Reverse…" in finance.get(change_url(HourConsumption, session.pk)).content.decode()
    assert (finance.post(url, {"reason": ""}).status_code, left(student)) == (200, 200)
    statuses = [finance.post(url, {"reason": "the tutor was ill"}).status_code for _ in range(2)]
    session.refresh_from_db()
    assert (statuses, left(student), session.reversal_reason, session.reversed_by) == (
        [302, 302],
        300,
        "the tutor was ill",
        clerk,
    )
    assert AuditEntry.objects.filter(action="reverse hours").count() == 1
    assert "Reverse…" not in finance.get(change_url(HourConsumption, session.pk)).content.decode()


# -- settling what is owed ---------------------------------------------------------------------------------------
def test_owed_hours_are_settled_once_and_only_with_a_reason(bought: PurchaseTransaction, finance: Client) -> None:
    lot = HourLot.objects.get()
    url = f"{change_url(HourLot, lot.pk).removesuffix('change/')}settle/"
    assert "Settle owed hours…" in finance.get(change_url(HourLot, lot.pk)).content.decode()
    assert "<strong>2.00</strong> hours" in finance.get(url).content.decode()
    assert finance.post(url, {"reason": "", "seen_hundredths": "200"}).status_code == 200
    statuses = [finance.post(url, {"reason": "paid", "seen_hundredths": "200"}).status_code for _ in range(2)]
    lot.refresh_from_db()
    assert (statuses, lot.owed_hundredths, lot.settled_hundredths) == ([302, 302], 0, 200)
    assert AuditEntry.objects.filter(action="settle owed hours").count() == 1
    page = finance.get(change_url(HourLot, lot.pk)).content.decode()
    assert "Meanwhile 0.00 hours are owed." in page
    assert "Settle owed hours…" not in page


def test_who_may_only_read_settles_nothing(bought: PurchaseTransaction) -> None:
    reader = UserFactory.create(is_staff=True)
    reader.groups.add(Group.objects.get(name="support"))
    client, lot = Client(), HourLot.objects.get()
    client.force_login(reader)
    url = f"{change_url(HourLot, lot.pk).removesuffix('change/')}settle/"
    assert "Settle owed hours…" not in client.get(change_url(HourLot, lot.pk)).content.decode()
    assert client.post(url, {"reason": "x", "seen_hundredths": "200"}).status_code == 403
    assert HourLot.objects.get().owed_hundredths == 200


def test_a_subscription_shows_what_was_agreed_and_from_when_another_plan_counts(finance: Client, student: User) -> None:
    four, eight = PricingPlan.objects.get(name="Monthly Four"), PricingPlan.objects.get(name="Monthly Eight")
    until = datetime(2030, 2, 1, 12, tzinfo=UTC)
    row = Subscription.objects.create(
        user=student, plan=eight, currency="eur", stripe_id="sub_1", state="active", hours_hundredths=750, amount_minor=9900,
        paid_plan=four, changes_at=until, current_period_end=until,
    )  # fmt: skip
    text = finance.get(change_url(Subscription, row.pk)).content.decode()
    assert "7.50 hours for €99.00" in text
    assert "Monthly Four, until" in text
