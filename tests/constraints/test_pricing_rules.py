"""Every rule of plans, purchases and hours that the database knows, attacked by raw SQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from accounts.tests.factories import UserFactory
from payments.models import Payment
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.models import (
    HourConsumption,
    HourLot,
    HourMovement,
    PlanPrice,
    PricingPlan,
    Product,
    PurchaseTransaction,
    RenewalFailure,
    Subscription,
)
from pricing.tests.factories import make_plan, pending_purchase
from pricing.tests.invoice_story import InvoiceStory, pending_subscription

pytestmark = pytest.mark.django_db
Copy = Callable[..., int]
Sql = Callable[..., int]

# Constraint, table, and what is set in its rows.
UPDATES: list[tuple[str, type[models.Model], str]] = [
    ("pricingplan_hours_positive", PricingPlan, "hours_hundredths = 0"),
    ("pricingplan_validity_of_packages_only", PricingPlan, "plan_type = 'package', validity_days = NULL"),
    ("pricingplan_validity_of_packages_only", PricingPlan, "plan_type = 'package', validity_days = 0"),
    ("pricingplan_validity_of_packages_only", PricingPlan, "plan_type = 'subscription', validity_days = 30"),
    ("pricingplan_validity_of_packages_only", PricingPlan, "plan_type = 'gift'"),
    ("planprice_amount_positive", PlanPrice, "amount_minor = 0"),
    ("planprice_currency_lowercase", PlanPrice, "currency = 'EUR'"),
    ("product_amount_positive", Product, "amount_minor = -1"),
    ("product_currency_lowercase", Product, "currency = 'us'"),
    ("subscription_state_known", Subscription, "state = 'gone'"),
    ("purchase_amount_positive", PurchaseTransaction, "amount_minor = 0"),
    ("purchase_of_plan_or_product", PurchaseTransaction, "plan_id = NULL"),
    ("purchase_of_plan_or_product", PurchaseTransaction, "product_id = (SELECT min(id) FROM pricing_product)"),
    ("purchase_email_lowercase", PurchaseTransaction, "email = 'Ada@example.org'"),
    ("purchase_paid_at_when_paid", PurchaseTransaction, "paid_at = NULL"),
    ("purchase_paid_at_when_paid", PurchaseTransaction, "state = 'pending'"),
    ("purchase_paid_at_when_paid", PurchaseTransaction, "state = 'gone'"),
    ("hourlot_adds_up", HourLot, "remaining_hundredths = remaining_hundredths + 1"),
    ("hourlot_adds_up", HourLot, "consumed_hundredths = consumed_hundredths + 1"),
    ("hourlot_adds_up", HourLot, "expired_hundredths = 1"),
    ("hourlot_adds_up", HourLot, "taken_back_hundredths = taken_back_hundredths + 1"),
    ("hourlot_adds_up", HourLot, "withdrawn_hundredths = 1"),
]
# What history refuses to update comes as new rows. (SQLite names the column's own rule first.)
INSERTS: list[tuple[str, str, type[models.Model], dict[str, str]]] = [
    ("hourlot_granted_positive", "", HourLot,
     {"id": "'lot_2'", "purchase_id": "NULL", "granted_hundredths": "0", "consumed_hundredths": "0",
      "taken_back_hundredths": "0", "remaining_hundredths": "0"}),
    ("hourlot_remaining_not_negative", "remaining_hundredths", HourLot,
     {"id": "'lot_2'", "purchase_id": "NULL", "consumed_hundredths": "granted_hundredths + 1", "taken_back_hundredths": "0",
      "remaining_hundredths": "-1"}),
    ("hourconsumption_positive", "", HourConsumption,
     {"id": "'consumption_2'", "session_reference": "'s2'", "hours_hundredths": "0"}),
    ("hourmovement_not_zero", "", HourMovement, {"id": "'movement_2'", "key": "'k'", "hundredths": "0"}),
    ("hourmovement_kind_known", "", HourMovement, {"id": "'movement_2'", "key": "'k'", "kind": "'lost'"}),
]  # fmt: skip
# Constraint (for a unique field its columns alone), table, what differs in the copy, the columns that clash.
COPIES: list[tuple[str, type[models.Model], dict[str, str], list[str]]] = [
    ("", PricingPlan, {}, ["name"]),
    ("planprice_once_per_currency", PlanPrice, {"is_default": "false"}, ["plan_id", "currency"]),
    ("planprice_one_default", PlanPrice, {"currency": "'gbp'", "is_default": "true"}, ["plan_id"]),
    ("", Product, {}, ["sku"]),
    ("subscription_one_running_per_plan", Subscription, {"id": "'subscription_2'", "stripe_id": "NULL"}, ["user_id", "plan_id"]),
    ("", Subscription, {"id": "'subscription_2'", "state": "'canceled'"}, ["stripe_id"]),
    ("", PurchaseTransaction, {"id": "'purchase_2'"}, ["payment_id"]),
    ("renewalfailure_once_per_try", RenewalFailure, {}, ["invoice", "attempt"]),
    ("", HourLot, {"id": "'lot_2'"}, ["purchase_id"]),
    ("", HourConsumption, {"id": "'consumption_2'"}, ["session_reference"]),
    ("", HourMovement, {"id": "'movement_2'"}, ["key"]),
]
CHANGES = [
    ("UPDATE pricing_hourmovement SET hundredths = hundredths + 1", "pricing_hourmovement is append-only"),
    ("UPDATE pricing_hourmovement SET reason = 'better'", "pricing_hourmovement is append-only"),
    ("UPDATE pricing_hourmovement SET key = key", "pricing_hourmovement is append-only"),
    ("DELETE FROM pricing_hourmovement WHERE kind = 'consumed'", "pricing_hourmovement is append-only"),
    ("UPDATE pricing_hourlot SET granted_hundredths = granted_hundredths + 1", "pricing_hourlot is append-only"),
    ("UPDATE pricing_hourlot SET purchase_id = NULL", "pricing_hourlot is append-only"),
    ("DELETE FROM pricing_hourlot", "pricing_hourlot is append-only"),
    ("UPDATE pricing_hourconsumption SET hours_hundredths = 1", "pricing_hourconsumption is append-only"),
    ("UPDATE pricing_hourconsumption SET session_reference = 'x'", "pricing_hourconsumption is append-only"),
    ("UPDATE pricing_hourconsumption SET student_id = recorded_by_id", "pricing_hourconsumption is append-only"),
    ("DELETE FROM pricing_hourconsumption", "pricing_hourconsumption is append-only"),
]
HISTORY = (HourMovement, HourLot, HourConsumption)


@pytest.fixture
def rows(db: None) -> None:
    """A package that was paid, used in part and refunded in part, a subscription, a failed renewal, a product."""
    for model in (PlanPrice, PricingPlan, Product):
        model._default_manager.all().delete()  # what a fresh installation sells
    student, tutor = UserFactory.create(), UserFactory.create()
    Product.objects.create(sku="board", name="Board", amount_minor=200, currency="usd")
    package = make_plan(days=3_650, price=Money(7500, "eur"))
    story = Story(pending_purchase(package, user=student))
    for event in story.succeeded():
        settle_events([event], source="webhook")
    hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    subscription = pending_subscription(make_plan(days=None, price=Money(5600, "eur")), user=student)
    invoice = InvoiceStory(subscription)
    settle_events(invoice.paid(), source="webhook")
    failed = invoice.invoice("open", billing_reason="subscription_cycle")
    settle_events([invoice.event("invoice.payment_failed", failed, 9)], source="webhook")


@pytest.mark.parametrize(("name", "model", "change"), UPDATES)
def test_an_update_that_breaks_a_rule_is_refused_by_name(
    name: str, model: type[models.Model], change: str, rows: None, sql: Sql
) -> None:
    before = list(model._default_manager.order_by("pk").values())
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        sql(f"UPDATE {model._meta.db_table} SET {change}")
    assert list(model._default_manager.order_by("pk").values()) == before


@pytest.mark.parametrize(("name", "on_sqlite", "model", "changes"), INSERTS)
def test_an_insert_that_breaks_a_rule_is_refused_by_name(
    name: str, on_sqlite: str, model: type[models.Model], changes: dict[str, str], rows: None, copy: Copy
) -> None:
    count = model._default_manager.count()
    with pytest.raises(IntegrityError, match=f"{name}|{on_sqlite or name}"), transaction.atomic():
        copy(model, **changes)
    assert model._default_manager.count() == count


@pytest.mark.parametrize(("name", "model", "changes", "columns"), COPIES)
def test_a_second_row_of_what_exists_once_is_refused(
    name: str, model: type[models.Model], changes: dict[str, str], columns: list[str], rows: None, copy: Copy
) -> None:
    count = model._default_manager.count()
    on_sqlite = r"UNIQUE constraint failed: " + ", ".join(rf"{model._meta.db_table}\.{column}" for column in columns) + "$"
    on_postgresql = rf'unique constraint "{name}"' if name else rf"Key \({', '.join(columns)}\)=.* already exists"
    with pytest.raises(IntegrityError, match={"sqlite": on_sqlite}.get(connection.vendor, on_postgresql)), transaction.atomic():
        copy(model, **changes)
    assert model._default_manager.count() == count


@pytest.mark.parametrize(("statement", "message"), CHANGES)
def test_no_statement_rewrites_what_happened_to_hours(statement: str, message: str, rows: None, sql: Sql) -> None:
    before = [list(model._default_manager.order_by("pk").values()) for model in HISTORY]
    with pytest.raises(IntegrityError, match=message), transaction.atomic():
        sql(statement)
    assert [list(model._default_manager.order_by("pk").values()) for model in HISTORY] == before


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no TRUNCATE")
@pytest.mark.parametrize("table", ["pricing_hourmovement", "pricing_hourlot CASCADE", "pricing_hourconsumption CASCADE"])
def test_no_truncation_empties_the_history_of_hours(table: str, rows: None, sql: Sql) -> None:
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # rows with pending checks could not be truncated anyway
    before = HourMovement.objects.count()
    with pytest.raises(IntegrityError, match="is append-only"), transaction.atomic():
        sql(f"TRUNCATE {table}")
    assert HourMovement.objects.count() == before == 3


def test_a_subscription_that_ended_makes_room_for_a_new_one(rows: None, copy: Copy) -> None:
    Subscription.objects.update(state="canceled")
    assert copy(Subscription, id="'subscription_2'", stripe_id="NULL", state="'active'") == 1


def test_one_invoice_is_one_payment(rows: None, copy: Copy) -> None:
    others = {"payment_intent": "NULL", "charge": "NULL", "checkout_session": "NULL", "idempotency_key": "NULL"}
    with pytest.raises(IntegrityError, match="invoice"), transaction.atomic():
        copy(Payment, id="'pay_2'", invoice="(SELECT max(invoice) FROM payments_payment)", **others)


def named(*classes: type[models.BaseConstraint]) -> set[str]:
    of_pricing = apps.get_app_config("pricing").get_models()
    return {c.name for m in of_pricing for c in m._meta.constraints if isinstance(c, classes)}


def test_every_constraint_is_attacked() -> None:
    assert {name for name, *_ in (*UPDATES, *INSERTS)} == named(models.CheckConstraint)
    assert {name for name, *_ in COPIES if name} == named(models.UniqueConstraint)
