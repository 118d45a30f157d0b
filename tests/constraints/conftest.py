"""One row of every table that has rules, reached by real operations, for raw SQL to attack."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, models
from django.utils import timezone

from donations.models import Donation, Receipt
from donations.tests.factories import pending_donation
from payments import checkout
from payments.models import Alert, BalanceTransaction, Payout, StripeCallTally
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story


@pytest.fixture
def rows(db: None) -> Story:
    """A paid gift with a refund, a dispute, a call, a receipt and everything that follows from them."""
    donation = pending_donation(display_name="Ada")
    checkout.plan_call(donation.payment_id, "checkout.sessions.create", {})
    story = Story(donation.payment)
    for event in [*story.succeeded(), *story.refunded("a", 700, at=100, in_all=700), *story.disputed("won")]:
        settle_events([event], source="webhook")
    now = timezone.now()
    times = {"created_at": now, "available_at": now}
    amounts = {"amount_minor": 2500, "fee_minor": 103, "net_minor": 2397, "currency": "usd"}
    BalanceTransaction.objects.create(id="txn_1", type="charge", category="charge", **amounts, **times)
    Payout.objects.create(
        id="po_1", amount_minor=1, currency="usd", status="paid", automatic=True, created_at=now, arrival_at=now
    )
    Alert.objects.create(kind=Alert.Kind.values[0], subject="evt_1", text="It died.")
    StripeCallTally.objects.create(operation="refunds.create", outcome="ok")
    Receipt.objects.create(donation=Donation.objects.get(), claimed_at=timezone.now())
    return story


@pytest.fixture
def sql() -> Callable[..., int]:
    """Run one statement past Django's models; gives the number of rows."""

    def run(statement: str, *parameters: object) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.rowcount)

    return run


@pytest.fixture
def copy(sql: Callable[..., int]) -> Callable[..., int]:
    """Insert a copy of a table's first row with some columns written otherwise (SQL expressions by column)."""

    def insert(model: type[models.Model], **changes: str) -> int:
        table = model._meta.db_table
        columns = [str(field.column) for field in model._meta.concrete_fields if changes.get(field.column, "") is not None]
        automatic = {"id"} if isinstance(model._meta.pk, models.BigAutoField) else set()
        kept = [column for column in columns if column not in automatic]
        values = ", ".join(changes.get(column, column) for column in kept)
        return sql(f"INSERT INTO {table} ({', '.join(kept)}) SELECT {values} FROM {table} LIMIT 1")

    return insert
