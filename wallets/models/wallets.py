"""An organization's prepaid balance, and the payments that fill it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization
from conventions.public_ids import PublicIdField
from payments.models import Payment
from payments.money import Money
from payments.states import ProductState


class Wallet(models.Model):
    """One currency of one organization. The balance is that of its ledger account, which never falls below zero.

    Money that was spent before it was asked back (a refund, a dispute) is owed by the organization: `receivable`.
    """

    id = PublicIdField(prefix="wallet")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="wallets")
    currency = models.CharField(max_length=3)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    owed_since = models.DateTimeField(null=True, blank=True, help_text="Set while the organization owes money.")
    blocked_at = models.DateTimeField(null=True, blank=True, help_text="By staff; nothing is spent while it is set.")
    blocked_reason = models.CharField(max_length=500, blank=True, default="")

    low_balance_minor = models.BigIntegerField(null=True, blank=True, help_text="Tell the admins when less is left.")
    is_low = models.BooleanField(default=False, help_text="Told already; told anew after it was above once more.")

    top_up_below_minor = models.BigIntegerField(null=True, blank=True, help_text="Top up by itself when less is left.")
    top_up_amount_minor = models.BigIntegerField(null=True, blank=True)
    top_up_daily_limit_minor = models.BigIntegerField(null=True, blank=True, help_text="In any 24 hours, by itself.")
    # Set when a spend, a hold or new settings leave less than `top_up_below_minor`, until there is as much again. A refund that
    # takes money back sets nothing: who asked for their money is not charged again for it.
    top_up_due_at = models.DateTimeField(null=True, blank=True)
    # Set by a failure, until a person pays or turns it on again: a card that was declined is not tried every minute.
    top_up_paused_at = models.DateTimeField(null=True, blank=True)
    top_up_paused_reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["organization", "currency"]
        permissions = [("block_wallet", "Can block and unblock wallets")]
        indexes = [
            models.Index(name="wallet_owing", fields=["owed_since"], condition=Q(owed_since__isnull=False)),
            models.Index(name="wallet_paused", fields=["top_up_paused_at"], condition=Q(top_up_paused_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(name="wallet_once_per_organization_and_currency", fields=["organization", "currency"]),
            models.CheckConstraint(name="wallet_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
            models.CheckConstraint(
                name="wallet_low_balance_positive", condition=Q(low_balance_minor=None) | Q(low_balance_minor__gt=0)
            ),
            models.CheckConstraint(
                name="wallet_top_up_whole",
                condition=Q(top_up_below_minor=None, top_up_amount_minor=None, top_up_daily_limit_minor=None)
                # A comparison with null is neither true nor false, and a check that is not false passes.
                | Q(top_up_below_minor__isnull=False, top_up_amount_minor__isnull=False, top_up_daily_limit_minor__isnull=False)
                & Q(
                    top_up_below_minor__gt=0,
                    top_up_amount_minor__gt=0,
                    top_up_daily_limit_minor__gte=F("top_up_amount_minor"),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.currency}"

    @property
    def account(self) -> str:
        return f"wallet:{self.pk}:{self.currency}"

    @property
    def held(self) -> str:
        """The ledger account of what is authorized and not captured yet."""
        return f"held:{self.pk}:{self.currency}"

    @property
    def receivable(self) -> str:
        """The ledger account of what the organization owes us in this currency."""
        return f"receivable:{self.organization_id}:{self.currency}"

    @property
    def is_blocked(self) -> bool:
        return self.blocked_at is not None or self.owed_since is not None

    @property
    def tops_up_by_itself(self) -> bool:
        return self.top_up_below_minor is not None and self.top_up_paused_at is None


class TopUp(models.Model):
    """One payment into a wallet. Its state follows the payment."""

    State = ProductState

    id = PublicIdField(prefix="topup")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="top_ups")
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="top_ups")
    payment = models.OneToOneField(Payment, models.PROTECT, related_name="top_up")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=18, choices=State, default=State.PENDING)
    is_automatic = models.BooleanField(default=False)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="top_ups")
    paid_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(name="topup_of_wallet", fields=["wallet", "created_at"])]
        constraints = [
            models.CheckConstraint(name="topup_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="topup_state_known",
                condition=Q(state__in=["pending", "paid", "refunded", "partially_refunded", "disputed", "abandoned"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.money.display()} {self.state}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)
