"""Facts -> status, ledger, fulfilment: the one path behind webhook, redirect, poll, sweep, replay and reconcile.

`settle_events` takes a batch of events, `settle_stored` events of the inbox, `settle_objects` fetched Stripe objects.
Each locks the payments that its batch touches, merges in memory and writes set-wise, in one transaction; whoever
comes first wins and the others change nothing. Facts come from Stripe and not from who asks, so that all of it is done as
the system. Lock order: StripeEvent, Stripe's ids, Payment, Refund, Dispute, the
product's rows.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from django.db import connection

from conventions import tenancy
from conventions.log_context import about, note
from conventions.rows import run
from conventions.trying_again import in_transaction
from payments import following, inbox
from payments.batch import Batch, Item, one_at_a_time, stripe_ids
from payments.facts import StripeObject, from_event, from_object
from payments.inbox import Envelope, State

logger = logging.getLogger(__name__)


@dataclass
class Settled:
    """What a batch did: the end state of each event by its id, and the payments that changed."""

    states: dict[str, str] = field(default_factory=dict)
    duplicates: int = 0
    changed: list[str] = field(default_factory=list)
    # Stripe's ids that were learned from woken events, so that the batch did not hold them from its beginning.
    taught: set[str] = field(default_factory=set)


def settle_events(envelopes: Sequence[Envelope], *, source: str) -> Settled:
    """Store and apply events; raises what went wrong, having changed nothing.

    One that was applied or ignored before is a duplicate; any other stored one is applied again.
    """

    def work() -> Settled:
        settled, items = _read(envelopes)
        stored = inbox.store(envelopes, source=source, then=one_at_a_time(stripe_ids(items)))
        settled.states = {pk: state for pk, state in settled.states.items() if pk in stored}
        settled.duplicates = len(envelopes) - len(stored)
        settled = _settle_and_record([item for item in items if item.event_id in stored], settled, stored=stored)
        following.follow([envelope for envelope in envelopes if envelope.id in stored])
        return settled

    with about(**({"event_id": envelopes[0].id} if len(envelopes) == 1 else {})), tenancy.everything():
        return _wake_late(in_transaction(work, what="settlement"))


def settle_stored(ids: Iterable[str], *, take_in_unmatched: bool = False, again: bool = False) -> Settled:
    """Apply events of the inbox that are not finished (with `again`, finished ones too); with `take_in_unmatched`,
    money that finds no payment is posted to the unmatched account instead of waiting on."""
    ids = list(ids)

    def work() -> Settled:
        rows = inbox.lock(ids, again=again)
        stored = {row.pk: row.state for row in rows}
        envelopes = [inbox.envelope_of(row) for row in rows]
        settled, items = _read(envelopes)
        run(one_at_a_time(stripe_ids(items)))
        settled = _settle_and_record(items, settled, stored=stored, take_in_unmatched=take_in_unmatched)
        following.follow(envelopes)
        return settled

    with about(**({"event_id": ids[0]} if len(ids) == 1 else {})), tenancy.everything():
        return _wake_late(in_transaction(work, what="settlement"))


def settle_objects(objects: Iterable[StripeObject], *, take_in_unmatched: bool = False) -> Settled:
    """Apply fetched Stripe objects: sessions, intents, charges, refunds, disputes."""
    sightings = [from_object(fetched) for fetched in objects]

    def work() -> Settled:
        items = [Item(sighting) for sighting in sightings]
        run(one_at_a_time(stripe_ids(items)))
        return _settle_and_record(items, Settled(), stored={}, take_in_unmatched=take_in_unmatched)

    with about(), tenancy.everything():
        return _wake_late(in_transaction(work, what="settlement"))


def _read(envelopes: Sequence[Envelope]) -> tuple[Settled, list[Item]]:
    """What the events say, and their states should all go well."""
    settled, items = Settled(), []
    for envelope in envelopes:
        sighting = from_event(envelope.event)
        is_ours = sighting is not None or following.is_followed(envelope.type)
        settled.states[envelope.id] = State.APPLIED if is_ours else State.IGNORED
        if sighting:
            items.append(Item(sighting, envelope.id))
    return settled, items


def _settle_and_record(
    items: list[Item], settled: Settled, *, stored: Mapping[str, str], take_in_unmatched: bool = False
) -> Settled:
    """Apply `items` and write what became of their events, and of those that they woke."""
    if items:
        _settle(items, settled, take_in_unmatched=take_in_unmatched)
    waits_for = {item.event_id: item.waits_for for item in items if item.event_id and item.waits_for}
    inbox.record(settled.states, stored=stored, waits_for=waits_for)
    return settled


def _settle(items: list[Item], settled: Settled, *, take_in_unmatched: bool) -> None:
    """Apply `items` and the parked events that they wake, which join `items`."""
    batch, held = Batch(take_in_unmatched=take_in_unmatched), stripe_ids(items)
    batch.find_payments([item.sighting for item in items])
    if len(batch.payments) == 1:
        note(payment_id=next(iter(batch.payments)))
    arriving = items
    while arriving:
        # Facts about payments first: an id they teach, or that it is paid, may wake events that waited for it.
        for item in arriving:
            batch.apply_to_payment(item)
        learned = batch.learned()
        settled.taught |= learned - held - set(batch.payments)
        # As may one that came too early within its own batch (a refund before the intent that names its payment).
        too_early = [item for item in items if item.waits_for] if learned else []
        woken = _woken(learned - batch.nobody_waits_for(learned), known={item.event_id for item in items})
        items.extend(woken)
        arriving = too_early + woken
    batch.apply_refunds_and_disputes(items)
    settled.states.update((item.event_id, _end_of(item)) for item in items if item.event_id)
    settled.changed = batch.write()


def _wake_late(settled: Settled) -> Settled:
    """Wake once more those who wait for ids that woken events taught, holding these ids now and our payments committed.

    While we did not hold them somebody may have parked an event for one of them without seeing our payment, and we may not
    have seen that event. Should this fail, the sweep applies what waits.
    """
    late, held = settled.taught, set[str]()
    while late and connection.vendor == "postgresql":  # SQLite has one writer anyway
        held |= late
        try:
            woken = in_transaction(partial(_settle_waiting, late), what="settlement")
        except Exception:
            logger.exception("what waits for %s is left to the sweep", sorted(late))
            break
        settled.states |= woken.states
        settled.changed += woken.changed
        late = woken.taught - held
    return settled


def _settle_waiting(ids: Collection[str]) -> Settled:
    run(one_at_a_time(ids))
    rows = inbox.wake(ids)
    settled, items = _read([inbox.envelope_of(row) for row in rows])
    return _settle_and_record(items, settled, stored={row.pk: row.state for row in rows})


def _woken(ids: Collection[str], *, known: Collection[str | None]) -> list[Item]:
    """The parked events that waited for one of these ids, but for those of this batch."""
    woken = []
    for row in inbox.wake(ids):
        sighting = from_event(inbox.envelope_of(row).event)
        if sighting is not None and row.pk not in known:
            woken.append(Item(sighting, row.pk))
    return woken


def _end_of(item: Item) -> str:
    """Applied, parked, or ignored where nothing in it names a payment that could be waited for."""
    if item.waits_for is None:
        return State.APPLIED
    return State.PARKED if item.waits_for else State.IGNORED
