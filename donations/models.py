"""Donor, Donation, Supporter, Receipt."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from campaigns.models import Campaign
from conventions.public_ids import PublicIdField
from payments.models import Payment
from payments.money import Money
from payments.states import ProductState


class Donor(models.Model):
    """A person who gave, known by an e-mail address. `user` only after that user has proved the same address."""

    id = PublicIdField(prefix="donor")
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="donor")
    email = models.CharField(max_length=320, unique=True)
    name = models.CharField(max_length=200, blank=True, default="")
    locale = models.CharField(max_length=20, blank=True, default="")
    anonymous_by_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(name="donor_email_lowercase", condition=Q(email=Lower("email")))]

    def __str__(self) -> str:
        return self.name or self.email


class DonationQuerySet(models.QuerySet["Donation"]):
    def counted(self) -> DonationQuerySet:
        """Gifts that count towards a campaign's number of donations."""
        return self.filter(state__in=COUNTED)

    def on_the_wall(self) -> DonationQuerySet:
        return self.filter(state__in=SHOWN).select_related("payment")

    def of_user(self, user: Any) -> DonationQuerySet:
        """Given while signed in, or as a guest under an address that the user has proved since."""
        return self.filter(Q(payment__user=user) | Q(donor__user=user))


class Donation(models.Model):
    """A gift to a campaign. Its state follows from its payment."""

    State = ProductState

    class Dedication(models.TextChoices):
        IN_HONOUR = "in_honour", "in honour of"
        IN_MEMORY = "in_memory", "in memory of"

    id = PublicIdField(prefix="donation")
    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="donations")
    payment = models.OneToOneField(Payment, models.PROTECT, related_name="donation")
    donor = models.ForeignKey(Donor, models.PROTECT, null=True, blank=True, related_name="donations")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    anonymous = models.BooleanField(default=False)
    display_name = models.CharField(max_length=200, blank=True, default="")
    message = models.CharField(max_length=500, blank=True, default="")
    dedication_kind = models.CharField(max_length=9, choices=Dedication, blank=True, default="")
    dedication_name = models.CharField(max_length=200, blank=True, default="")
    state = models.CharField(max_length=18, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = DonationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                name="donation_wall",
                fields=["campaign", "-paid_at", "-id"],
                condition=Q(state__in=["paid", "partially_refunded"]),
            ),
            # What came in when: the front page's sums are read from the index alone, and sweep finds gifts without a receipt.
            models.Index(
                name="donation_paid_on",
                fields=["paid_at", "currency", "amount_minor", "campaign"],
                condition=Q(paid_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(name="donation_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="donation_state_known",
                condition=Q(state__in=["pending", "paid", "refunded", "partially_refunded", "disputed", "abandoned"]),
            ),
            models.CheckConstraint(
                name="donation_paid_at_when_paid",
                condition=Q(state__in=["pending", "abandoned"], paid_at__isnull=True)
                | Q(state__in=["paid", "refunded", "partially_refunded", "disputed"], paid_at__isnull=False),
            ),
            models.CheckConstraint(
                name="donation_dedication_whole",
                condition=Q(dedication_kind="", dedication_name="") | (~Q(dedication_kind="") & ~Q(dedication_name="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.money.display()} {self.state}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)


COUNTED = ("paid", "partially_refunded", "disputed")
SHOWN = ("paid", "partially_refunded")


class Supporter(models.Model):
    """A donor of a campaign, with the counted gifts and their net sum: how distinct donors are counted."""

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="supporters")
    donor = models.ForeignKey(Donor, models.PROTECT, related_name="supports")
    count = models.IntegerField(default=0)
    total_minor = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="supporter_once_per_campaign", fields=["campaign", "donor"]),
            models.CheckConstraint(name="supporter_count_not_negative", condition=Q(count__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.donor_id} of {self.campaign_id}: {self.count}"


class Receipt(models.Model):
    """The mail that confirms a gift: one row per donation, claimed before it is sent, so that no mail goes twice."""

    donation = models.OneToOneField(Donation, models.CASCADE, primary_key=True, related_name="receipt")
    claimed_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=1)
    last_error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        permissions = [("resend_receipt", "Can send receipts again")]
        indexes = [models.Index(name="receipt_unsent", fields=["claimed_at"], condition=Q(sent_at=None))]
        constraints = [
            models.CheckConstraint(name="receipt_sent_after_claim", condition=Q(sent_at=None) | Q(sent_at__gte=F("claimed_at")))
        ]

    def __str__(self) -> str:
        return f"receipt of {self.donation_id}"
