"""Proving the donations' part of the books: tally = ledger = donations, supporters = distinct donors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, F, Max, Q, Sum

from campaigns.models import TOTALS, Campaign, CampaignTally
from conventions.chunks import in_chunks
from donations.models import COUNTED, Donation, Supporter
from payments import ledger
from payments.states import product_state

CHUNK = 1000


def check_books() -> Iterator[str]:
    """A sentence for every campaign, donation or supporter that breaks an invariant."""
    yield from _donations_follow_payments()
    ids = Campaign.objects.order_by("pk").values_list("pk", flat=True)
    chunk: list[str] = []
    for pk in ids.iterator(chunk_size=CHUNK):
        chunk.append(pk)
        if len(chunk) == CHUNK:
            yield from _campaigns_add_up(chunk)
            chunk = []
    yield from _campaigns_add_up(chunk)


def _donations_follow_payments() -> Iterator[str]:
    for chunk in in_chunks(Donation.objects.select_related("payment"), CHUNK):
        for donation in chunk:
            yield from _follows_its_payment(donation)


def _follows_its_payment(donation: Donation) -> Iterator[str]:
    payment = donation.payment
    if (donation.amount_minor, donation.currency) != (payment.amount_minor, payment.currency):
        yield f"{donation.pk} is {donation.amount_minor} {donation.currency}, its payment {payment.pk} is not"
    if payment.subject_id != donation.pk:
        yield f"{payment.pk} names {payment.subject_id or 'nothing'} as its subject, not {donation.pk}"
    if donation.state != product_state(payment):
        yield f"{donation.pk} is {donation.state}, but its payment {payment.pk} makes it {product_state(payment)}"
    if donation.paid_at != payment.paid_at:
        yield f"{donation.pk} was paid at {donation.paid_at}, but its payment {payment.pk} at {payment.paid_at}"


def _campaigns_add_up(chunk: list[str]) -> Iterator[str]:
    campaigns = {c.pk: c for c in Campaign.objects.filter(pk__in=chunk)}
    tallies: dict[str, Any] = {
        row["campaign"]: row
        for row in CampaignTally.objects.filter(campaign__in=chunk)
        .values("campaign")
        .annotate(**{f"sum_{name}": Sum(name) for name in TOTALS}, latest=Max("last_donation_at"))
    }
    gifts: dict[str, Any] = {row["campaign"]: row for row in _gifts(chunk)}
    supporters = dict(Supporter.objects.filter(campaign__in=chunk, count__gt=0).values_list("campaign").annotate(n=Count("pk")))
    booked = ledger.balances([campaign.account for campaign in campaigns.values()])
    for pk, campaign in sorted(campaigns.items()):
        tally = {name: tallies.get(pk, {}).get(f"sum_{name}", 0) for name in TOTALS}
        counted = {name: gifts.get(pk, {}).get(f"sum_{name}") or 0 for name in TOTALS}
        for name in TOTALS:
            if tally[name] != counted[name]:
                yield f"{pk}: the tally says {name} = {tally[name]}, its donations say {counted[name]}"
        latest, last_paid = tallies.get(pk, {}).get("latest"), gifts.get(pk, {}).get("latest")
        if latest != last_paid:
            yield f"{pk}: the tally says that the last gift was made at {latest}, its donations say {last_paid}"
        net = counted["raised_minor"] - counted["refunded_minor"] - counted["disputed_minor"]
        if booked.get(campaign.account, 0) != net:
            yield f"{pk}: the ledger says {booked.get(campaign.account, 0)}, its donations say {net}"
        if supporters.get(pk, 0) != counted["donors"]:
            yield f"{pk}: {supporters.get(pk, 0)} supporters, but {counted['donors']} distinct donors"
    yield from _supporters_add_up(chunk)


def _gifts(chunk: list[str]) -> Iterator[Any]:
    paid = Q(payment__paid_at__isnull=False)
    counted = Q(state__in=COUNTED)
    yield from (
        Donation.objects.filter(campaign__in=chunk)
        .values("campaign")
        .annotate(
            sum_raised_minor=Sum("amount_minor", filter=paid),
            sum_refunded_minor=Sum("payment__refunded_minor", filter=paid),
            sum_disputed_minor=Sum("payment__disputed_minor", filter=paid),
            sum_donations=Count("pk", filter=counted),
            sum_donors=Count("donor", filter=counted, distinct=True),
            latest=Max("created_at", filter=paid),
        )
    )


def _supporters_add_up(chunk: list[str]) -> Iterator[str]:
    known = {(s.campaign_id, s.donor_id): (s.count, s.total_minor) for s in Supporter.objects.filter(campaign__in=chunk)}
    gifts = (
        Donation.objects.filter(campaign__in=chunk, donor__isnull=False, payment__paid_at__isnull=False)
        .values_list("campaign", "donor")
        .annotate(
            n=Count("pk", filter=Q(state__in=COUNTED)),
            net=Sum(F("amount_minor") - F("payment__refunded_minor") - F("payment__disputed_minor")),
        )
    )
    told = {(campaign, donor): (n, net) for campaign, donor, n, net in gifts}
    for key in sorted(known.keys() | told.keys()):
        if known.get(key, (0, 0)) != told.get(key, (0, 0)):
            yield f"supporter {key[1]} of {key[0]} has {known.get(key, (0, 0))}, the donations say {told.get(key, (0, 0))}"
