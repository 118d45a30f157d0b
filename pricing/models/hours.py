"""Hours: lots that were bought, sessions that used them, and every movement between, written once."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from conventions.public_ids import IdentifierField, PublicIdField
from pricing.models.purchases import PurchaseTransaction


class HourLot(models.Model):
    """Hours granted at once, which expire together. A guest's lot waits under its e-mail address until somebody has
    proved that address."""

    id = PublicIdField(prefix="lot")
    student = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="hour_lots")
    email = IdentifierField(max_length=320, blank=True, default="", db_index=True)
    purchase = models.OneToOneField(PurchaseTransaction, models.PROTECT, null=True, blank=True, related_name="lot")
    granted_hundredths = models.PositiveIntegerField()
    consumed_hundredths = models.PositiveIntegerField(default=0)
    expired_hundredths = models.PositiveIntegerField(default=0)
    taken_back_hundredths = models.PositiveIntegerField(default=0, help_text="By refunds and disputes.")
    withdrawn_hundredths = models.PositiveIntegerField(default=0, help_text="By staff.")
    remaining_hundredths = models.PositiveIntegerField()
    owed_hundredths = models.PositiveIntegerField(
        default=0, help_text="Refunded, but used or expired before: could not be taken back."
    )
    # Null where staff settled nothing: SQLite adds no other column without making the table, and its triggers, anew.
    settled_hundredths = models.PositiveIntegerField(
        null=True, blank=True, help_text="Owed once, and settled by staff: not asked for again."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    notice_at = models.DateTimeField(null=True, blank=True, help_text="When its owner was told that it will expire.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        permissions = [("adjust_hours", "Can give hours to students and take unused ones away")]
        indexes = [
            models.Index(name="hourlot_of_student", fields=["student", "expires_at"], condition=Q(remaining_hundredths__gt=0)),
            models.Index(name="hourlot_expiring", fields=["expires_at"], condition=Q(remaining_hundredths__gt=0)),
            models.Index(name="hourlot_owing", fields=["id"], condition=Q(owed_hundredths__gt=0)),
        ]
        constraints = [
            models.CheckConstraint(
                name="hourlot_adds_up",
                condition=Q(
                    granted_hundredths=F("consumed_hundredths")
                    + F("expired_hundredths")
                    + F("taken_back_hundredths")
                    + F("withdrawn_hundredths")
                    + F("remaining_hundredths")
                ),
            ),
            models.CheckConstraint(name="hourlot_remaining_not_negative", condition=Q(remaining_hundredths__gte=0)),
            models.CheckConstraint(name="hourlot_granted_positive", condition=Q(granted_hundredths__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.remaining_hundredths}/{self.granted_hundredths}"


class HourConsumption(models.Model):
    """A session that used hours, once for each session reference."""

    id = PublicIdField(prefix="consumption")
    student = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="consumptions")
    session_reference = IdentifierField(max_length=100, unique=True)
    hours_hundredths = models.PositiveIntegerField()
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    reversed_at = models.DateTimeField(null=True, blank=True)
    reversed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    reversal_reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        permissions = [("consume_hours", "Can record sessions that use students' hours, and reverse them")]
        indexes = [models.Index(name="hourconsumption_newest", fields=["student", "-created_at", "-id"])]
        constraints = [models.CheckConstraint(name="hourconsumption_positive", condition=Q(hours_hundredths__gt=0))]

    def __str__(self) -> str:
        return f"{self.session_reference} {self.hours_hundredths}"


class HourMovement(models.Model):
    """One change of a lot, written once and never changed: a lot's columns are the sums of its movements."""

    class Kind(models.TextChoices):
        GRANTED = "granted"
        CONSUMED = "consumed"
        EXPIRED = "expired"
        TAKEN_BACK = "taken_back", "taken back by a refund or dispute"
        WITHDRAWN = "withdrawn", "taken away by staff"

    id = PublicIdField(prefix="movement")
    # What caused it, so that it cannot happen twice: `grant:<purchase>`, `consume:<consumption>:<lot>`, …
    key = IdentifierField(max_length=140, unique=True)
    lot = models.ForeignKey(HourLot, models.PROTECT, related_name="movements")
    kind = models.CharField(max_length=10, choices=Kind)
    hundredths = models.IntegerField(help_text="Positive adds to the kind's column; negative undoes it.")
    consumption = models.ForeignKey(HourConsumption, models.PROTECT, null=True, blank=True, related_name="movements")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=500, blank=True, default="")
    occurred_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="hourmovement_not_zero", condition=~Q(hundredths=0)),
            models.CheckConstraint(
                name="hourmovement_kind_known",
                condition=Q(kind__in=["granted", "consumed", "expired", "taken_back", "withdrawn"]),
            ),
        ]

    def __str__(self) -> str:
        return str(self.key)

    @property
    def told(self) -> str:
        """What happened, for people."""
        if self.hundredths > 0:
            return str(self.get_kind_display()).lower()
        return "reversed" if self.kind == self.Kind.CONSUMED else "given back"
