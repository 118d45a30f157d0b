"""Changing a campaign's tally, and proving it from the books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Q, Sum

from campaigns.models import TOTALS, Campaign, CampaignTally, random_slot
from conventions.insert_or_add import inserting_or_adding
from conventions.rows import Statement
from payments.models import Transfer


@dataclass
class TallyChange:
    """How much to add to a campaign's totals (minor units and counts; negative takes away)."""

    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOTALS, 0))
    last_donation_at: datetime | None = None

    def __bool__(self) -> bool:
        return any(self.totals.values()) or self.last_donation_at is not None


def adding_to_tallies(changes: Mapping[str, TallyChange]) -> Statement | None:
    """The statement that adds to one row per campaign, in a slot chosen at random."""
    rows = [
        {"campaign_id": pk, "slot": random_slot(), **change.totals, "last_donation_at": change.last_donation_at}
        for pk, change in sorted(changes.items())
        if change
    ]
    return inserting_or_adding(CampaignTally, rows, key=["campaign_id", "slot"], add=TOTALS, latest=["last_donation_at"])


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A campaign's money as its transfers say, minor units."""

    gross_minor: int
    refunds_minor: int
    disputes_minor: int
    transfers: int

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.refunds_minor - self.disputes_minor


def prove(campaign: Campaign) -> Proof:
    """Sum the transfers of the campaign's account."""
    account = campaign.account

    def total(side: str, *prefixes: str) -> Sum:
        which = Q()
        for prefix in prefixes:
            which |= Q(key__startswith=prefix)
        return Sum("amount_minor", filter=Q(**{side: account}) & which, default=0)

    sums = Transfer.objects.filter(Q(debit=account) | Q(credit=account)).aggregate(
        refunds=total("debit", "refund:", "assigned:refund:"),
        refunds_undone=total("credit", "refund-reversal:", "assigned:refund-reversal:"),
        disputes=total("debit", "dispute:", "assigned:dispute:"),
        disputes_undone=total("credit", "dispute:", "assigned:dispute:"),
        credits=Sum("amount_minor", filter=Q(credit=account), default=0),
        debits=Sum("amount_minor", filter=Q(debit=account), default=0),
        transfers=Count("pk"),
    )
    refunds = sums["refunds"] - sums["refunds_undone"]
    disputes = sums["disputes"] - sums["disputes_undone"]
    return Proof(
        gross_minor=sums["credits"] - sums["debits"] + refunds + disputes,
        refunds_minor=refunds,
        disputes_minor=disputes,
        transfers=sums["transfers"],
    )
