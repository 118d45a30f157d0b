"""The mirror: dj-stripe's tables show what Stripe has, kept up in the background. Ours are the truth; these are for
looking things up, and for whatever else reads dj-stripe's models.

The inbox says what changed at Stripe, so nothing is queued and a webhook pays nothing: a cursor walks over the events by
the time they were received (`catch_up`, a step of every sweep), fetches each object as it stands now, and writes its row.
What was fetched is never older than what is stored, since one process mirrors at a time (a lease). An object that cannot
be mirrored becomes a gap, tried again later, and holds up no other.

Rows are written by dj-stripe's own fields, not by its `sync_from_stripe_data`: that asks Stripe within its transactions
for everything an object names, keeps the secret key in a table, never learns of refunds from webhooks, and crashes on a
customer with a discount. A test proves that both write the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, models
from django.db.models import Q
from django.utils import timezone
from djstripe import models as djstripe

from conventions.errors import DomainError
from conventions.failures import told
from payments import stripe_gateway
from payments.errors import StripeBusy, StripeRefused, StripeUnavailable
from payments.inbox import backoff
from payments.models import MirrorCursor, MirrorGap, StripeEvent
from payments.persons import erased_ids

logger = logging.getLogger(__name__)

Json = dict[str, Any]
EVENTS_CURSOR = "events"
BATCH = 100
MOST_OBJECTS = 5_000  # of one run; what is named counts too
MOST_GAPS = 20
MAX_ATTEMPTS = 12
RUN_LASTS = timedelta(seconds=40)
LEASE = timedelta(minutes=5)
# An event whose transaction was still open when a later one was mirrored shows up behind the cursor: a run looks back so
# far, at so many, for objects whose row is older than their event.
LOOK_BACK, MOST_LOOKED_BACK = timedelta(minutes=10), 1_000
CLOCKS_DIFFER = timedelta(seconds=2)

MODELS: dict[str, type[models.Model]] = {
    "checkout.session": djstripe.Session,
    "payment_intent": djstripe.PaymentIntent,
    "charge": djstripe.Charge,
    "refund": djstripe.Refund,
    "dispute": djstripe.Dispute,
    "balance_transaction": djstripe.BalanceTransaction,
    "customer": djstripe.Customer,
    "payment_method": djstripe.PaymentMethod,
    "payout": djstripe.Payout,
}
KIND_OF_MODEL = {model: kind for kind, model in MODELS.items()}
# Of an event's type, the longest beginning says what its object is. Customers and payment methods come along with what
# names them.
KIND_OF_EVENT = {
    "checkout.session.": "checkout.session",
    "payment_intent.": "payment_intent",
    "charge.dispute.": "dispute",
    "charge.refund.": "refund",
    "charge.": "charge",
    "refund.": "refund",
    "payout.": "payout",
}
# What is asked for together, so that a gift is one call and not five. The order is that of the work: what brings the
# others along comes first.
EXPAND: dict[str, list[str]] = {
    "checkout.session": ["customer", "payment_intent.payment_method", "payment_intent.latest_charge.balance_transaction"],
    "refund": ["balance_transaction", "failure_balance_transaction"],
    "dispute": [],
    "payment_intent": ["customer", "payment_method", "latest_charge.balance_transaction"],
    "charge": ["customer", "balance_transaction"],
    "payout": ["balance_transaction", "failure_balance_transaction"],
    "balance_transaction": [],
    "customer": [],
    "payment_method": [],
}
NEVER_KEPT = frozenset({"client_secret"})


class Busy(Exception):
    """Another process is mirroring."""


class TimeIsUp(Exception):
    """The rest is left to the next run."""


def kind_of_event(event_type: str) -> str | None:
    beginnings = [beginning for beginning in KIND_OF_EVENT if event_type.startswith(beginning)]
    return KIND_OF_EVENT[max(beginnings, key=len)] if beginnings else None


# -- the step of the sweep -------------------------------------------------------------------------------
def catch_up() -> int:
    """Mirror what changed since the last time; returns how many objects were written. Bounded in number and time."""
    if not settings.STRIPE_MIRROR:
        return 0
    try:
        with lease():
            return _catch_up(until=timezone.now() + RUN_LASTS)
    except Busy:
        return 0
    except (StripeUnavailable, StripeBusy) as error:
        logger.warning("the mirror waits: %s", error)
        return 0


def _catch_up(*, until: datetime) -> int:
    cursor, _ = MirrorCursor.objects.get_or_create(name=EVENTS_CURSOR)
    mirror = Mirror(until=until)
    try:
        mirror.bring_all(_gaps_due())
        mirror.bring_all(_left_behind(cursor))
        while len(mirror.written) < MOST_OBJECTS:
            events = _next_events(cursor)
            if not events:
                break
            mirror.bring_all(_stale(events))
            cursor.position, cursor.received_at = events[-1].pk, events[-1].received_at
            MirrorCursor.objects.filter(pk=cursor.pk).update(position=cursor.position, received_at=cursor.received_at)
    except TimeIsUp:
        logger.info("the mirror goes on in the next run")
    return len(mirror.written)


def _next_events(cursor: MirrorCursor) -> list[StripeEvent]:
    events = StripeEvent.objects.order_by("received_at", "pk")
    if cursor.received_at:
        later = Q(received_at__gt=cursor.received_at) | Q(received_at=cursor.received_at, pk__gt=cursor.position)
        events = events.filter(later, received_at__gte=cursor.received_at)
    return list(events.only("type", "object_id", "received_at")[:BATCH])


def _left_behind(cursor: MirrorCursor) -> dict[str, str]:
    if cursor.received_at is None:
        return {}
    behind = StripeEvent.objects.filter(received_at__range=(cursor.received_at - LOOK_BACK, cursor.received_at))
    stale = _stale(behind.order_by("-received_at").only("type", "object_id", "received_at")[:MOST_LOOKED_BACK])
    waiting = set(MirrorGap.objects.filter(pk__in=list(stale)).values_list("pk", flat=True))
    return {object_id: kind for object_id, kind in stale.items() if object_id not in waiting}


def _stale(events: Iterable[StripeEvent]) -> dict[str, str]:
    """The objects (id to kind) of events whose row is missing, or was fetched before the event came."""
    latest: dict[str, dict[str, datetime]] = {}
    for event in events:
        kind = kind_of_event(event.type)
        if kind and event.object_id:
            of_kind = latest.setdefault(kind, {})
            of_kind[event.object_id] = max(of_kind.get(event.object_id, event.received_at), event.received_at)
    stale: dict[str, str] = {}
    for kind, ids in latest.items():
        rows = MODELS[kind]._default_manager.filter(id__in=list(ids)).values_list("id", "djstripe_updated")
        fresh = {object_id for object_id, fetched_at in rows if fetched_at > ids[object_id]}
        stale.update((object_id, kind) for object_id in ids if object_id not in fresh)
    return stale


def _gaps_due() -> dict[str, str]:
    due = MirrorGap.objects.filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at")
    return dict(due.values_list("pk", "kind")[:MOST_GAPS])


@contextmanager
def lease(*, patience_s: int = 0) -> Iterator[None]:
    """One process mirrors at a time, so that what one fetched does not overwrite what another fetched later. Raises Busy
    when it is taken for longer than `patience_s`."""
    MirrorCursor.objects.get_or_create(name=EVENTS_CURSOR)
    for _ in range(patience_s):
        if _take_lease():
            break
        time.sleep(1)
    else:
        if not _take_lease():
            raise Busy("Another process is mirroring.")
    try:
        yield
    finally:
        MirrorCursor.objects.filter(name=EVENTS_CURSOR).update(leased_until=None)


def _take_lease() -> bool:
    now = timezone.now()
    free = MirrorCursor.objects.filter(Q(leased_until=None) | Q(leased_until__lt=now), name=EVENTS_CURSOR)
    return bool(free.update(leased_until=now + LEASE))


# -- fetching and writing --------------------------------------------------------------------------------
class Mirror:
    """One run: what it wrote, so that nothing is fetched twice, and which rows it knows to be there."""

    def __init__(self, *, until: datetime) -> None:
        self.written: set[str] = set()
        self._until = until
        self._there: set[str] = set()
        self._hidden: set[str] = set()
        self._account: str | None = None

    def bring_all(self, wanted: Mapping[str, str]) -> None:
        """Fetch and write objects (id to kind). Raises when Stripe cannot be asked, or TimeIsUp; another failure is one
        object's."""
        order = {kind: place for place, kind in enumerate(EXPAND)}
        hidden = erased_ids(list(wanted)) if wanted else set()
        for object_id, kind in sorted(wanted.items(), key=lambda item: (order[item[1]], item[0])):
            if object_id not in self.written and object_id not in hidden:
                self._attempt(kind, object_id)

    def write_all(self, kind: str, listed: list[Json]) -> None:
        """Write objects of a list that was fetched just now, expanded as EXPAND says."""
        hidden = erased_ids([fetched["id"] for fetched in listed])
        for fetched in listed:
            if fetched["id"] not in hidden:
                self._attempt(kind, fetched["id"], fetched)

    def _attempt(self, kind: str, object_id: str, listed: Json | None = None) -> None:
        if timezone.now() > self._until:
            raise TimeIsUp("Stripe answers slowly.")
        # The row says when it was fetched, not when it was written: what happens in between is not in it.
        self._fetched_at = timezone.now() - CLOCKS_DIFFER
        try:
            self._write(kind, listed or stripe_gateway.retrieve(kind, object_id, expand=EXPAND[kind]), frozenset())
        except (DomainError, DatabaseError, ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, StripeUnavailable | StripeBusy) and not getattr(error, "is_forbidden", False):
                raise
            logger.warning("%s cannot be mirrored: %s", object_id, told(error))
            _note_gap(kind, object_id, error)
        else:
            MirrorGap.objects.filter(pk=object_id).delete()

    def _write(self, kind: str, fetched: Json, within: frozenset[str]) -> None:
        """Write an object's row after those that it names, unless it is of somebody who was erased; `within` are the
        objects that name it, to end a circle."""
        object_id = str(fetched["id"])
        if erased_ids([object_id, *_owners_of(fetched)]):
            self._hidden.add(object_id)
            return
        within |= {object_id}
        model = MODELS[kind]
        keys = {field.name for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey)}
        named = {name: list(_objects_in(value)) for name, value in fetched.items()}
        self._write_named([one for name, found in named.items() if name in keys for one in found], within)
        data = {name: _unexpanded(value) for name, value in fetched.items() if name not in NEVER_KEPT}
        values = self._values(model, data, within)
        changing = [field.name for field in model._meta.concrete_fields if field.attname in values and field.name != "id"]
        model._default_manager.bulk_create([model(**values)], update_conflicts=True, unique_fields=["id"], update_fields=changing)
        model._default_manager.filter(id=object_id).update(djstripe_updated=self._fetched_at)
        self.written.add(object_id)
        self._there.add(object_id)
        # What names this object in turn, as a charge its intent, can only be written now.
        self._write_named([one for name, found in named.items() if name not in keys for one in found], within - {object_id})

    def _write_named(self, objects: list[Json], within: frozenset[str]) -> None:
        for one in objects:
            if one["id"] not in within | self.written:
                self._write(one["object"], one, within)

    def _values(self, model: type[models.Model], data: Json, within: frozenset[str]) -> Json:
        values: Json = {"stripe_data": data, "djstripe_owner_account_id": self.account()}
        for field in model._meta.concrete_fields:
            if field.name.startswith("djstripe_") or field.name in {"stripe_data", "subscriber", "date_purged", "source"}:
                continue
            value = data.get(field.name)
            if isinstance(field, models.ForeignKey):
                values[field.attname] = self._there_or_brought(field.related_model, value, within)
            elif hasattr(field, "stripe_to_db"):
                values[field.name] = field.stripe_to_db(data)
            elif value is None and isinstance(field, models.CharField | models.TextField):
                values[field.name] = ""
            else:
                values[field.name] = value
        if model is djstripe.BalanceTransaction:  # its source is an id in a column of text
            values["source"] = data.get("source") or ""
        return values

    def _there_or_brought(self, model: Any, value: Any, within: frozenset[str]) -> str | None:
        """The id, once its row is there; None where Stripe does not show it, or where it is being written just now."""
        if not isinstance(value, str) or not value:
            return None
        if value in self._there or model._default_manager.filter(id=value).exists():
            self._there.add(value)
            return value
        kind = KIND_OF_MODEL.get(model)
        if kind is None or value in within | self._hidden or erased_ids([value]):
            return None
        try:
            self._write(kind, stripe_gateway.retrieve(kind, value, expand=EXPAND[kind]), within)
        except StripeRefused as error:
            logger.info("Stripe does not show %s: %s", value, error)
            return None
        return value if value in self._there else None  # it may be of somebody who was erased

    def account(self) -> str | None:
        """The account that all of it belongs to; None where the key may not read it (restricted keys may not)."""
        if self._account is None:
            try:
                fetched = stripe_gateway.retrieve_account()
            except StripeUnavailable as error:
                if not error.is_forbidden:
                    raise
                logger.info("the key may not read its account; mirrored rows name none")
                self._account = ""
            else:
                row = djstripe.Account(id=fetched["id"], livemode=settings.STRIPE_LIVE_MODE, stripe_data=fetched, metadata={})
                djstripe.Account._default_manager.bulk_create(
                    [row], update_conflicts=True, unique_fields=["id"], update_fields=["stripe_data", "djstripe_updated"]
                )
                self._account = str(fetched["id"])
        return self._account or None


def _objects_in(value: Any) -> Iterator[Json]:
    """Objects of kinds that are mirrored, which stand in an object where Stripe expanded an id, or in a list."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and one.get("object") in MODELS and one.get("id") and not one.get("deleted"):
            yield one


def _owners_of(fetched: Json) -> list[str]:
    """The customer and the payment that an object says it is of, whose erasure is its own: a saved card, say."""
    named = (_unexpanded(fetched.get(name)) for name in ("customer", "payment_intent", "charge"))
    return [name for name in named if isinstance(name, str)]


def _unexpanded(value: Any) -> Any:
    return value["id"] if isinstance(value, dict) and value.get("object") in MODELS and value.get("id") else value


def _note_gap(kind: str, object_id: str, error: Exception) -> None:
    gap, _ = MirrorGap.objects.get_or_create(object_id=object_id, defaults={"kind": kind})
    gap.attempts = min(gap.attempts + 1, MAX_ATTEMPTS)
    gap.last_error = told(error)
    gap.next_attempt_at = timezone.now() + backoff(gap.attempts) if gap.attempts < MAX_ATTEMPTS else None
    gap.save(update_fields=["attempts", "last_error", "next_attempt_at"])
