"""Who gave publicly, and how much: the sponsors page.

Only gifts that the wall shows with a name count. A gift's name comes through `donations.wall.public_view`, so that
nothing is here that the wall would not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum

from campaigns.models import Campaign
from conventions.kept import kept
from donations.models import SHOWN, Donation, Donor
from donations.wall import public_view
from payments.money import Money, exponent
from website.presets import STEPS, UNITS_PER_STEP, whole

MOST_SPONSORS = 960
PER_PAGE = 48
KEPT_S = 60  # adding up every public gift is the one thing here whose cost grows with their number
LEVELS = (("Platinum", 10), ("Gold", 5), ("Silver", 1), ("Bronze", 0))  # in hundreds of dollars, or about as much


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    name: str
    least: Money

    @property
    def label(self) -> str:
        return f"{whole(self.least)} and more" if self.least.amount_minor else "Every gift counts"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sponsor:
    name: str
    total: Money
    gifts: int
    level: Level


def public_gifts() -> QuerySet[Donation]:
    """Shown on a wall, with a name."""
    shown = Donation.objects.filter(state__in=SHOWN, anonymous=False, donor__isnull=False)
    return shown.exclude(display_name="").exclude(campaign__state=Campaign.State.DRAFT)


def currencies() -> list[str]:
    """Those in which something was given publicly."""
    return kept(
        "sponsors:currencies",
        KEPT_S,
        lambda: sorted(set(public_gifts().order_by().values_list("currency", flat=True).distinct())),
    )


def levels(currency: str) -> list[Level]:
    hundred = STEPS[-1] * UNITS_PER_STEP.get(currency, 1) * 10 ** exponent(currency)
    return [Level(name=name, least=Money(times * hundred, currency)) for name, times in LEVELS]


def ranking(currency: str) -> list[tuple[str, int, int]]:
    """At most MOST_SPONSORS of (donor id, net minor units, gifts), the largest first; up to a minute old."""
    return kept(f"sponsors:{currency}", KEPT_S, lambda: list(_ranked(currency)))


def sponsors(rows: Sequence[tuple[str, int, int]], currency: str) -> list[Sponsor]:
    """One page of the ranking with names, in two queries. Whoever has no public gift any more is left out."""
    latest = public_gifts().filter(donor=OuterRef("pk"), currency=currency).order_by("-paid_at", "-pk").values("pk")[:1]
    newest = Donor.objects.filter(pk__in=[row[0] for row in rows]).annotate(newest=Subquery(latest)).values("newest")
    gifts = public_gifts().filter(pk__in=[row["newest"] for row in newest if row["newest"]]).select_related("payment")
    names = {gift.donor_id: public_view(gift).display_name for gift in gifts}
    ladder = levels(currency)
    return [
        Sponsor(name=names[donor], total=Money(total, currency), gifts=count, level=_level(total, ladder))
        for donor, total, count in rows
        if donor in names
    ]


def _ranked(currency: str) -> QuerySet[Donation, tuple[str, int, int]]:
    net = Sum(F("amount_minor") - F("payment__refunded_minor"))
    by_donor = public_gifts().filter(currency=currency).order_by().values("donor").annotate(net=net, gifts=Count("pk"))
    rows = by_donor.filter(net__gt=0).order_by("-net", "donor").values_list("donor", "net", "gifts")
    return rows[:MOST_SPONSORS]


def _level(total_minor: int, ladder: Sequence[Level]) -> Level:
    return next(level for level in ladder if total_minor >= level.least.amount_minor)
