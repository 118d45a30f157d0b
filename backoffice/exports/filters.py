"""Which rows an export holds: chosen in the admin or on the command line, kept with the export as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from campaigns.models import Campaign
from conventions.errors import InvalidInput
from donations.models import Donation
from payments.money import check_currency

# What a date is compared with. A gift started on the 31st may be paid on the 1st: books go by `paid`.
BY = {"paid": "paid_at", "made": "created_at"}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Days are UTC, both included; empty means all."""

    since: date | None = None
    until: date | None = None
    by: str = "paid"
    campaign: str = ""
    currency: str = ""
    state: str = ""

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Filters:
        days = {name: date.fromisoformat(kept[name]) if kept.get(name) else None for name in ("since", "until")}
        return cls(**{**kept, **days})

    def as_json(self) -> dict[str, Any]:
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(self).items() if value}

    def __str__(self) -> str:
        days = f"{self.by} {self.since or 'ever'} to {self.until or 'now'}" if self.since or self.until else ""
        return ", ".join(part for part in (days, self.campaign, self.currency.upper(), self.state) if part) or "all"

    def of_currency(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(currency=self.currency) if self.currency else rows

    def within(self, column: str) -> Q:
        """Rows whose `column` lies in the chosen days."""
        found = Q()
        if self.since:
            found &= Q(**{f"{column}__gte": _midnight(self.since)})
        if self.until:
            found &= Q(**{f"{column}__lt": _midnight(self.until + timedelta(days=1))})
        return found


def chosen(*, since: date | None, until: date | None, by: str, campaign: str, currency: str, state: str, kind: str) -> Filters:
    """Filters that make sense, or InvalidInput naming the field. `campaign` is an id or a slug."""
    if since and until and until < since:
        raise InvalidInput("The last day is before the first.", field="until", code="days_reversed")
    if by not in BY:
        raise InvalidInput(f"Days are of gifts {' or '.join(BY)}, not {by!r}.", field="by", code="unknown_choice")
    if state and kind != "donations":
        raise InvalidInput("Only donations are chosen by state: leave it empty.", field="state", code="unknown_choice")
    if state and state not in Donation.State.values:
        raise InvalidInput(f"A state is one of {', '.join(Donation.State.values)}.", field="state", code="unknown_choice")
    if campaign and kind in {"top_ups", "spends"}:
        raise InvalidInput("Wallets have no campaign: leave it empty.", field="campaign", code="unknown_choice")
    if campaign:
        found = Campaign.objects.filter(Q(pk=campaign) | Q(slug=campaign)).values_list("pk", flat=True).first()
        if found is None:
            raise InvalidInput(f"There is no campaign {campaign!r}.", field="campaign", code="unknown_campaign")
        campaign = found
    currency = check_currency(currency) if currency else ""
    return Filters(since=since, until=until, by=by, campaign=campaign, currency=currency, state=state)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
