"""A row of each kind that is pulled of Stripe's own books, and of what watches over payments."""

from __future__ import annotations

from django.db.models import Model
from django.utils import timezone

from payments.models import Alert, BalanceTransaction, Payout, Reconciliation


def rows_of_stripes_books(number: int = 1) -> list[Model]:
    """A balance transaction (of `ch_<number>`, paid out by `po_<number>`), a payout, an alert and a run of reconcile."""
    at = timezone.now()
    amounts = {"amount_minor": 100, "currency": "usd", "created_at": at}
    of_charge = {"type": "charge", "category": "charge", "source": f"ch_{number}", "payout": f"po_{number}"}
    return [
        BalanceTransaction.objects.create(id=f"txn_{number}", fee_minor=3, net_minor=97, available_at=at, **of_charge, **amounts),
        Payout.objects.create(id=f"po_{number}", status="paid", automatic=True, arrival_at=at, **amounts),
        Alert.objects.create(kind="dead_event", subject=f"evt_{number}", text="It could not be applied."),
        Reconciliation.objects.create(asked="30d .. now", since=at, until=at, cursor=f"ch_{number}"),
    ]
