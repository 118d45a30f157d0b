"""Stripe's own books beside ours: balance transactions bring fees, conversions and payouts, which nothing else tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from payments import stripe_gateway
from payments.bookkeeping import balance_postings_due, moves_its_source
from payments.facts import OBJECTS
from payments.ledger import open_accounts, post
from payments.models import BalanceTransaction, Payout
from payments.money import Money
from payments.reconciliation.comparing import Objects, settle, shown, word
from payments.reconciliation.differences import Difference, Json, each_alone
from payments.sightings import id_of, moment

AMOUNTS = ("amount_minor", "fee_minor", "net_minor", "currency", "source_amount_minor", "source_currency")
ARRIVED = frozenset({"paid", "failed", "canceled"})  # a payout that will not change what it pays out any more


class BalanceTransactions:
    """Each is recorded and posted, and what it says of a charge, refund or dispute compared, however old that is: a
    refund of last month may have failed today."""

    name, source = "balance transactions", "balance_transactions"

    def __init__(self) -> None:
        self.objects = Objects("sources")

    def filters(self) -> dict[str, Any]:
        return {}

    def look(self, page: Sequence[Json]) -> list[Difference]:
        by_source = {source["id"]: thing for thing in page if (source := _source_object(thing))}
        sources = [source for thing in page if (source := _source_object(thing))]
        sources = list({source["id"]: source for source in sources}.values())
        found = [
            Difference(subject=one.subject, what=one.what, remedy=one.remedy, thing=by_source[one.subject])
            for one in self.objects.look(sources)
        ]
        recorded = BalanceTransaction.objects.in_bulk([thing["id"] for thing in page])
        for thing in page:
            row, ours = row_of(thing), recorded.get(thing["id"])
            if ours is None:
                found.append(Difference(subject=row.pk, what=_unrecorded(row), remedy="record and post it", thing=thing))
            elif told := [name for name in AMOUNTS if getattr(ours, name) != getattr(row, name)]:
                what = ", ".join(f"{word(name)} is {shown(ours, name)} for us, {shown(row, name)} at Stripe" for name in told)
                found.append(Difference(subject=row.pk, what=what, remedy="", thing=thing))
        return found

    def mend(self, things: Sequence[Json]) -> dict[str, str]:
        sources = {source["id"]: source for thing in things if (source := _source_object(thing))}
        differing = {one.subject for one in self.objects.look(list(sources.values()))}
        errors = settle([source for key, source in sources.items() if key in differing])
        unique = {thing["id"]: thing for thing in things}
        return errors | each_alone(record, list(unique.values()))


class Payouts:
    """Each payout as it stands, and which balance transactions it paid out."""

    name = source = "payouts"

    def filters(self) -> dict[str, Any]:
        return {}

    def look(self, page: Sequence[Json]) -> list[Difference]:
        known = Payout.objects.in_bulk([thing["id"] for thing in page])
        return [found for thing in page if (found := self._difference(thing, known.get(thing["id"])))]

    def _difference(self, thing: Json, ours: Payout | None) -> Difference | None:
        amount = Money(thing["amount"], thing["currency"]).display()
        if ours is None:
            what = f"{amount} to the bank, {thing['status']}, is not recorded"
        elif (ours.status, ours.failure_code) != (thing["status"], thing.get("failure_code") or ""):
            what = f"{amount}: status: {ours.status} → {thing['status']} {thing.get('failure_code') or ''}".rstrip()
        elif _can_be_itemized(thing) and ours.itemized_at is None:
            what = f"{amount}: what it paid out is not known"
        else:
            return None
        return Difference(subject=thing["id"], what=what, remedy="record it", thing=thing)

    def mend(self, things: Sequence[Json]) -> dict[str, str]:
        return each_alone(self._record, things)

    def _record(self, things: Sequence[Json]) -> None:
        for thing in things:
            itemized_at = None
            if _can_be_itemized(thing):
                for page in stripe_gateway.pages("balance_transactions", payout=thing["id"]):
                    record(page, payout=thing["id"])
                itemized_at = timezone.now()
            Payout.objects.update_or_create(pk=thing["id"], defaults=_payout_columns(thing) | {"itemized_at": itemized_at})


def _can_be_itemized(thing: Json) -> bool:
    """Stripe says only of automatic payouts what they paid out (https://docs.stripe.com/payouts/reconciliation)."""
    return bool(thing["automatic"]) and thing["status"] in ARRIVED


def _payout_columns(thing: Json) -> dict[str, Any]:
    return {
        "amount_minor": thing["amount"],
        "currency": thing["currency"],
        "status": thing["status"],
        "automatic": thing["automatic"],
        "failure_code": thing.get("failure_code") or "",
        "created_at": moment(thing["created"]),
        "arrival_at": moment(thing["arrival_date"]),
    }


def _source_object(thing: Json) -> Json | None:
    """The charge, refund or dispute that a balance transaction is of, which the list brings expanded."""
    source = thing.get("source")
    return source if isinstance(source, dict) and source.get("object") in OBJECTS else None


def row_of(thing: Json) -> BalanceTransaction:
    """A balance transaction as a row, not saved."""
    source = _source_object(thing)
    moved = moves_its_source(thing["type"], thing["reporting_category"])
    converted = source is not None and moved and source["currency"] != thing["currency"]
    rate = thing.get("exchange_rate")
    return BalanceTransaction(
        id=thing["id"],
        type=thing["type"],
        category=thing["reporting_category"],
        source=id_of(thing.get("source")),
        amount_minor=thing["amount"],
        fee_minor=thing["fee"],
        net_minor=thing["net"],
        currency=thing["currency"],
        fee_details=[
            {"type": part["type"], "amount_minor": part["amount"], "currency": part["currency"], "memo": part.get("description")}
            for part in thing.get("fee_details") or []
        ],
        exchange_rate=None if rate is None else str(rate),
        source_amount_minor=_signed(source, thing["amount"]) if source and converted else None,
        source_currency=source["currency"] if source and converted else None,
        created_at=moment(thing["created"]),
        available_at=moment(thing["available_on"]),
    )


def _signed(source: Json, amount_minor: int) -> int:
    """What moved of the source, in its own currency, with the sign of the movement."""
    moved = source.get("amount_captured") or source["amount"]
    return int(moved if amount_minor >= 0 else -moved)


def record(things: Sequence[Json], *, payout: str | None = None) -> None:
    """Keep balance transactions and post what follows from them, in one transaction. Twice changes nothing."""
    rows = [row_of(thing) for thing in things]
    with transaction.atomic():
        BalanceTransaction.objects.bulk_create(rows, ignore_conflicts=True)
        postings = [posting for row in rows for posting in balance_postings_due(row)]
        open_accounts({code for posting in postings for code in (posting.debit, posting.credit)})
        if postings:
            post(postings)
        if payout:
            BalanceTransaction.objects.filter(pk__in=[row.pk for row in rows], payout=None).update(payout=payout)


def _unrecorded(row: BalanceTransaction) -> str:
    parts = [f"{row.type.replace('_', ' ')} of {row.source}" if row.source else row.type.replace("_", " ")]
    parts.append(Money(row.amount_minor, row.currency).display())
    if row.fee_minor:
        parts.append(f"fee {Money(row.fee_minor, row.currency).display()}")
    if row.source_currency:
        parts.append(f"converted at {row.exchange_rate}")
    return ", ".join(parts) + ": not recorded"
