"""Facts -> status, ledger, fulfilment: the one path behind webhook, redirect, poll, sweep, replay and reconcile.

`settle_events` takes a batch of events, `settle_stored` events of the inbox, `settle_objects` fetched Stripe objects.
Each locks the payments that its batch touches, merges in memory and writes set-wise, in one transaction; whoever
comes first wins and the others change nothing. Lock order: StripeEvent, Stripe's ids, Payment, Refund, Dispute, the
product's rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import OperationalError, connection, transaction

from payments import inbox
from payments.batch import Batch, Item
from payments.facts import StripeObject, from_event, from_object
from payments.inbox import Envelope, State

logger = logging.getLogger(__name__)

TRIES = 3
RETRYABLE = frozenset({"40001", "40P01"})  # PostgreSQL: serialization failure, deadlock
Result = TypeVar("Result")


@dataclass
class Settled:
    """What a batch did: the end state of each event by its id, and the payments that changed."""

    states: dict[str, str] = field(default_factory=dict)
    duplicates: int = 0
    changed: list[str] = field(default_factory=list)


def settle_events(envelopes: Sequence[Envelope], *, source: str) -> Settled:
    """Store and apply events; raises what went wrong, having changed nothing.

    One that was applied or ignored before is a duplicate; any other stored one is applied again.
    """

    def work() -> Settled:
        stored = inbox.store(envelopes, source=source)
        settled = _settle_all([e for e in envelopes if e.id in stored], stored)
        settled.duplicates = len(envelopes) - len(stored)
        return settled

    return _in_transaction(work)


def settle_stored(ids: Iterable[str], *, take_in_unmatched: bool = False) -> Settled:
    """Apply events of the inbox that are not finished; with `take_in_unmatched`, money that finds no payment is
    posted to the unmatched account instead of waiting on."""

    def work() -> Settled:
        rows = inbox.lock(ids)
        stored = {row.pk: row.state for row in rows}
        return _settle_all([inbox.envelope_of(row) for row in rows], stored, take_in_unmatched=take_in_unmatched)

    return _in_transaction(work)


def settle_objects(objects: Iterable[StripeObject], *, take_in_unmatched: bool = False) -> Settled:
    """Apply fetched Stripe objects: sessions, intents, charges, refunds, disputes."""
    sightings = [from_object(fetched) for fetched in objects]

    def work() -> Settled:
        items = [Item(sighting) for sighting in sightings]
        return _settle_and_record(items, Settled(), stored={}, take_in_unmatched=take_in_unmatched)

    return _in_transaction(work)


def _settle_all(envelopes: Sequence[Envelope], stored: Mapping[str, str], *, take_in_unmatched: bool = False) -> Settled:
    settled = Settled()
    items = []
    for envelope in envelopes:
        sighting = from_event(envelope.event)
        settled.states[envelope.id] = State.APPLIED if sighting else State.IGNORED
        if sighting:
            items.append(Item(sighting, envelope.id))
    return _settle_and_record(items, settled, stored=stored, take_in_unmatched=take_in_unmatched)


def _settle_and_record(items: list[Item], settled: Settled, *, stored: Mapping[str, str], take_in_unmatched: bool) -> Settled:
    """Apply `items` and write what became of their events, and of those that they woke."""
    if items:
        _settle(items, settled, take_in_unmatched=take_in_unmatched)
    waits_for = {item.event_id: item.waits_for for item in items if item.event_id and item.waits_for}
    inbox.record(settled.states, stored=stored, waits_for=waits_for)
    return settled


def _settle(items: list[Item], settled: Settled, *, take_in_unmatched: bool) -> None:
    """Apply `items` and the parked events that they wake, which join `items`."""
    batch = Batch(take_in_unmatched=take_in_unmatched)
    batch.find_payments([item.sighting for item in items])
    arriving = items
    while arriving:
        # Facts about payments first: an id they teach, or that it is paid, may wake events that waited for it.
        for item in arriving:
            batch.apply_to_payment(item)
        known = {item.event_id for item in items}
        arriving = []
        for row in inbox.wake(batch.learned()):
            sighting = from_event(inbox.envelope_of(row).event)
            if sighting is not None and row.pk not in known:
                arriving.append(Item(sighting, row.pk))
        items.extend(arriving)
    # A sighting that came too early within its own batch (a refund before the intent that names its payment).
    for item in items:
        if item.waits_for:
            batch.apply_to_payment(item)
    batch.apply_refunds_and_disputes(items)
    settled.states.update((item.event_id, _end_of(item)) for item in items if item.event_id)
    settled.changed = batch.write()


def _end_of(item: Item) -> str:
    """Applied, parked, or ignored where nothing in it names a payment that could be waited for."""
    if item.waits_for is None:
        return State.APPLIED
    return State.PARKED if item.waits_for else State.IGNORED


def _in_transaction(work: Callable[[], Result]) -> Result:
    """Run in one transaction; a deadlock or serialization failure is tried again, at most three times in all."""
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            retryable = getattr(error.__cause__, "sqlstate", None) in RETRYABLE
            if not retryable or attempt == TRIES or connection.in_atomic_block:
                raise
            logger.warning("settlement tried again after: %s", error)
    raise AssertionError("unreachable: the last try returns or raises")
