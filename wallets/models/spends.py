"""What leaves a wallet: spends, holds that may become one, and spends taken back."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization
from conventions.public_ids import IdentifierField, PublicIdField
from payments.money import Money
from wallets.models.wallets import Wallet


class Moved(models.Model):
    """An amount of a wallet's currency that left it or came back."""

    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)

    class Meta:
        abstract = True

    @property
    def money(self) -> Money:
        return self.money_of(self.amount_minor)

    def money_of(self, amount_minor: int) -> Money:
        """So much in the same currency."""
        return Money(amount_minor, self.currency)


class WalletHold(Moved):
    """An amount set aside: captured in whole or in part within its time, or given back."""

    class State(models.TextChoices):
        AUTHORIZED = "authorized"
        CAPTURED = "captured"
        RELEASED = "released"
        EXPIRED = "expired"

    id = PublicIdField(prefix="hold")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="wallet_holds")
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="holds")
    captured_minor = models.BigIntegerField(default=0)
    description = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State, default=State.AUTHORIZED)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    idempotency_key = IdentifierField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(name="wallethold_due", fields=["expires_at"], condition=Q(state="authorized"))]
        constraints = [
            models.UniqueConstraint(name="wallethold_once_per_key", fields=["wallet", "idempotency_key"]),
            models.CheckConstraint(name="wallethold_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="wallethold_captured_within_amount",
                condition=Q(state="captured", captured_minor__gt=0, captured_minor__lte=F("amount_minor"))
                | Q(state__in=["authorized", "released", "expired"], captured_minor=0),
            ),
            models.CheckConstraint(
                name="wallethold_ended_with_a_time",
                condition=Q(state="authorized", ended_at=None) | ~Q(state="authorized") & Q(ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.money.display()} {self.state}"


class WalletSpend(Moved):
    """Money taken from a wallet for something, once per key of the client."""

    id = PublicIdField(prefix="spend")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="wallet_spends")
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="spends")
    hold = models.OneToOneField(WalletHold, models.PROTECT, null=True, blank=True, related_name="spend")
    reversed_minor = models.BigIntegerField(default=0, help_text="The sum of its reversals.")
    description = models.CharField(max_length=200)
    idempotency_key = IdentifierField(max_length=255, null=True, blank=True, help_text="Null where a hold was captured.")
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        permissions = [("reverse_walletspend", "Can give spends back and release holds")]
        constraints = [
            models.UniqueConstraint(name="walletspend_once_per_key", fields=["wallet", "idempotency_key"]),
            models.CheckConstraint(name="walletspend_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="walletspend_reversed_within_amount",
                condition=Q(reversed_minor__gte=0, reversed_minor__lte=F("amount_minor")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.money.display()}"


class SpendReversal(Moved):
    """A spend given back to its wallet, in whole or in part."""

    id = PublicIdField(prefix="reversal")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="spend_reversals")
    spend = models.ForeignKey(WalletSpend, models.PROTECT, related_name="reversals")
    reason = models.CharField(max_length=200)
    idempotency_key = IdentifierField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(name="spendreversal_once_per_key", fields=["spend", "idempotency_key"]),
            models.CheckConstraint(name="spendreversal_amount_positive", condition=Q(amount_minor__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.money.display()}"
