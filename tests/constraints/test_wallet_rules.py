"""Every rule of wallets that the database knows, attacked by raw SQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from accounts.tests.factories import UserFactory
from payments.money import Money
from wallets import holding, notices, spending, topping_up
from wallets.models import (
    Notice,
    NoticeDelivery,
    PaymentMethod,
    SpendReversal,
    TopUp,
    Wallet,
    WalletAdjustment,
    WalletHold,
    WalletSpend,
)
from wallets.tests.factories import make_method, make_wallet

pytestmark = pytest.mark.django_db
Copy = Callable[..., int]
Sql = Callable[..., int]

TABLES = (Wallet, TopUp, WalletSpend, SpendReversal, WalletHold, WalletAdjustment, PaymentMethod, Notice, NoticeDelivery)
# Of another organization.
ORGANIZATION = "(SELECT organization_id FROM wallets_wallet WHERE currency = 'jpy')"
WALLET = "(SELECT id FROM wallets_wallet WHERE currency = 'jpy')"
UNPAID = "(SELECT max(id) FROM payments_payment WHERE status = 'open')"
DECIDING = "decided_at = created_at, decided_by_id"

# Constraint, table, and what is set in its rows.
UPDATES: list[tuple[str, type[models.Model], str]] = [
    ("wallet_low_balance_positive", Wallet, "low_balance_minor = 0"),
    ("wallet_top_up_whole", Wallet, "top_up_below_minor = 100"),
    ("wallet_top_up_whole", Wallet, "top_up_below_minor = 100, top_up_amount_minor = 500, top_up_daily_limit_minor = 499"),
    ("wallet_top_up_whole", Wallet, "top_up_below_minor = 0, top_up_amount_minor = 500, top_up_daily_limit_minor = 500"),
    ("topup_state_known", TopUp, "state = 'gone'"),
    ("walletspend_reversed_within_amount", WalletSpend, "reversed_minor = amount_minor + 1"),
    ("wallethold_captured_within_amount", WalletHold, "captured_minor = 1 WHERE state = 'authorized'"),
    ("wallethold_captured_within_amount", WalletHold,
     "state = 'captured', ended_at = expires_at, captured_minor = amount_minor + 1 WHERE state = 'authorized'"),
    ("wallethold_captured_within_amount", WalletHold, "state = 'gone', ended_at = expires_at WHERE state = 'authorized'"),
    ("wallethold_ended_with_a_time", WalletHold, "state = 'released' WHERE state = 'authorized'"),
    ("wallethold_ended_with_a_time", WalletHold, "ended_at = expires_at WHERE state = 'authorized'"),
    ("walletadjustment_decided_by_another", WalletAdjustment,
     f"state = 'approved', {DECIDING} = proposed_by_id WHERE state = 'proposed'"),
    ("walletadjustment_decided_by_another", WalletAdjustment, "state = 'approved' WHERE state = 'proposed'"),
    ("walletadjustment_decided_by_another", WalletAdjustment, "decided_at = created_at WHERE state = 'proposed'"),
    ("paymentmethod_detached_is_no_default", PaymentMethod, "is_default = true WHERE detached_at IS NOT NULL"),
    ("paymentmethod_last4_is_short", PaymentMethod, "last4 = 'visa'"),
    ("paymentmethod_expiry_is_a_month", PaymentMethod, "exp_month = 13"),
]  # fmt: skip
# What a rule says, table, and what differs in a new row.
INSERTS: list[tuple[str, type[models.Model], dict[str, str]]] = [
    ("wallet_currency_lowercase", Wallet, {"id": "'wallet_2'", "currency": "'EUR'"}),
    ("topup_amount_positive|topup: other payment", TopUp,
     {"id": "'topup_2'", "payment_id": UNPAID, "amount_minor": "0"}),
    ("walletspend_amount_positive", WalletSpend,
     {"id": "'spend_2'", "hold_id": "NULL", "idempotency_key": "'k2'", "amount_minor": "0", "reversed_minor": "0"}),
    ("spendreversal_amount_positive", SpendReversal, {"id": "'reversal_2'", "idempotency_key": "'k2'", "amount_minor": "0"}),
    ("wallethold_amount_positive", WalletHold,
     {"id": "'hold_2'", "idempotency_key": "'k2'", "amount_minor": "0", "captured_minor": "0", "state": "'authorized'",
      "ended_at": "NULL"}),
    ("walletadjustment_amount_is_something", WalletAdjustment, {"id": "'adjustment_2'", "amount_minor": "0"}),
    # A row and what it belongs to are of one organization and currency.
    ("topup: other wallet", TopUp, {"id": "'topup_2'", "wallet_id": WALLET}),
    ("topup: other payment|topup: other wallet", TopUp, {"id": "'topup_2'", "organization_id": ORGANIZATION}),
    ("topup: other payment|topup: other wallet", TopUp, {"id": "'topup_2'", "currency": "'jpy'"}),
    ("topup: other payment", TopUp, {"id": "'topup_2'", "payment_id": UNPAID}),
    ("topup: other payment", TopUp,
     {"id": "'topup_2'", "payment_id": UNPAID, "wallet_id": WALLET, "organization_id": ORGANIZATION, "currency": "'jpy'",
      "amount_minor": "301"}),
    ("walletspend: other wallet", WalletSpend, {"id": "'spend_2'", "hold_id": "NULL", "wallet_id": WALLET}),
    ("walletspend: other wallet", WalletSpend, {"id": "'spend_2'", "hold_id": "NULL", "organization_id": ORGANIZATION}),
    ("walletspend: other wallet", WalletSpend, {"id": "'spend_2'", "hold_id": "NULL", "currency": "'jpy'"}),
    ("walletspend: other hold", WalletSpend,
     {"id": "'spend_2'", "hold_id": "(SELECT id FROM wallets_wallethold WHERE state = 'authorized')", "wallet_id": WALLET,
      "organization_id": ORGANIZATION, "currency": "'jpy'"}),
    ("spendreversal: other spend", SpendReversal, {"id": "'reversal_2'", "organization_id": ORGANIZATION}),
    ("spendreversal: other spend", SpendReversal, {"id": "'reversal_2'", "currency": "'jpy'"}),
    ("wallethold: other wallet", WalletHold, {"id": "'hold_2'", "wallet_id": WALLET}),
    ("wallethold: other wallet", WalletHold, {"id": "'hold_2'", "currency": "'jpy'"}),
    ("walletadjustment: other wallet", WalletAdjustment, {"id": "'adjustment_2'", "organization_id": ORGANIZATION}),
    ("walletadjustment: other wallet", WalletAdjustment, {"id": "'adjustment_2'", "currency": "'jpy'"}),
    ("notice: other wallet", Notice, {"id": "'notice_2'", "key": "'k2'", "wallet_id": WALLET}),
    ("noticedelivery: other notice", NoticeDelivery,
     {"id": "'delivery_2'", "channel": "'telegram'", "organization_id": ORGANIZATION}),
]  # fmt: skip
# Constraint (for a unique field its columns alone), table, what differs in the copy, the columns that clash.
COPIES: list[tuple[str, type[models.Model], dict[str, str], list[str]]] = [
    ("wallet_once_per_organization_and_currency", Wallet, {"id": "'wallet_2'"}, ["organization_id", "currency"]),
    ("", TopUp, {"id": "'topup_2'"}, ["payment_id"]),
    ("walletspend_once_per_key", WalletSpend,
     {"id": "'spend_2'", "hold_id": "NULL", "idempotency_key": "'s1'"}, ["wallet_id", "idempotency_key"]),
    ("", WalletSpend,
     {"id": "'spend_2'", "idempotency_key": "NULL", "hold_id": "(SELECT max(hold_id) FROM wallets_walletspend)"}, ["hold_id"]),
    ("spendreversal_once_per_key", SpendReversal, {"id": "'reversal_2'"}, ["spend_id", "idempotency_key"]),
    ("wallethold_once_per_key", WalletHold, {"id": "'hold_2'"}, ["wallet_id", "idempotency_key"]),
    ("paymentmethod_one_default_per_organization", PaymentMethod,
     {"id": "'method_2'", "stripe_id": "'pm_new'", "is_default": "true", "detached_at": "NULL"}, ["organization_id"]),
    ("", PaymentMethod, {"id": "'method_2'", "is_default": "false"}, ["stripe_id"]),
    ("", Notice, {"id": "'notice_2'"}, ["key"]),
    ("noticedelivery_once", NoticeDelivery, {"id": "'delivery_2'"}, ["notice_id", "user_id", "channel"]),
]  # fmt: skip
CHANGES = [
    (f"UPDATE wallets_wallet SET organization_id = {ORGANIZATION} WHERE currency = 'eur'", "wallet: move"),
    ("UPDATE wallets_wallet SET currency = 'usd'", "wallet: move"),
    ("UPDATE wallets_wallet SET id = 'wallet_2' WHERE currency = 'eur'", "wallets_wallet is append-only"),
    ("DELETE FROM wallets_wallet", "wallets_wallet is append-only"),
    ("UPDATE wallets_topup SET amount_minor = amount_minor + 1", "wallets_topup is append-only"),
    (f"UPDATE wallets_topup SET wallet_id = {WALLET}", "wallets_topup is append-only"),
    ("UPDATE wallets_topup SET payment_id = payment_id", "wallets_topup is append-only"),
    ("UPDATE wallets_topup SET currency = 'usd'", "wallets_topup is append-only"),
    (f"UPDATE wallets_topup SET organization_id = {ORGANIZATION}", "wallets_topup is append-only"),
    ("DELETE FROM wallets_topup", "wallets_topup is append-only"),
    ("UPDATE wallets_walletspend SET amount_minor = 1", "wallets_walletspend is append-only"),
    (f"UPDATE wallets_walletspend SET wallet_id = {WALLET}", "wallets_walletspend is append-only"),
    ("UPDATE wallets_walletspend SET currency = 'usd'", "wallets_walletspend is append-only"),
    (f"UPDATE wallets_walletspend SET organization_id = {ORGANIZATION}", "wallets_walletspend is append-only"),
    ("UPDATE wallets_walletspend SET idempotency_key = 'again'", "wallets_walletspend is append-only"),
    ("UPDATE wallets_walletspend SET hold_id = NULL", "wallets_walletspend is append-only"),
    ("UPDATE wallets_walletspend SET reversed_minor = 0", "walletspend: fewer reversed"),
    ("DELETE FROM wallets_walletspend", "wallets_walletspend is append-only"),
    ("UPDATE wallets_spendreversal SET amount_minor = 1", "wallets_spendreversal is append-only"),
    ("UPDATE wallets_spendreversal SET spend_id = (SELECT max(id) FROM wallets_walletspend)", "wallets_spendreversal is append"),
    ("DELETE FROM wallets_spendreversal", "wallets_spendreversal is append-only"),
    ("UPDATE wallets_wallethold SET amount_minor = amount_minor + 1", "wallets_wallethold is append-only"),
    (f"UPDATE wallets_wallethold SET wallet_id = {WALLET}", "wallets_wallethold is append-only"),
    ("UPDATE wallets_wallethold SET state = 'authorized', ended_at = NULL, captured_minor = 0 WHERE state = 'captured'",
     "wallethold: second end"),
    ("UPDATE wallets_wallethold SET captured_minor = 1 WHERE state = 'captured'", "wallethold: second end"),
    ("DELETE FROM wallets_wallethold WHERE state = 'authorized'", "wallets_wallethold is append-only"),
    ("UPDATE wallets_walletadjustment SET amount_minor = 100000 WHERE state = 'proposed'", "walletadjustment: move"),
    ("UPDATE wallets_walletadjustment SET reason = 'better' WHERE state = 'proposed'", "walletadjustment: move"),
    (f"UPDATE wallets_walletadjustment SET wallet_id = {WALLET} WHERE state = 'proposed'", "walletadjustment: move"),
    ("UPDATE wallets_walletadjustment SET proposed_by_id = (SELECT decided_by_id FROM wallets_walletadjustment "
     "WHERE state = 'approved') WHERE state = 'proposed'", "walletadjustment: move"),
    ("UPDATE wallets_walletadjustment SET state = 'rejected' WHERE state = 'approved'", "walletadjustment: second decision"),
    ("UPDATE wallets_walletadjustment SET state = 'proposed', decided_by_id = NULL, decided_at = NULL "
     "WHERE state = 'approved'", "walletadjustment: second decision"),
    ("DELETE FROM wallets_walletadjustment", "wallets_walletadjustment is append-only"),
    (f"UPDATE wallets_paymentmethod SET organization_id = {ORGANIZATION}", "paymentmethod: move"),
    ("UPDATE wallets_paymentmethod SET stripe_id = 'pm_new' WHERE is_default", "paymentmethod: move"),
    ("UPDATE wallets_paymentmethod SET detached_at = NULL", "paymentmethod: coming back"),
    (f"UPDATE wallets_notice SET organization_id = {ORGANIZATION}", "notice: other wallet later"),
    (f"UPDATE wallets_notice SET wallet_id = {WALLET}", "notice: other wallet later"),
]  # fmt: skip
# What the rules leave alone: states, facts that follow, and whole rows written as they are.
ALLOWED = [
    "UPDATE wallets_wallet SET organization_id = organization_id, currency = currency, blocked_reason = 'late'",
    "UPDATE wallets_topup SET state = 'refunded', paid_at = created_at",
    "UPDATE wallets_walletspend SET reversed_minor = amount_minor, created_by_id = NULL",
    "UPDATE wallets_spendreversal SET created_by_id = NULL",
    "UPDATE wallets_wallethold SET state = 'expired', ended_at = expires_at WHERE state = 'authorized'",
    "UPDATE wallets_walletadjustment SET state = 'rejected', reason = reason, decided_at = created_at, decided_by_id = "
    "(SELECT max(id) FROM accounts_user WHERE email LIKE 'decider%%') WHERE state = 'proposed'",
    "UPDATE wallets_paymentmethod SET detached_at = created_at, is_default = false, organization_id = organization_id",
    "UPDATE wallets_notice SET wallet_id = wallet_id",
    "UPDATE wallets_notice SET wallet_id = NULL",
    "DELETE FROM wallets_noticedelivery",
]


@pytest.fixture
def rows(db: None) -> None:
    """A wallet that was topped up, spent, given back and held; what staff proposed and decided; another's wallet in yen."""
    wallet = make_wallet(balance_minor=10_000)
    spent, _ = spending.spend(wallet=wallet, money=Money(1_000, "eur"), description="Seats", key="s1", actor=None)
    spending.reverse(spend_id=spent.pk, money=Money(400, "eur"), reason="Fewer", key="r1", actor=None)
    captured, _ = holding.authorize(wallet=wallet, money=Money(700, "eur"), description="Van", key="h1", actor=None)
    holding.capture(hold_id=captured.pk, money=None, actor=None)
    holding.authorize(wallet=wallet, money=Money(800, "eur"), description="Bus", key="h2", actor=None)
    proposer, decider = UserFactory.create(), UserFactory.create(email="decider@example.org")
    for state, decided_by in (("proposed", None), ("approved", decider)):
        WalletAdjustment.objects.create(
            organization_id=wallet.organization_id,
            wallet=wallet,
            amount_minor=5,
            currency="eur",
            reason="rounding",
            state=state,
            proposed_by=proposer,
            decided_by=decided_by,
            decided_at=decided_by and timezone.now(),
        )
    make_method(wallet.organization)
    make_method(wallet.organization, is_default=False, detached_at=timezone.now())
    Notice.objects.all().delete()
    notices.tell(wallet, Notice.Kind.LOW_BALANCE, key="low")
    topping_up.open_payment(make_wallet(currency="jpy"), Money(300, "jpy"))


def everything() -> list[list[object]]:
    return [list(model._default_manager.order_by("pk").values()) for model in TABLES]


@pytest.mark.parametrize(("name", "model", "change"), UPDATES)
def test_an_update_that_breaks_a_rule_is_refused_by_name(
    name: str, model: type[models.Model], change: str, rows: None, sql: Sql
) -> None:
    before = everything()
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        sql(f"UPDATE {model._meta.db_table} SET {change}")
    assert everything() == before


@pytest.mark.parametrize(("message", "model", "changes"), INSERTS)
def test_an_insert_that_breaks_a_rule_is_refused_by_name(
    message: str, model: type[models.Model], changes: dict[str, str], rows: None, copy: Copy
) -> None:
    before = everything()
    with pytest.raises(IntegrityError, match=message), transaction.atomic():
        copy(model, **changes)
    assert everything() == before


@pytest.mark.parametrize(("name", "model", "changes", "columns"), COPIES)
def test_a_second_row_of_what_exists_once_is_refused(
    name: str, model: type[models.Model], changes: dict[str, str], columns: list[str], rows: None, copy: Copy
) -> None:
    count = model._default_manager.count()
    on_sqlite = r"UNIQUE constraint failed: " + ", ".join(rf"{model._meta.db_table}\.{column}" for column in columns) + "$"
    # Where policies hide rows, PostgreSQL does not say which key exists already.
    on_postgresql = rf'unique constraint "{name or f"{model._meta.db_table}_{columns[0]}_key"}"'
    with pytest.raises(IntegrityError, match={"sqlite": on_sqlite}.get(connection.vendor, on_postgresql)), transaction.atomic():
        copy(model, **changes)
    assert model._default_manager.count() == count


@pytest.mark.parametrize(("statement", "message"), CHANGES)
def test_no_statement_rewrites_what_happened(statement: str, message: str, rows: None, sql: Sql) -> None:
    before = everything()
    with pytest.raises(IntegrityError, match=message), transaction.atomic():
        sql(statement)
    assert everything() == before


@pytest.mark.parametrize("statement", ALLOWED)
def test_what_may_change_changes(statement: str, rows: None, sql: Sql) -> None:
    assert sql(statement) > 0


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no TRUNCATE")
@pytest.mark.parametrize("model", [Wallet, TopUp, WalletSpend, SpendReversal, WalletHold, WalletAdjustment])
def test_no_truncation_empties_the_history(model: type[models.Model], rows: None, sql: Sql) -> None:
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # rows with pending checks could not be truncated anyway
    before = everything()
    with pytest.raises(IntegrityError, match="is append-only"), transaction.atomic():
        sql(f"TRUNCATE {model._meta.db_table} CASCADE")
    assert everything() == before


def test_two_wallets_of_one_organization_are_of_two_currencies(rows: None) -> None:
    wallet = Wallet.objects.get(currency="eur")
    assert make_wallet(wallet.organization, "usd").pk != wallet.pk
    assert make_wallet(wallet.organization, "eur").pk == wallet.pk


def named(*classes: type[models.BaseConstraint]) -> set[str]:
    return {c.name for m in TABLES for c in m._meta.constraints if isinstance(c, classes)}


def triggers() -> set[tuple[str, ...]]:
    """The rules of these tables that migration 0002 made, and not by refuse_changes."""
    tables = {model._meta.db_table for model in TABLES}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'wallets_%%'"
            if connection.vendor == "sqlite"
            else "SELECT tgname FROM pg_trigger WHERE tgenabled = 'O' AND tgname LIKE 'wallets_%%'"
        )
        names = [name.split("_no_") for (name,) in cursor.fetchall()]
    return {(table, rule) for table, rule in names if table in tables and rule not in {"update", "delete", "truncate"}}


def test_every_constraint_is_attacked() -> None:
    attacked = {name for said, *_ in (*UPDATES, *INSERTS) for name in said.split("|")}
    assert named(models.CheckConstraint) - attacked == set()
    assert {name for name, *_ in COPIES if name} == named(models.UniqueConstraint)


def test_every_trigger_is_attacked() -> None:
    attacks = [name for message, *_ in INSERTS for name in message.split("|")] + [message for _, message in CHANGES]
    said = {f"{table.removeprefix('wallets_')}: {rule.replace('_', ' ')}" for table, rule in triggers()}
    assert said == {message for message in attacks if ": " in message}
    assert len(said) == 17
