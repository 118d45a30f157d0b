"""What a page shows of a campaign: totals as people read them, the thermometer, the drawn cover."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from django.http import Http404
from django.http.request import HttpRequest

from campaigns.models import Campaign, tallied
from campaigns.serializers import progress_percent
from campaigns.views import find_campaign
from conventions.errors import NotFound
from payments.money import Money


@dataclass(frozen=True, kw_only=True, slots=True)
class Thermometer:
    """Percents of the bar's width: how far it is filled, and where the goal is (inside the bar once exceeded)."""

    percent: str
    filled: str
    goal_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A campaign and its totals, ready for a template."""

    campaign: Campaign
    raised: Money
    donors: int
    donations: int
    thermometer: Thermometer | None
    hue: int
    second_hue: int


def show(campaign: Campaign) -> Shown:
    """Needs a campaign with totals."""
    totals = tallied(campaign)
    net_minor = totals["raised_minor"] - totals["refunded_minor"] - totals["disputed_minor"]
    hue = hashlib.sha256(campaign.pk.encode()).digest()[0] * 360 // 256
    return Shown(
        campaign=campaign,
        raised=Money(net_minor, campaign.currency),
        donors=totals["donors"],
        donations=totals["donations"],
        thermometer=thermometer(progress_percent(net_minor, campaign.goal_minor)),
        hue=hue,
        second_hue=(hue + 50) % 360,
    )


def thermometer(percent: str | None) -> Thermometer | None:
    if percent is None:
        return None
    share = Decimal(percent)
    goal_at = Decimal(100) if share <= 100 else Decimal(10_000) / share
    return Thermometer(percent=percent.removesuffix(".0"), filled=f"{min(share, Decimal(100)):.1f}", goal_at=f"{goal_at:.1f}")


def campaign_or_404(request: HttpRequest, id_or_slug: str) -> Campaign:
    """With totals; a draft only for staff who may see it."""
    try:
        return find_campaign(id_or_slug, request.user)
    except NotFound as error:
        raise Http404(error.message) from error
