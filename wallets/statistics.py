"""Top-ups per day: of one organization from the database's view, of all together by the same rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Aggregate, Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from accounts.models import Organization
from conventions.errors import InvalidInput
from payments.models import Payment, Refund
from payments.money import Money
from wallets.models import PaymentStatistic, Wallet

DAYS_BY_DEFAULT, MOST_DAYS = 30, 366
DAY = timedelta(days=1)


def statistics_of(organization: Organization, *, since: date | None, until: date | None) -> dict[str, Any]:
    """The days from `since` to `until`, both included, in UTC; by default the last 30. Raises InvalidInput."""
    until = until or timezone.now().date()
    if since is None:
        since = max(until, date.min + DAYS_BY_DEFAULT * DAY) - (DAYS_BY_DEFAULT - 1) * DAY
    if not DAY <= until - since + DAY <= MOST_DAYS * DAY:
        raise InvalidInput(f"Ask for 1 to {MOST_DAYS} days.", field="since", code="invalid_period")
    rows = PaymentStatistic.objects.filter(organization=organization, day__range=(since, until)).order_by("-day", "currency")
    return {
        "organization_id": organization.pk,
        "since": since,
        "until": until,
        "statistics": [_shown(row) for row in rows],
    }


def _shown(row: PaymentStatistic) -> dict[str, Any]:
    return {
        "day": row.day,
        "currency": row.currency.upper(),
        "attempts": row.attempts,
        "paid": row.paid,
        "failed": row.failed,
        "conversion": percent(row.conversion_per_mille),
        "volume": str(Money(row.volume_minor, row.currency)),
        "refunded": str(Money(row.refunded_minor, row.currency)),
    }


def percent(per_mille: int | None) -> str | None:
    """`"66.7"`; null where nothing was tried."""
    return None if per_mille is None else f"{per_mille // 10}.{per_mille % 10}"


@dataclass
class TopUpDay:
    """One day (UTC) in one currency. Attempts, and what became of them by now, on the day they were begun; money, in minor
    units, on the day it moved."""

    attempts: int = 0
    paid: int = 0
    failed: int = 0
    volume_minor: int = 0
    refunded_minor: int = 0


def of_wallet(wallet: Wallet, since: date, until: date) -> dict[date, TopUpDay]:
    """Both days included; days on which nothing happened are left out. One query of the view."""
    rows = PaymentStatistic.objects.filter(
        organization=wallet.organization_id, currency=wallet.currency, day__range=(since, until)
    ).order_by("day")
    return {row.day: TopUpDay(row.attempts, row.paid, row.failed, row.volume_minor, row.refunded_minor) for row in rows}


def over_all_organizations(since: date, until: date) -> dict[tuple[date, str], TopUpDay]:
    """By day and currency, from the start of `since` to the start of `until`, in three queries.

    What the view tells, summed over organizations. Not read from it: its days are computed from times, so that a window of
    days over all organizations would read every top-up there ever was; times have indexes.
    """
    found: defaultdict[tuple[date, str], TopUpDay] = defaultdict(TopUpDay)
    top_ups = Payment.objects.filter(purpose="wallet", organization__isnull=False)
    became = {"attempts": Count("pk"), "paid": Count("paid_at"), "failed": Count("pk", filter=Q(status="failed"))}
    for day, currency, attempts, paid, failed in _by_day(top_ups, "created_at", "currency", since, until, **became):
        begun = found[day, currency]
        begun.attempts, begun.paid, begun.failed = attempts, paid, failed
    volume = {"volume_minor": Sum("amount_minor")}
    for day, currency, volume_minor in _by_day(top_ups, "paid_at", "currency", since, until, **volume):
        found[day, currency].volume_minor = volume_minor
    refunds = Refund.objects.filter(
        booked=True,
        status__in=["pending", "succeeded"],
        payment__purpose="wallet",
        payment__organization__isnull=False,
        payment__paid_at__isnull=False,
    )
    back = {"back_minor": Sum("amount_minor")}
    for day, currency, refunded_minor in _by_day(refunds, "created_at", "payment__currency", since, until, **back):
        found[day, currency].refunded_minor = refunded_minor
    return dict(found)


def _by_day(rows: QuerySet[Any], at: str, currency: str, since: date, until: date, **sums: Aggregate) -> Iterator[Any]:
    """Day, currency and the sums, in one query."""
    within = rows.filter(**{f"{at}__gte": midnight(since), f"{at}__lt": midnight(until)}).order_by()
    return iter(within.values_list(TruncDate(at, tzinfo=UTC), currency).annotate(**sums))


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
