"""The books: accounts, and transfers between two of them.

The model is TigerBeetle's: a transfer has a debit and a credit account, so no entry can fail to balance.
The database itself refuses to change or delete a transfer, to post between currencies or to an account that does
not exist, and keeps the balance of floored accounts (migration 0002).
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Concat, Right
from django.db.models.lookups import Exact

from conventions.public_ids import IdentifierField, PublicIdField


def _ends_with_currency(column: str) -> Exact[Any]:
    """The account code in `column` ends with `:` and the row's own currency."""
    return Exact(Right(F(column), 4), Concat(models.Value(":"), F("currency")))


class LedgerAccount(models.Model):
    """`code` names it: `stripe:usd`, `campaign:<id>:usd`, `wallet:<id>:eur`; the currency is always its last part."""

    class Kind(models.TextChoices):
        ASSET = "asset"
        LIABILITY = "liability"
        INCOME = "income"
        EXPENSE = "expense"

    code = IdentifierField(primary_key=True, max_length=80)
    kind = models.CharField(max_length=9, choices=Kind)
    currency = models.CharField(max_length=3)
    # Only where the balance must never fall below zero: kept by a trigger on each transfer, held by a constraint.
    floored = models.BooleanField(default=False)
    balance_minor = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="ledgeraccount_kind_known", condition=Q(kind__in=["asset", "liability", "income", "expense"])
            ),
            models.CheckConstraint(name="ledgeraccount_code_ends_with_currency", condition=_ends_with_currency("code")),
            models.CheckConstraint(name="ledgeraccount_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
            models.CheckConstraint(name="ledgeraccount_never_below_floor", condition=Q(floored=False) | Q(balance_minor__gte=0)),
        ]

    def __str__(self) -> str:
        return str(self.code)


class Transfer(models.Model):
    """One movement of money, written once. A mistake is corrected by a reversing transfer."""

    id = PublicIdField(prefix="transfer")
    # What caused it, so that it cannot be posted twice: `paid:<payment>`, `refund:re_…`, `dispute:dp_…:withdrawn`.
    key = IdentifierField(max_length=120, unique=True)
    # No foreign-key constraint in the database: its share lock on a hot account would serialise a viral campaign.
    # A trigger checks that both accounts exist, and accounts can never be deleted.
    debit = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="debits", db_constraint=False)
    credit = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="credits", db_constraint=False)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    payment = models.ForeignKey("payments.Payment", models.PROTECT, null=True, related_name="transfers")
    source = IdentifierField(max_length=80, null=True, help_text="The Stripe object it records; null for our own acts.")
    occurred_at = models.DateTimeField()
    posted_at = models.DateTimeField(auto_now_add=True)
    memo = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(name="transfer_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(name="transfer_between_two_accounts", condition=~Q(debit=F("credit"))),
            models.CheckConstraint(name="transfer_debit_in_currency", condition=_ends_with_currency("debit_id")),
            models.CheckConstraint(name="transfer_credit_in_currency", condition=_ends_with_currency("credit_id")),
        ]

    def __str__(self) -> str:
        return str(self.key)
