"""Payments per day, from the database's view."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import Organization
from conventions.errors import InvalidInput
from payments.money import Money
from wallets.models import PaymentStatistic

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
