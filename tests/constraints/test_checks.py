"""Every named constraint, attacked by raw SQL: the database refuses by itself, and says which rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from campaigns.models import Campaign, CampaignTally
from donations.models import Donation, Donor, Receipt, Supporter
from payments.models import (
    Alert,
    BalanceTransaction,
    Dispute,
    LedgerAccount,
    Payment,
    Payout,
    Refund,
    StripeCall,
    StripeCallTally,
    StripeEvent,
    Transfer,
)
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
Copy = Callable[..., int]
Sql = Callable[..., int]
NOW = "CURRENT_TIMESTAMP"

# Constraint, table, and what is set in its row.
UPDATES: list[tuple[str, type[models.Model], str]] = [
    ("payment_amount_positive", Payment, "amount_minor = 0, refunded_minor = 0"),
    ("payment_currency_lowercase", Payment, "currency = 'USD'"),
    ("payment_currency_lowercase", Payment, "currency = 'us'"),
    ("payment_refunded_within_amount", Payment, "refunded_minor = -1"),
    ("payment_refunded_within_amount", Payment, "refunded_minor = amount_minor + 1"),
    ("payment_disputed_not_negative", Payment, "disputed_minor = -1"),
    ("payment_assigned_to_something", Payment, f"assigned_at = {NOW}"),
    ("payment_assigned_to_something", Payment, "assigned_to = 'campaign_1'"),
    ("payment_money_only_when_paid", Payment, "paid_at = NULL, status = 'open'"),
    ("payment_status_follows_from_facts", Payment, "status = 'open'"),
    ("payment_status_follows_from_facts", Payment, "status = 'refunded'"),
    ("payment_status_follows_from_facts", Payment, "status = 'failed', failed_at = paid_at"),
    ("payment_status_follows_from_facts", Payment, "paid_at = NULL, refunded_minor = 0"),
    ("payment_status_follows_from_facts", Payment, "paid_at = NULL, refunded_minor = 0, status = 'failed'"),
    ("payment_status_follows_from_facts", Payment, "paid_at = NULL, refunded_minor = 0, status = 'open', failed_at = paid_at"),
    ("refund_amount_positive", Refund, "amount_minor = 0"),
    ("refund_status_follows_from_facts", Refund, "status = 'pending'"),
    ("refund_status_follows_from_facts", Refund, "status = 'failed'"),
    ("refund_status_follows_from_facts", Refund, f"failed_at = {NOW}"),
    ("refund_status_follows_from_facts", Refund, "succeeded_at = NULL"),
    ("refund_status_follows_from_facts", Refund, f"canceled_at = {NOW}"),
    ("dispute_amount_positive", Dispute, "amount_minor = -5"),
    ("stripeevent_state_known", StripeEvent, "state = 'done'"),
    ("stripeevent_parked_waits_for_something", StripeEvent, "state = 'parked', waiting_for = NULL"),
    ("campaign_goal_positive", Campaign, "goal_minor = 0"),
    ("campaign_minimum_not_negative", Campaign, "minimum_minor = -1"),
    ("campaign_currency_lowercase", Campaign, "currency = 'Usd'"),
    ("campaign_state_known", Campaign, "state = 'open'"),
    ("campaign_ends_after_start", Campaign, f"starts_at = {NOW}, ends_at = {NOW}"),
    ("campaigntally_slot_in_range", CampaignTally, "slot = 16"),
    ("donor_email_lowercase", Donor, "email = 'Ada@example.org'"),
    ("donation_amount_positive", Donation, "amount_minor = 0"),
    ("donation_state_known|donation_paid_at_when_paid", Donation, "state = 'gone'"),
    ("donation_paid_at_when_paid", Donation, "state = 'pending'"),
    ("donation_paid_at_when_paid", Donation, "paid_at = NULL"),
    ("donation_dedication_whole", Donation, "dedication_kind = 'in_honour'"),
    ("donation_dedication_whole", Donation, "dedication_name = 'Grace'"),
    ("supporter_count_not_negative", Supporter, "count = -1"),
    ("receipt_sent_after_claim", Receipt, "sent_at = '2001-01-01 00:00:00+00:00'"),
    ("payout_currency_lowercase", Payout, "currency = 'USD'"),
]
# The books refuse any update, so these come as new rows.
INSERTS: list[tuple[str, type[models.Model], dict[str, str]]] = [
    ("transfer_amount_positive", Transfer, {"amount_minor": "0"}),
    ("transfer_amount_positive", Transfer, {"amount_minor": "-amount_minor"}),
    ("transfer_between_two_accounts", Transfer, {"debit_id": "credit_id"}),
    ("transfer_debit_in_currency", Transfer, {"debit_id": "'stripe:eur'"}),
    ("transfer_credit_in_currency", Transfer, {"credit_id": "'unmatched:eur'"}),
    ("transfer_debit_in_currency|transfer_credit_in_currency", Transfer, {"currency": "'eur'"}),
    ("ledgeraccount_kind_known", LedgerAccount, {"code": "'x:usd'", "kind": "'equity'"}),
    ("ledgeraccount_code_ends_with_currency", LedgerAccount, {"code": "'x:eur'"}),
    ("ledgeraccount_code_ends_with_currency", LedgerAccount, {"code": "'xusd'"}),
    ("ledgeraccount_currency_lowercase", LedgerAccount, {"code": "'x:USD'", "currency": "'USD'"}),
    (
        "ledgeraccount_never_below_floor",
        LedgerAccount,
        {"code": "'x:usd'", "floored": "CAST(1 AS BOOLEAN)", "balance_minor": "-1"},
    ),
    ("balancetransaction_net_is_amount_less_fee", BalanceTransaction, {"id": "'txn_2'", "net_minor": "amount_minor"}),
    ("balancetransaction_currency_lowercase", BalanceTransaction, {"id": "'txn_2'", "currency": "'USD'"}),
    ("balancetransaction_conversion_whole", BalanceTransaction, {"id": "'txn_2'", "source_currency": "'eur'"}),
    ("balancetransaction_conversion_whole", BalanceTransaction, {"id": "'txn_2'", "source_amount_minor": "5"}),
    (
        "balancetransaction_conversion_whole",
        BalanceTransaction,
        {"id": "'txn_2'", "source_amount_minor": "5", "source_currency": "'usd'"},
    ),
]  # fmt: skip
# Constraint (for a unique field its columns alone), table, what differs in the copy, the columns that clash.
COPIES: list[tuple[str, type[models.Model], dict[str, str], list[str]]] = [
    ("payment_idempotency_key_once", Payment,
     {"id": "'pay_2'", "checkout_session": "'a'", "payment_intent": "'b'", "charge": "'c'"},
     ["idempotency_scope", "idempotency_key"]),
    ("", Payment, {"id": "'pay_2'", "idempotency_key": "NULL", "payment_intent": "'b'", "charge": "'c'"}, ["checkout_session"]),
    ("", Payment, {"id": "'pay_2'", "idempotency_key": "NULL", "checkout_session": "'a'", "charge": "'c'"}, ["payment_intent"]),
    ("", Payment, {"id": "'pay_2'", "idempotency_key": "NULL", "checkout_session": "'a'", "payment_intent": "'b'"}, ["charge"]),
    ("", Refund, {"id": "'refund_2'"}, ["stripe_id"]),
    ("", Dispute, {"id": "'dispute_2'"}, ["stripe_id"]),
    ("", Transfer, {"id": "'transfer_2'"}, ["key"]),
    ("", StripeEvent, {}, ["id"]),
    ("", BalanceTransaction, {}, ["id"]),
    ("", Payout, {}, ["id"]),
    ("", LedgerAccount, {}, ["code"]),
    ("stripecall_attempt_once", StripeCall, {"key": "'other'"}, ["subject_id", "operation", "attempt"]),
    ("", Campaign, {"id": "'campaign_2'", "is_general_fund": "false"}, ["slug"]),
    ("campaign_one_general_fund", Campaign, {"id": "'campaign_2'", "slug": "'other'"}, ["is_general_fund"]),
    ("campaigntally_slot_once", CampaignTally, {}, ["campaign_id", "slot"]),
    ("", Donor, {"id": "'donor_2'"}, ["email"]),
    ("", Donation, {"id": "'donation_2'"}, ["payment_id"]),
    ("supporter_once_per_campaign", Supporter, {}, ["campaign_id", "donor_id"]),
    ("", Receipt, {}, ["donation_id"]),
    ("alert_raised_once", Alert, {}, ["kind", "subject"]),
    ("stripecalltally_once", StripeCallTally, {}, ["operation", "outcome"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "model", "change"), UPDATES)
def test_an_update_that_breaks_a_rule_is_refused_by_name(
    name: str, model: type[models.Model], change: str, rows: Story, sql: Sql
) -> None:
    before = list(model._default_manager.order_by("pk").values())
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        sql(f"UPDATE {model._meta.db_table} SET {change}")
    assert list(model._default_manager.order_by("pk").values()) == before


@pytest.mark.parametrize(("name", "model", "changes"), INSERTS)
def test_an_insert_that_breaks_a_rule_is_refused_by_name(
    name: str, model: type[models.Model], changes: dict[str, str], rows: Story, copy: Copy
) -> None:
    count = model._default_manager.count()
    fresh = {Transfer: {"id": "'transfer_2'", "key": "'k'"}}.get(model, {})
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        copy(model, **{**fresh, **changes})
    assert model._default_manager.count() == count


@pytest.mark.parametrize(("name", "model", "changes", "columns"), COPIES)
def test_a_second_row_of_what_exists_once_is_refused(
    name: str, model: type[models.Model], changes: dict[str, str], columns: list[str], rows: Story, copy: Copy
) -> None:
    Payment.objects.update(idempotency_scope="s", idempotency_key="k", checkout_session="cs_1")
    Campaign.objects.update(is_general_fund=True)
    count = model._default_manager.count()
    on_sqlite = r"UNIQUE constraint failed: " + ", ".join(rf"{model._meta.db_table}\.{column}" for column in columns) + "$"
    # Of a table with row-level security PostgreSQL tells no values, only the constraint: Django's own name of it.
    unnamed = rf"{model._meta.db_table}_({'_'.join(columns)}\w*|pkey)"
    on_postgresql = rf'unique constraint "{name or unnamed}"'
    with pytest.raises(IntegrityError, match={"sqlite": on_sqlite}.get(connection.vendor, on_postgresql)), transaction.atomic():
        copy(model, **changes)
    assert model._default_manager.count() == count


def test_several_payments_may_be_without_stripes_ids(rows: Story, copy: Copy) -> None:
    nothing = {"checkout_session": "NULL", "payment_intent": "NULL", "charge": "NULL", "idempotency_key": "NULL"}
    assert [copy(Payment, id=f"'pay_{n}'", **nothing) for n in range(2)] == [1, 1]


def named(*classes: type[Any]) -> set[str]:
    models_ = [m for label in ("payments", "campaigns", "donations") for m in apps.get_app_config(label).get_models()]
    return {c.name for m in models_ for c in m._meta.constraints if isinstance(c, classes)}


def test_every_constraint_is_attacked() -> None:
    assert {name for names, *_ in (*UPDATES, *INSERTS) for name in names.split("|")} == named(models.CheckConstraint)
    assert {name for name, *_ in COPIES if name} == named(models.UniqueConstraint)
