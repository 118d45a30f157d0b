"""What Stripe's own books say: balance transactions and payouts, kept as they were pulled, and how far a run got."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from conventions.public_ids import IdentifierField
from payments.money import Money


class BalanceTransaction(models.Model):
    """One movement of the balance at Stripe (`txn_…`). Written once; only its payout becomes known later.

    `bookkeeping.balance_postings_due` says which transfers follow from it, so the row alone must be enough for that:
    where Stripe converted, `source_amount_minor` and `source_currency` are what moved before conversion.
    """

    id = IdentifierField(primary_key=True, max_length=255)
    type = models.CharField(max_length=60)
    category = models.CharField(max_length=60, help_text="Stripe's reporting_category.")
    source = IdentifierField(max_length=255, null=True, db_index=True, help_text="The charge, refund, dispute or payout.")
    amount_minor = models.BigIntegerField()
    fee_minor = models.BigIntegerField()
    net_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    fee_details = models.JSONField(default=list)
    exchange_rate = models.CharField(max_length=40, null=True, help_text="Stripe's figure, as text: never calculated with.")
    source_amount_minor = models.BigIntegerField(null=True)
    source_currency = models.CharField(max_length=3, null=True)
    created_at = models.DateTimeField(db_index=True)
    available_at = models.DateTimeField()
    payout = IdentifierField(max_length=255, null=True, db_index=True, help_text="The payout that paid it out, once known.")
    pulled_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="balancetransaction_net_is_amount_less_fee",
                condition=Q(net_minor=F("amount_minor") - F("fee_minor")),
            ),
            models.CheckConstraint(name="balancetransaction_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
            models.CheckConstraint(
                name="balancetransaction_conversion_whole",
                condition=Q(source_amount_minor=None, source_currency=None)
                | Q(source_amount_minor__isnull=False, source_currency__isnull=False, source_currency__regex="^[a-z]{3}$")
                & ~Q(source_currency=F("currency")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type} {Money(self.amount_minor, self.currency).display()}"


class Payout(models.Model):
    """Money on its way from Stripe to the bank. Its transfers follow from its balance transactions, not from here."""

    id = IdentifierField(primary_key=True, max_length=255)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=30, help_text="pending, in_transit, paid, failed or canceled, as Stripe says.")
    automatic = models.BooleanField()
    failure_code = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField(db_index=True)
    arrival_at = models.DateTimeField()
    itemized_at = models.DateTimeField(null=True, help_text="When the balance transactions that it paid out became known.")

    class Meta:
        constraints = [
            models.CheckConstraint(name="payout_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
        ]

    def __str__(self) -> str:
        return f"{self.id} {Money(self.amount_minor, self.currency).display()} {self.status}"


class Reconciliation(models.Model):
    """A run of `reconcile --apply`, and how far it got: an interrupted one goes on from `step` and `cursor`."""

    asked = models.CharField(max_length=120, help_text="The window as it was asked for; the same words go on with the same run.")
    since = models.DateTimeField()
    until = models.DateTimeField()
    step = models.CharField(max_length=40, blank=True, default="", help_text="The list that is being read.")
    cursor = IdentifierField(max_length=255, null=True, help_text="The last object of that list that is done.")
    found = models.BigIntegerField(default=0)
    mended = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(name="reconciliation_unfinished", fields=["asked"], condition=Q(finished_at=None))]

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}"
