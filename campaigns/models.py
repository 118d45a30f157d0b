"""Campaign, and its tally: counters kept in sixteen rows so that a viral campaign has no single hot one."""

from __future__ import annotations

import random
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from conventions.public_ids import PublicIdField
from payments.money import Money

SLOTS = 16


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def public(self) -> CampaignQuerySet:
        """What strangers may see: everything but drafts."""
        return self.exclude(state=Campaign.State.DRAFT)

    def with_totals(self) -> CampaignQuerySet:
        """Each campaign with its tally, in the same query."""
        sums = {name: Coalesce(Sum(f"tallies__{name}"), 0) for name in TOTALS}
        return self.annotate(
            **{f"total_{name}": value for name, value in sums.items()},
            total_last_donation_at=Max("tallies__last_donation_at"),
        )

    def general_fund(self) -> Campaign:
        """The campaign of gifts that name none; made on first need in the default currency."""
        fund = self.filter(is_general_fund=True).first()
        if fund is None:
            fund = Campaign(
                title="General fund",
                summary="Gifts for where they are needed most.",
                currency=settings.DEFAULT_CURRENCY,
                state=Campaign.State.LIVE,
                is_general_fund=True,
            )
            taken = Campaign.objects.filter(slug="general-fund").exists()
            fund.slug = fund.pk if taken else "general-fund"
            # Of two at once, one inserts.
            self.bulk_create([fund], ignore_conflicts=True)
            fund = self.get(is_general_fund=True)
        return fund


class Campaign(models.Model):
    """Raises money in one currency; a total over several would prove nothing."""

    class State(models.TextChoices):
        DRAFT = "draft"
        LIVE = "live"
        PAUSED = "paused"
        ENDED = "ended"

    id = PublicIdField(prefix="campaign")
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=100, unique=True)
    summary = models.CharField(max_length=300, blank=True, default="")
    story = models.TextField(max_length=20_000, blank=True, default="")
    image_url = models.URLField(max_length=500, blank=True, default="")
    goal_minor = models.BigIntegerField(null=True, blank=True, help_text="In minor units (cents); empty: no goal.")
    minimum_minor = models.BigIntegerField(
        default=0, help_text="Smallest gift in minor units; Stripe's own minimum holds besides."
    )
    currency = models.CharField(max_length=3)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=6, choices=State, default=State.DRAFT)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="campaigns")
    is_general_fund = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(name="campaign_newest", fields=["-created_at", "-id"])]
        constraints = [
            models.UniqueConstraint(
                name="campaign_one_general_fund", fields=["is_general_fund"], condition=Q(is_general_fund=True)
            ),
            models.CheckConstraint(name="campaign_goal_positive", condition=Q(goal_minor=None) | Q(goal_minor__gt=0)),
            models.CheckConstraint(name="campaign_minimum_not_negative", condition=Q(minimum_minor__gte=0)),
            models.CheckConstraint(name="campaign_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
            models.CheckConstraint(name="campaign_state_known", condition=Q(state__in=["draft", "live", "paused", "ended"])),
            models.CheckConstraint(
                name="campaign_ends_after_start",
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def account(self) -> str:
        """The code of the ledger account that holds its money."""
        return f"campaign:{self.pk}:{self.currency}"

    @property
    def takes_gifts(self) -> bool:
        now = timezone.now()
        started = self.starts_at is None or self.starts_at <= now
        over = self.ends_at is not None and self.ends_at <= now
        return self.state == self.State.LIVE and started and not over

    @property
    def goal(self) -> Money | None:
        return Money(self.goal_minor, self.currency) if self.goal_minor else None


class CampaignTally(models.Model):
    """One of sixteen parts of a campaign's counters; their sum is the campaign's. A part alone means nothing, and
    may be negative where a refund was counted in another slot than its gift."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="tallies")
    slot = models.PositiveSmallIntegerField()
    raised_minor = models.BigIntegerField(default=0)
    refunded_minor = models.BigIntegerField(default=0)
    disputed_minor = models.BigIntegerField(default=0)
    donations = models.BigIntegerField(default=0)
    donors = models.BigIntegerField(default=0)
    last_donation_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="campaigntally_slot_once", fields=["campaign", "slot"]),
            models.CheckConstraint(name="campaigntally_slot_in_range", condition=Q(slot__lt=SLOTS)),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id} slot {self.slot}"


TOTALS = ("raised_minor", "refunded_minor", "disputed_minor", "donations", "donors")


def random_slot() -> int:
    return random.randrange(SLOTS)  # noqa: S311  spreads load; nothing depends on it being unguessable


def tallied(campaign: Any) -> dict[str, int]:
    """The totals that `with_totals` annotated."""
    return {name: getattr(campaign, f"total_{name}") for name in TOTALS}
