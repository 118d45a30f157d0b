"""The inbox: storing events, what became of them, and waking those that waited."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from conventions.failures import told
from conventions.insert_or_add import insert_or_add, inserting_or_adding
from conventions.rows import Statement, find_rows, run
from payments.facts import moment
from payments.following import is_handled
from payments.models import StripeEvent

State = StripeEvent.State
FINISHED = frozenset({State.APPLIED, State.IGNORED})
IS_PARKED = "state = 'parked'"  # a constant, so that the index of parked events serves
MAX_ATTEMPTS = 12
RETRY_PARKED_AFTER = timedelta(minutes=1)
LATEST_UNIX = 1 << 33  # the year 2242
LONGEST_BACKOFF = timedelta(hours=6)


class NotAnEvent(ValueError):
    """The JSON is not a snapshot event as Stripe sends it."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """An event with the body it came in."""

    id: str
    type: str
    api_version: str
    object_id: str
    livemode: bool
    created_at: datetime
    payload: str
    event: Mapping[str, Any]


def open_envelope(payload: str) -> Envelope:
    """Read a body; raises NotAnEvent unless it is an event with an object that has an id."""
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent("not JSON") from error
    inner = event.get("data", {}) if isinstance(event, dict) else None
    subject = inner.get("object") if isinstance(inner, dict) else None
    if not isinstance(subject, dict) or event.get("object") != "event":
        raise NotAnEvent("not a snapshot event")
    wanted = (("id", str), ("type", str), ("created", int), ("livemode", bool))
    for name, kind in wanted:
        if not isinstance(event.get(name), kind):
            raise NotAnEvent(f"{name} is missing")
    if not 0 <= event["created"] < LATEST_UNIX or isinstance(event["created"], bool):
        raise NotAnEvent("created is no time")
    if not event["id"].startswith("evt_") or len(event["id"]) > 255 or len(event["type"]) > 80:
        raise NotAnEvent("not an event id")
    return Envelope(
        id=event["id"],
        type=event["type"],
        api_version=str(event.get("api_version") or "")[:40],
        object_id=str(subject.get("id") or "")[:255],
        livemode=event["livemode"],
        created_at=moment(event["created"]),
        payload=payload,
        event=event,
    )


def envelope_of(row: StripeEvent) -> Envelope:
    return open_envelope(row.payload)


def store(envelopes: Sequence[Envelope], *, source: str, then: Statement | None = None) -> dict[str, str]:
    """Store events in one statement, and run `then`. Returns the stored state of each that is still to be applied.

    A fresh event is stored in the state it will have if all goes well, since both commit together: most need no
    second write. Counting deliveries in the same statement tells a fresh row from one that was there.
    """
    rows = {e.id: _row(e, source=source, state=State.APPLIED if is_handled(e.type) else State.IGNORED) for e in envelopes}
    storing = inserting_or_adding(
        StripeEvent, list(rows.values()), key=["id"], add=["deliveries"], returning=["id", "state", "deliveries"]
    )
    stored, _ = run(storing, then)
    return {pk: state for pk, state, deliveries in stored if deliveries == 1 or state not in FINISHED}


def _row(envelope: Envelope, *, source: str, state: str) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "type": envelope.type,
        "api_version": envelope.api_version,
        "object_id": envelope.object_id,
        "livemode": envelope.livemode,
        "created_at": envelope.created_at,
        "received_at": timezone.now(),
        "source": source,
        "payload": envelope.payload,
        "state": state,
        "waiting_for": None,
        "deliveries": 1,
        "attempts": 0,
        "last_error": "",
        "next_attempt_at": None,
    }


def lock(ids: Iterable[str], *, again: bool = False) -> list[StripeEvent]:
    """Stored events that are still to be applied (with `again`, in whatever state), locked; one that another process
    holds is left to it."""
    events = StripeEvent.objects.filter(pk__in=list(ids))
    if not again:
        events = events.exclude(state__in=FINISHED)
    return list(events.select_for_update(skip_locked=True).order_by("pk"))


def wake(learned: Collection[str]) -> list[StripeEvent]:
    """Parked events that waited for one of these ids. One that is locked is being applied by somebody else, who
    will find the payment once we have committed."""
    return find_rows(StripeEvent, {"waiting_for": learned}, where=IS_PARKED, lock="FOR UPDATE SKIP LOCKED")


def waited_for(ids: Collection[str]) -> Statement:
    """The statement that tells for which of these ids events are parked."""
    marks = ", ".join(["%s"] * len(ids))
    return Statement(
        f"SELECT waiting_for FROM payments_stripeevent WHERE {IS_PARKED} AND waiting_for IN ({marks})",  # noqa: S608
        list(ids),
        answers=True,
    )


def record(states: Mapping[str, str], *, stored: Mapping[str, str], waits_for: Mapping[str, str]) -> None:
    """Write what became of the events, where it is not what is stored."""
    now = timezone.now()
    for state in (State.APPLIED, State.IGNORED):
        pks = sorted(pk for pk, end in states.items() if end == state and stored.get(pk) != state)
        if pks:
            StripeEvent.objects.filter(pk__in=pks).update(state=state, waiting_for=None, next_attempt_at=None, last_error="")
    for pk in sorted(pk for pk, end in states.items() if end == State.PARKED):
        retry_at = now + RETRY_PARKED_AFTER
        StripeEvent.objects.filter(pk=pk).update(state=State.PARKED, waiting_for=waits_for[pk], next_attempt_at=retry_at)


def record_failure(envelope: Envelope, error: BaseException, *, source: str) -> str:
    """Keep an event whose effects were rolled back, in a transaction of its own. Returns its state."""
    with transaction.atomic():
        insert_or_add(StripeEvent, [_row(envelope, source=source, state=State.RECEIVED)], key=["id"])
        row = StripeEvent.objects.select_for_update().get(pk=envelope.id)
        if row.state in FINISHED:
            return row.state  # of two deliveries at once, the other one was applied
        row.attempts += 1
        row.state = State.FAILED if row.attempts < MAX_ATTEMPTS else State.DEAD
        row.last_error = told(error, longest=2000)
        row.next_attempt_at = timezone.now() + backoff(row.attempts) if row.state == State.FAILED else None
        row.save(update_fields=["attempts", "state", "last_error", "next_attempt_at"])
    return row.state


def backoff(attempts: int) -> timedelta:
    """One minute, doubling, at most six hours."""
    return min(timedelta(minutes=2 ** (attempts - 1)), LONGEST_BACKOFF)
