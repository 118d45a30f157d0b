"""What came in, went back and was started, per day and currency: the sums behind the front page.

Each sum reads a window of days by an index. Days before yesterday hardly change any more, so that their sums are kept
for an hour; today and yesterday are summed anew every minute. What the page costs is thus bounded by two days' gifts and
top-ups, not by how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, F, Max, Sum
from django.db.models.functions import TruncDate, TruncHour
from django.utils import timezone

from conventions.kept import kept
from donations.models import Donation
from payments.models import Dispute, Refund, StripeEvent
from wallets.statistics import TopUpDay, midnight, over_all_organizations

KEPT_S = 60
SETTLED_KEPT_S = 3600
HOURS = 24
WINDOWS = (30, 90)


@dataclass
class Sums:
    """How many and how much, by day and currency; counters of minor units, so that two windows simply add up."""

    count: Counter[tuple[date, str]] = field(default_factory=Counter)
    minor: Counter[tuple[date, str]] = field(default_factory=Counter)

    def of(self, currency: str, days: Iterable[date]) -> tuple[int, int]:
        """Count and minor units of a currency over some days."""
        chosen = list(days)
        return sum(self.count[day, currency] for day in chosen), sum(self.minor[day, currency] for day in chosen)


@dataclass
class Window:
    raised: Sums = field(default_factory=Sums)
    refunded: Sums = field(default_factory=Sums)
    disputed: Sums = field(default_factory=Sums)
    started: Counter[date] = field(default_factory=Counter)
    of_them_paid: Counter[date] = field(default_factory=Counter)
    by_campaign: Counter[tuple[str, str]] = field(default_factory=Counter)  # (currency, campaign): minor units
    topped_up: dict[tuple[date, str], TopUpDay] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Figures:
    days: list[date]  # the oldest first, today last
    window: Window
    delays: dict[datetime, tuple[int, timedelta, timedelta]]  # hour: webhooks, average delay, longest
    at: datetime

    @property
    def currencies(self) -> list[str]:
        """Those in which gifts came, the most gifts first."""
        gifts: Counter[str] = Counter()
        for (_, currency), number in self.window.raised.count.items():
            gifts[currency] += number
        return _the_most_first(gifts)

    @property
    def currencies_of_wallets(self) -> list[str]:
        """Those in which wallets were topped up, or tried to be, the most top-ups first."""
        top_ups: Counter[str] = Counter()
        for (_, currency), day in self.window.topped_up.items():
            top_ups[currency] += day.attempts
        return _the_most_first(top_ups)

    def topped_up(self, currency: str) -> dict[date, TopUpDay]:
        return {day: told for (day, one), told in self.window.topped_up.items() if one == currency}


def _the_most_first(currencies: Counter[str]) -> list[str]:
    return [currency for currency, _ in sorted(currencies.items(), key=lambda item: (-item[1], item[0]))]


def figures(length: int) -> Figures:
    """The last `length` days in UTC, today among them; at most a minute old."""
    now = timezone.now()
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=n) for n in range(length - 1, -1, -1)]
    yesterday = days[-2]
    settled = kept(f"figures:{days[0]}:{yesterday}", SETTLED_KEPT_S, lambda: _sum(days[0], yesterday))
    fresh = kept(f"figures:{yesterday}", KEPT_S, lambda: (_sum(yesterday, today + timedelta(days=1)), _delays(now), now))
    recent, delays, at = fresh
    return Figures(days=days, window=_together(settled, recent), delays=delays, at=at)


def _together(first: Window, second: Window) -> Window:
    def added(one: Sums, other: Sums) -> Sums:
        return Sums(one.count + other.count, one.minor + other.minor)

    return Window(
        added(first.raised, second.raised),
        added(first.refunded, second.refunded),
        added(first.disputed, second.disputed),
        first.started + second.started,
        first.of_them_paid + second.of_them_paid,
        first.by_campaign + second.by_campaign,
        first.topped_up | second.topped_up,  # of different days
    )


def _sum(since: date, until: date) -> Window:
    """From the start of `since` to the start of `until`, in eight queries."""
    between = (midnight(since), midnight(until))
    window = Window(topped_up=over_all_organizations(since, until))
    paid = Donation.objects.filter(paid_at__gte=between[0], paid_at__lt=between[1])
    window.raised = _by_day(paid, "paid_at")
    for currency, campaign, minor in _rows(paid, ("currency", "campaign"), Sum("amount_minor")):
        window.by_campaign[currency, campaign] += minor
    # Of gifts; what is told of wallets knows its own refunds.
    of_gifts = {"payment__purpose": "donation"}
    went_back = Refund.objects.filter(status__in=["pending", "succeeded"], stripe_id__isnull=False, **of_gifts)
    window.refunded = _by_day(went_back.filter(created_at__gte=between[0], created_at__lt=between[1]), "created_at")
    disputes = Dispute.objects.filter(opened_at__gte=between[0], opened_at__lt=between[1], **of_gifts)
    window.disputed = _by_day(disputes, "opened_at")
    started = Donation.objects.filter(created_at__gte=between[0], created_at__lt=between[1])
    by_day = started.order_by().values_list(TruncDate("created_at", tzinfo=UTC))
    for day, number, paid_of_them in by_day.annotate(number=Count("pk"), paid=Count("paid_at")):
        window.started[day] += number
        window.of_them_paid[day] += paid_of_them
    return window


def _by_day(rows: Any, column: str) -> Sums:
    sums = Sums()
    for day, currency, minor, number in _rows(rows, (TruncDate(column, tzinfo=UTC), "currency"), Sum("amount_minor"), Count("*")):
        sums.count[day, currency] += number
        sums.minor[day, currency] += minor
    return sums


def _rows(rows: Any, by: tuple[Any, ...], *sums: Any) -> Iterator[Any]:
    """Groups of `rows` in one query: the values they are grouped by, then their sums."""
    named = {f"sum_{number}": one for number, one in enumerate(sums)}
    return iter(rows.order_by().values_list(*by).annotate(**named))


def _delays(now: datetime) -> dict[datetime, tuple[int, timedelta, timedelta]]:
    """How long Stripe's webhooks took to arrive, by hour, over the last day. (Stripe tells whole seconds.)"""
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    came = StripeEvent.objects.filter(received_at__gte=since, source=StripeEvent.Source.WEBHOOK)
    took = F("received_at") - F("created_at")
    by_hour = came.order_by().values_list(TruncHour("received_at", tzinfo=UTC))
    found = by_hour.annotate(number=Count("pk"), average=Avg(took), longest=Max(took))
    return {hour: (number, average, longest) for hour, number, average, longest in found}
