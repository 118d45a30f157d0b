"""The books are append-only, said by the database itself: no statement changes or removes what was posted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from payments import ledger
from payments.models import BalanceTransaction, LedgerAccount, Transfer
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
Sql = Callable[..., int]
Copy = Callable[..., int]

CHANGES = [
    ("UPDATE payments_transfer SET amount_minor = amount_minor + 1", "payments_transfer is append-only"),
    ("UPDATE payments_transfer SET memo = ''", "payments_transfer is append-only"),
    ("UPDATE payments_transfer SET key = key", "payments_transfer is append-only"),
    ("UPDATE payments_transfer SET payment_id = NULL", "payments_transfer is append-only"),
    ("DELETE FROM payments_transfer", "payments_transfer is append-only"),
    ("DELETE FROM payments_transfer WHERE memo = 'refund'", "payments_transfer is append-only"),
    ("UPDATE payments_ledgeraccount SET code = 'y:usd'", "payments_ledgeraccount is append-only"),
    ("UPDATE payments_ledgeraccount SET kind = 'income'", "payments_ledgeraccount is append-only"),
    ("UPDATE payments_ledgeraccount SET currency = 'eur'", "payments_ledgeraccount is append-only"),
    ("UPDATE payments_ledgeraccount SET floored = CAST(1 AS BOOLEAN)", "payments_ledgeraccount is append-only"),
    ("DELETE FROM payments_ledgeraccount WHERE code = 'stripe:usd'", "payments_ledgeraccount is append-only"),
    ("UPDATE payments_balancetransaction SET net_minor = 1, fee_minor = 2499", "payments_balancetransaction is append-only"),
    ("DELETE FROM payments_balancetransaction", "payments_balancetransaction is append-only"),
    (
        "INSERT INTO payments_transfer SELECT * FROM payments_transfer WHERE true "
        "ON CONFLICT (key) DO UPDATE SET amount_minor = 1",
        "payments_transfer is append-only",
    ),
]
TRUNCATIONS = [
    "TRUNCATE payments_balancetransaction",
    "TRUNCATE payments_transfer",
    "TRUNCATE payments_ledgeraccount CASCADE",
    "TRUNCATE payments_payment CASCADE",
    "TRUNCATE campaigns_campaign, donations_donation, payments_payment, payments_transfer CASCADE",
]


def books() -> list[list[object]]:
    return [list(model._default_manager.order_by("pk").values()) for model in (Transfer, LedgerAccount, BalanceTransaction)]


@pytest.mark.parametrize(("statement", "message"), CHANGES)
def test_no_statement_changes_the_books(statement: str, message: str, rows: Story, sql: Sql) -> None:
    before = books()
    with pytest.raises(IntegrityError, match=message), transaction.atomic():
        sql(statement)
    assert books() == before


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no TRUNCATE")
@pytest.mark.parametrize("statement", TRUNCATIONS)
def test_no_truncation_empties_the_books(statement: str, rows: Story, sql: Sql) -> None:
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # rows with pending checks could not be truncated anyway
    before = books()
    with pytest.raises(IntegrityError, match="is append-only"), transaction.atomic():
        sql(statement)
    assert books() == before


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="REPLACE is SQLite's")
def test_replacing_a_row_is_refused_like_any_other_change(rows: Story, sql: Sql) -> None:
    """SQLite's REPLACE deletes without firing DELETE triggers unless recursive_triggers is on."""
    before = books()
    columns = ", ".join(str(field.column) for field in Transfer._meta.concrete_fields)
    values = columns.replace("amount_minor", "amount_minor + 1")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        sql(f"INSERT OR REPLACE INTO payments_transfer ({columns}) SELECT {values} FROM payments_transfer")
    assert books() == before


@pytest.mark.parametrize("side", ["debit_id", "credit_id"])
def test_a_transfer_needs_accounts_that_exist(side: str, rows: Story, copy: Copy) -> None:
    count = Transfer.objects.count()
    with pytest.raises(IntegrityError, match="a transfer needs two accounts that exist"), transaction.atomic():
        copy(Transfer, id="'transfer_2'", key="'k'", **{side: "'nowhere:usd'"})
    assert Transfer.objects.count() == count


def transfer(copy: Copy, number: int, *, debit: str, credit: str, amount: int) -> int:
    changes = {"debit_id": f"'{debit}'", "credit_id": f"'{credit}'", "amount_minor": str(amount)}
    return copy(Transfer, id=f"'transfer_{number}'", key=f"'k{number}'", **changes)


@pytest.fixture
def wallet(rows: Story, copy: Copy) -> str:
    copy(LedgerAccount, code="'wallet:x:usd'", kind="'liability'", floored="CAST(1 AS BOOLEAN)", balance_minor="0")
    return "wallet:x:usd"


def test_a_floored_balance_moves_with_each_transfer_and_no_other_does(wallet: str, copy: Copy) -> None:
    transfer(copy, 1, debit="stripe:usd", credit=wallet, amount=100)
    transfer(copy, 2, debit=wallet, credit="stripe:usd", amount=60)
    assert LedgerAccount.objects.get(code=wallet).balance_minor == ledger.balance(wallet) == 40
    assert LedgerAccount.objects.get(code="stripe:usd").balance_minor == 0


def test_a_floored_balance_never_falls_below_zero(wallet: str, copy: Copy) -> None:
    transfer(copy, 1, debit="stripe:usd", credit=wallet, amount=100)
    with pytest.raises(IntegrityError, match="ledgeraccount_never_below_floor"), transaction.atomic():
        transfer(copy, 2, debit=wallet, credit="stripe:usd", amount=101)
    assert LedgerAccount.objects.get(code=wallet).balance_minor == 100
    assert Transfer.objects.filter(key="k2").count() == 0


def test_a_transfer_cannot_be_written_without_a_currency(rows: Story, copy: Copy) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        copy(Transfer, id="'transfer_2'", key="'k'", currency="NULL")


def test_the_rules_are_live_on_this_engine(rows: Story, sql: Sql) -> None:
    """The guards that tests lift around a flush are in place again."""
    names = {
        "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'payments_%'",
        "postgresql": "SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O' AND tgname LIKE 'payments_%'",
    }
    with connection.cursor() as cursor:
        cursor.execute(names[connection.vendor])
        assert cursor.fetchone()[0] == {"sqlite": 8, "postgresql": 11}[connection.vendor]
