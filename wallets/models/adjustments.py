"""Corrections of a balance by staff: one proposes, another decides."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization
from conventions.public_ids import PublicIdField
from wallets.models.wallets import Wallet


class WalletAdjustment(models.Model):
    """`amount_minor` more (or, negative, less) in the wallet, once somebody else has approved it."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        REJECTED = "rejected"

    id = PublicIdField(prefix="adjustment")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="wallet_adjustments")
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="adjustments")
    amount_minor = models.BigIntegerField(help_text="Negative takes away.")
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        permissions = [
            ("propose_walletadjustment", "Can propose adjustments of wallets"),
            ("approve_walletadjustment", "Can approve or reject adjustments that others proposed"),
        ]
        indexes = [models.Index(name="walletadjustment_waiting", fields=["created_at"], condition=Q(state="proposed"))]
        constraints = [
            models.CheckConstraint(name="walletadjustment_amount_is_something", condition=~Q(amount_minor=0)),
            models.CheckConstraint(
                name="walletadjustment_decided_by_another",
                condition=Q(state="proposed", decided_by=None, decided_at=None)
                | Q(state__in=["approved", "rejected"], decided_by__isnull=False, decided_at__isnull=False)
                & ~Q(decided_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.state}"
