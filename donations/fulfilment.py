"""What a paid, refunded or disputed payment means for donations: the protocol of `payments.fulfilment`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from campaigns.models import Campaign, CampaignTally, tallied
from campaigns.tallying import TallyChange, adding_to_tallies
from conventions.enqueueing import enqueueing
from conventions.insert_or_add import insert_or_add
from conventions.public_ids import is_public_id, new_public_id
from conventions.rows import find_rows, run, updating
from donations import proving, receipts
from donations.models import COUNTED, Donation, Donor, Receipt, Supporter
from payments import ledger
from payments.fulfilment import Happening, PaymentChange, Subject, Total
from payments.models import LedgerAccount, Payment, Transfer
from payments.persons import ERASED_DOMAIN
from payments.states import product_state

MOST_SUBJECTS = 20


@dataclass(frozen=True)
class _Before:
    state: str
    donor_id: str | None


def settle(changes: Sequence[PaymentChange]) -> None:
    """Bring donations, donors, supporters and tallies in line with their payments; enqueue receipts."""
    by_payment = {change.payment.pk: change for change in changes}
    donations = find_rows(Donation, {"payment_id": by_payment})
    for donation in donations:
        donation.payment = by_payment[donation.payment_id].payment  # the locked row, not a second look
    before = {d.pk: _Before(d.state, d.donor_id) for d in donations}
    _name_donors(donations)
    for donation in donations:
        donation.state = product_state(donation.payment)
        donation.paid_at = donation.payment.paid_at
    new_donors = _count_supporters(donations, before, by_payment)
    tallies = _count_in_tallies(donations, before, by_payment, new_donors)
    due = [d.pk for d in donations if _receipt_is_due(d, before[d.pk])]
    run(
        updating(Donation, donations, ("state", "paid_at", "donor_id")),
        adding_to_tallies(tallies),
        enqueueing(receipts.send_receipts, due) if due else None,
    )


def _receipt_is_due(donation: Donation, before: _Before) -> bool:
    """When a gift becomes paid (were it disputed at once: in another order the mail would have gone before), or its
    donor becomes known after that."""
    if not donation.paid_at or not donation.donor_id or donation.payment.customer_email.endswith(ERASED_DOMAIN):
        return False
    return before.state in {Donation.State.PENDING, Donation.State.ABANDONED} or before.donor_id is None


def _name_donors(donations: Sequence[Donation]) -> None:
    """Give paid donations their donor, found or made by e-mail address; a name is filled in where there is none."""
    unnamed = [d for d in donations if d.donor_id is None and d.payment.paid_at and d.payment.customer_email]
    rows = {
        d.payment.customer_email: {
            "id": new_public_id("donor"),
            "email": d.payment.customer_email,
            "name": d.payment.customer_name,
            "user_id": None,
            "locale": "",
            "anonymous_by_default": False,
            "created_at": timezone.now(),
        }
        for d in unnamed
    }
    ids = dict(insert_or_add(Donor, list(rows.values()), key=["email"], fill=["name"], returning=["email", "id"]))
    for donation in unnamed:
        donation.donor_id = ids[donation.payment.customer_email]


def _net_delta(donation: Donation, change: PaymentChange) -> int:
    raised = donation.amount_minor if change.became_paid else 0
    return raised - change.refunded_delta_minor - change.disputed_delta_minor


def _count_supporters(
    donations: Sequence[Donation], before: dict[str, _Before], changes: dict[str, PaymentChange]
) -> dict[str, int]:
    """Add to supporters; returns by how much each campaign's number of distinct donors changed."""
    rows: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: {"count": 0, "total_minor": 0})
    for donation in donations:
        if donation.donor_id is None:
            continue
        was = before[donation.pk]
        row = rows[donation.campaign_id, donation.donor_id]
        counted_before = was.state in COUNTED and was.donor_id is not None
        row["count"] += (donation.state in COUNTED) - counted_before
        newly_known = was.donor_id is None
        row["total_minor"] += donation.payment.net_minor if newly_known else _net_delta(donation, changes[donation.payment_id])
    new_donors: dict[str, int] = defaultdict(int)
    newly_named = {(d.campaign_id, d.donor_id) for d in donations if d.donor_id and before[d.pk].donor_id is None}
    moved = {pair: row for pair, row in rows.items() if any(row.values()) or pair in newly_named}
    for campaign, donor, count in _add_to_supporters(moved):
        previous = count - rows[campaign, donor]["count"]
        new_donors[campaign] += (count > 0) - (previous > 0)
    return new_donors


def _add_to_supporters(rows: dict[tuple[str, str], dict[str, int]]) -> list[tuple[str, str, int]]:
    """Add to each (campaign, donor); returns the counts that result. Who only gains may be new; who loses is there,
    and could not be proposed for insertion below zero."""
    gaining = [{"campaign_id": c, "donor_id": d, **row} for (c, d), row in rows.items() if row["count"] >= 0]
    key = ["campaign_id", "donor_id"]
    after = insert_or_add(Supporter, gaining, key=key, add=["count", "total_minor"], returning=[*key, "count"])
    losing = sorted(pair for pair, row in rows.items() if row["count"] < 0)
    if losing:
        named = Q()
        for campaign, donor in losing:
            named |= Q(campaign=campaign, donor=donor)
        supporters = list(Supporter.objects.select_for_update().filter(named).order_by("campaign", "donor"))
        for supporter in supporters:
            row = rows[supporter.campaign_id, supporter.donor_id]
            supporter.count += row["count"]
            supporter.total_minor += row["total_minor"]
        Supporter.objects.bulk_update(supporters, ["count", "total_minor"], batch_size=200)
        after += [(s.campaign_id, s.donor_id, s.count) for s in supporters]
    return [(campaign, donor, count) for campaign, donor, count in after]


def _count_in_tallies(
    donations: Sequence[Donation], before: dict[str, _Before], changes: dict[str, PaymentChange], new_donors: dict[str, int]
) -> dict[str, TallyChange]:
    tallies: dict[str, TallyChange] = defaultdict(TallyChange)
    for donation in donations:
        change, tally = changes[donation.payment_id], tallies[donation.campaign_id]
        tally.totals["donations"] += (donation.state in COUNTED) - (before[donation.pk].state in COUNTED)
        tally.totals["refunded_minor"] += change.refunded_delta_minor
        tally.totals["disputed_minor"] += change.disputed_delta_minor
        if change.became_paid:
            tally.totals["raised_minor"] += donation.amount_minor
            # When the gift was made: the time of payment may still be corrected by an event that comes later.
            tally.last_donation_at = max(tally.last_donation_at or donation.created_at, donation.created_at)
    for campaign, delta in new_donors.items():
        tallies[campaign].totals["donors"] += delta
    return tallies


def adopt(payment: Payment, subject: str) -> bool:
    """A gift that came by a Payment Link whose metadata names a campaign, or that staff assign to one: its donation is
    made now."""
    campaign = Campaign.objects.filter(pk=subject, currency=payment.currency).first()
    if campaign is None:
        return False
    ledger.open_accounts([campaign.account], kind=LedgerAccount.Kind.LIABILITY)
    donation = Donation(campaign=campaign, amount_minor=payment.amount_minor, currency=payment.currency, anonymous=True)
    payment.subject_id, payment.destination_id = donation.pk, campaign.account
    payment.save()
    donation.payment = payment
    donation.save(force_insert=True)
    return True


def check_books() -> Iterable[str]:
    return proving.check_books()


def sweep() -> dict[str, int]:
    return {"receipts": receipts.send_lost()}


def rows_of(payments: Collection[str]) -> list[QuerySet[Any]]:
    donations = Donation.objects.filter(payment__in=payments)
    campaigns, donors = donations.values("campaign"), donations.values("donor")
    return [
        donations,
        Donor.objects.filter(pk__in=donors),
        Supporter.objects.filter(campaign__in=campaigns, donor__in=donors),
        CampaignTally.objects.filter(campaign__in=campaigns),
    ]


def explain(subject_id: str) -> str:
    donation = Donation.objects.select_related("campaign").get(pk=subject_id)
    return f"{donation.money.display()} to “{donation.campaign.title}” ({donation.campaign_id})"


def totals_of(name: str) -> Sequence[Total]:
    """A campaign by id or slug, with the amount that its page shows."""
    campaign = Campaign.objects.with_totals().filter(Q(pk=name) | Q(slug=name)).first()
    if campaign is None:
        return ()
    sums = tallied(campaign)
    net = sums["raised_minor"] - sums["refunded_minor"] - sums["disputed_minor"]
    return [Total(account=campaign.account, title=f"“{campaign.title}” ({campaign.pk})", shown_minor=net)]


def acted(transfers: Sequence[Transfer]) -> Mapping[str, str]:
    """Nothing more: a gift's money is moved by its donor, its bank, Stripe, or by staff whom payments knows."""
    return {}


def find_subjects(words: str) -> Sequence[Subject]:
    """Campaigns by whole id, or by words of their title or address."""
    named = Q(pk=words) if is_public_id(words, "campaign") else Q(title__icontains=words) | Q(slug__icontains=words)
    campaigns = Campaign.objects.filter(named).order_by("-created_at", "-pk")[:MOST_SUBJECTS]
    return [Subject(id=campaign.pk, title=campaign.title, currency=campaign.currency) for campaign in campaigns]


def happened(subject_id: str) -> Sequence[Happening]:
    """The receipt: when it was last sent, or why it was not."""
    receipt = Receipt.objects.filter(pk=subject_id).first()
    if receipt is None:
        return []
    tries = f"try {receipt.attempts}" if receipt.attempts > 1 else ""
    if receipt.sent_at:
        return [Happening(at=receipt.sent_at, what="Receipt mailed", detail=tries)]
    detail = receipt.last_error or "Claimed; whether the mail went is not known."
    return [Happening(at=receipt.claimed_at, what="Receipt not mailed", detail=detail, went_well=False)]
