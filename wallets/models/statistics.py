"""Payments per organization, currency and day, as the database's view tells them (migration 0005)."""

from __future__ import annotations

from django.db import models

from accounts.models import Organization


class PaymentStatistic(models.Model):
    """One day (UTC) of one organization in one currency; days on which nothing happened have no row.

    Attempts, and what became of them by now, count on the day they were begun; money counts on the day it moved.
    """

    pk = models.CompositePrimaryKey("organization_id", "currency", "day")
    organization = models.ForeignKey(Organization, models.DO_NOTHING, db_constraint=False, related_name="+")
    currency = models.CharField(max_length=3)
    day = models.DateField()
    attempts = models.BigIntegerField()
    paid = models.BigIntegerField(help_text="Of the attempts.")
    failed = models.BigIntegerField(help_text="Of the attempts; some may still be paid.")
    conversion_per_mille = models.BigIntegerField(null=True, help_text="Paid of the attempts; null where there is none.")
    volume_minor = models.BigIntegerField(help_text="Paid on this day.")
    refunded_minor = models.BigIntegerField(help_text="Given back on this day, whenever it was paid.")

    class Meta:
        managed = False
        db_table = "payment_statistics"
        ordering = ["-day", "currency"]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.currency} {self.day}"
