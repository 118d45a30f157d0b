"""Cards and other means that an organization saved at Stripe: the little of them that may be shown."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from conventions.public_ids import IdentifierField, PublicIdField


class PaymentMethod(models.Model):
    """Stripe is asked, this row is what is shown: never more of a card than brand, last four digits and expiry."""

    id = PublicIdField(prefix="method")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="payment_methods")
    stripe_id = IdentifierField(max_length=255, unique=True)
    type = models.CharField(max_length=40)
    brand = models.CharField(max_length=40, blank=True, default="")
    last4 = models.CharField(max_length=4, blank=True, default="")
    exp_month = models.PositiveSmallIntegerField(null=True, blank=True)
    exp_year = models.PositiveSmallIntegerField(null=True, blank=True)
    # Stripe's name for the same card number, whoever saved it how often (within one account at Stripe).
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    is_default = models.BooleanField(default=False)
    attached_at = models.DateTimeField(default=timezone.now, help_text="Stripe's time.")
    detached_at = models.DateTimeField(null=True, blank=True, help_text="Set once it is gone at Stripe; never shown again.")
    seen_at = models.DateTimeField(null=True, blank=True, help_text="Stripe's time of what is written here.")
    expiry_told_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-is_default", "-attached_at", "-id"]
        indexes = [models.Index(name="paymentmethod_of_org", fields=["organization", "attached_at"])]
        constraints = [
            models.UniqueConstraint(
                name="paymentmethod_one_default_per_organization", fields=["organization"], condition=Q(is_default=True)
            ),
            models.CheckConstraint(
                name="paymentmethod_detached_is_no_default", condition=Q(is_default=False) | Q(detached_at=None)
            ),
            models.CheckConstraint(name="paymentmethod_last4_is_short", condition=Q(last4__regex="^[0-9]{0,4}$")),
            models.CheckConstraint(
                name="paymentmethod_expiry_is_a_month", condition=Q(exp_month=None) | Q(exp_month__gte=1, exp_month__lte=12)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.brand or self.type} {self.last4}".strip()

    @property
    def means(self) -> tuple[str, str]:
        """The same however often one card or account was saved."""
        return (self.type, self.fingerprint or self.stripe_id)


class SavedMethods(models.Model):
    """An organization's methods as a whole; whoever changes one of them locks this row first."""

    organization = models.OneToOneField(Organization, models.PROTECT, primary_key=True, related_name="saved_methods")
    # The method may not be known here yet: events come in any order.
    chosen = IdentifierField(max_length=255, blank=True, default="", help_text="Stripe's id of what was last made the default.")
    chosen_at = models.DateTimeField(null=True, blank=True, help_text="Stripe's time of that.")
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When Stripe was last asked for all of them.")

    class Meta:
        verbose_name_plural = "saved methods"
        constraints = [
            models.CheckConstraint(
                name="savedmethods_chosen_with_a_time",
                condition=Q(chosen="", chosen_at=None) | ~Q(chosen="") & Q(chosen_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"methods of {self.organization_id}"
