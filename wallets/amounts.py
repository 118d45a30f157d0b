"""What a wallet has, holds and owes, as columns of a query: a list of fifty costs one."""

from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField, Case, CharField, F, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Concat

from payments.models import LedgerAccount, Transfer
from wallets.models import Wallet


def with_amounts(wallets: QuerySet[Wallet]) -> QuerySet[Any]:
    """Adds `balance_minor` and `held_minor`, as their floored accounts keep them, and `owed_minor`, summed only where
    something is owed."""
    receivable = _account("receivable", "organization_id")
    repaid, charged = _sum("credit", receivable), _sum("debit", receivable)
    return wallets.annotate(
        balance_minor=_kept(_account("wallet", "pk")),
        held_minor=_kept(_account("held", "pk")),
        owed_minor=Case(When(owed_since__isnull=False, then=charged - repaid), default=Value(0), output_field=BigIntegerField()),
    )


def _account(kind: str, owner: str) -> Concat:
    return Concat(Value(f"{kind}:"), OuterRef(owner), Value(":"), OuterRef("currency"), output_field=CharField())


def _kept(code: Concat) -> Coalesce:
    account = LedgerAccount.objects.filter(code=code).order_by().values("balance_minor")[:1]
    return Coalesce(Subquery(account), Value(0), output_field=BigIntegerField())


def _sum(side: str, code: Concat) -> Coalesce:
    moved = Transfer.objects.filter(**{side: code}).order_by().values(side).annotate(sum=Sum("amount_minor"))
    return Coalesce(Subquery(moved.values("sum")), Value(0), output_field=BigIntegerField())


def owing() -> QuerySet[Any]:
    """Wallets whose organization owes us money, the longest first."""
    return (
        with_amounts(Wallet.objects.filter(owed_since__isnull=False))
        .select_related("organization")
        .order_by(F("owed_since").asc())
    )
