"""A campaign as the API shows it, and as staff write it."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any

from rest_framework import serializers

from campaigns.models import Campaign, tallied
from conventions.serializers import PersonsTextField, StrictSerializer
from payments.money import Money, check_currency


def progress_percent(net_minor: int, goal_minor: int | None) -> str | None:
    """ "25.0"; may exceed 100. None where there is no goal. Rounded down: 100.0 means reached."""
    if not goal_minor:
        return None
    share = Decimal(max(net_minor, 0) * 100) / Decimal(goal_minor)
    return str(share.quantize(Decimal("0.1"), rounding=ROUND_DOWN))


class CampaignSerializer(serializers.Serializer[Any]):
    """Reads campaigns annotated by `with_totals`. Amounts are decimal strings in major units."""

    id = serializers.CharField()
    title = serializers.CharField()
    slug = serializers.CharField()
    summary = serializers.CharField()
    story = serializers.CharField()
    image_url = serializers.CharField(allow_null=True)
    goal_amount = serializers.CharField(allow_null=True)
    current_amount = serializers.CharField()
    currency = serializers.CharField()
    progress_percent = serializers.CharField(allow_null=True)
    donor_count = serializers.IntegerField()
    donation_count = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Campaign.State.choices)
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    last_donation_at = serializers.DateTimeField(allow_null=True)
    minimum_amount = serializers.CharField()

    def to_representation(self, instance: Campaign) -> dict[str, Any]:
        totals = tallied(instance)
        net_minor = totals["raised_minor"] - totals["refunded_minor"] - totals["disputed_minor"]
        shown = {
            "id": instance.pk,
            "title": instance.title,
            "slug": instance.slug,
            "summary": instance.summary,
            "story": instance.story,
            "image_url": instance.image_url or None,
            "goal_amount": str(instance.goal) if instance.goal else None,
            "current_amount": str(Money(net_minor, instance.currency)),
            "currency": instance.currency.upper(),
            "progress_percent": progress_percent(net_minor, instance.goal_minor),
            "donor_count": totals["donors"],
            "donation_count": totals["donations"],
            "state": instance.state,
            "starts_at": instance.starts_at,
            "ends_at": instance.ends_at,
            "last_donation_at": instance.total_last_donation_at,  # type: ignore[attr-defined]
            "minimum_amount": str(Money(instance.minimum_minor, instance.currency)),
        }
        time = serializers.DateTimeField()
        return shown | {n: v and time.to_representation(v) for n, v in shown.items() if n.endswith("_at")}


class CampaignWriteSerializer(StrictSerializer):
    """What staff may set. The currency is set once."""

    title = PersonsTextField(max_length=200, allow_blank=False)
    slug = serializers.SlugField(max_length=100, required=False)
    summary = PersonsTextField(max_length=300, required=False)
    story = PersonsTextField(max_length=20_000, required=False, paragraphs=True)
    image_url = serializers.URLField(max_length=500, required=False, allow_blank=True)
    goal_amount = serializers.CharField(max_length=20, required=False, allow_null=True)
    minimum_amount = serializers.CharField(max_length=20, required=False)
    currency = serializers.CharField(max_length=3, required=False)
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)
    state = serializers.ChoiceField(choices=Campaign.State.choices, required=False)

    def validate_currency(self, value: str) -> str:
        if self.instance is not None:
            raise serializers.ValidationError("A campaign's currency cannot be changed.", code="currency_fixed")
        return check_currency(value)


class ProofSerializer(serializers.Serializer[Any]):
    """`proved` says that the transfers' net is the total the campaign shows."""

    campaign_id = serializers.CharField()
    currency = serializers.CharField()
    gross = serializers.CharField()
    refunds = serializers.CharField()
    disputes = serializers.CharField()
    net = serializers.CharField()
    current_amount = serializers.CharField()
    transfers = serializers.IntegerField()
    proved = serializers.BooleanField()
