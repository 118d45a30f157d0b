"""Applying stored events again, through the one settlement path; and what that would change, beforehand.

A preview does the same work in a transaction that is rolled back: no network, no mail, and no task is left. Both go in
chunks, so that no lock is held for long.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.audit import masked
from conventions.errors import DomainError
from conventions.failures import told
from conventions.rows import run
from conventions.trying_again import ended_for_another, in_transaction
from payments import inbox
from payments.batch import ID_COLUMNS, Batch, Item, one_at_a_time, stripe_ids
from payments.facts import Sighting, from_event
from payments.fulfilment import all_fulfilments
from payments.models import Dispute, LedgerAccount, Payment, Refund, StripeEvent, Transfer
from payments.settlement import settle_stored

logger = logging.getLogger(__name__)

CHUNK = 100
MOST = 10_000
# Of an event: its body, which never changes and is long, and the bookkeeping of its tries.
NOT_SHOWN: dict[type[Model], frozenset[str]] = {StripeEvent: frozenset({"payload", "attempts", "next_attempt_at"})}
# What people call themselves and write: that it changes is told, the words are not.
WORDS_OF_PEOPLE = frozenset({"customer_name", "name", "display_name", "dedication_name", "message"})
Key = tuple[type[Model], Any]


@dataclass(frozen=True, kw_only=True)
class RowChange:
    """One row that differs afterwards. `columns`: name -> (before, after); of a new row, before is None throughout.
    Addresses are masked, and of names and messages only “(written)” is told."""

    table: str  # payments_refund; "task" for a background task that would be enqueued
    row: str  # the primary key; of a task, its path
    change: str  # added | changed
    columns: dict[str, tuple[Any, Any]]

    def __str__(self) -> str:
        told = ", ".join(f"{name}: {before!s} → {after!s}" for name, (before, after) in self.columns.items())
        return f"{self.table} {self.row} {self.change}: {told}"


@dataclass(kw_only=True)
class Replayed:
    """What became of a replay: the end state of each event by its id, and why some were not applied."""

    states: dict[str, str] = field(default_factory=dict)  # events that were woken by it, too
    failed: dict[str, str] = field(default_factory=dict)  # id -> error
    not_found: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)  # another process is applying them now


@dataclass(kw_only=True)
class Preview:
    """What a replay would do: the rows that would change, and the events that would fail, with why; what these are
    told by is not among the rows."""

    changes: list[RowChange] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # id -> error
    busy: list[str] = field(default_factory=list)  # another process is applying them now: what comes of it is not shown


class TooManyEvents(DomainError):
    code = "too_many_events"


def preview(ids: Sequence[str]) -> Preview:
    """The rows that `replay` would change and what would fail, having changed nothing. At most MOST events.

    Rows that many payments share (a campaign's tally) may show, besides, what others changed at the same moment.
    """
    seen = Preview()
    for chunk in _chunks(ids):
        part = in_transaction(partial(_preview, chunk), what="a preview")
        seen.changes += part.changes
        seen.failed |= part.failed
        seen.busy += part.busy
    return seen


def replay(ids: Sequence[str]) -> Replayed:
    """Apply stored events again, whatever their state. At most MOST events; safe to repeat."""
    replayed = Replayed()
    for chunk in _chunks(ids):
        _apply(chunk, replayed)
    return replayed


def _chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    unique = sorted(set(ids))
    if len(unique) > MOST:
        raise TooManyEvents(f"At most {MOST} events at a time, not {len(unique)}. Narrow the choice, or go in steps.")
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]


def _apply(ids: list[str], replayed: Replayed, *, in_earnest: bool = True) -> None:
    """Apply these together; where that fails, one by one, so that a bad one fails alone. Logged only `in_earnest`."""
    failure: Exception | None = None
    try:
        states = settle_stored(ids, again=True).states
    except Exception as error:
        if ended_for_another(error) and connection.in_atomic_block:
            raise  # the event has no fault: whoever began the transaction does all of it again
        failure, states = error, {}
    if failure and len(ids) > 1:  # out of the except block, so that no traceback drags this one along
        for pk in ids:
            _apply([pk], replayed, in_earnest=in_earnest)
        return
    if failure:
        if in_earnest:
            logger.warning("%s could not be replayed", ids[0], exc_info=failure)
        row = StripeEvent.objects.get(pk=ids[0])
        replayed.states[row.pk] = inbox.record_failure(inbox.envelope_of(row), failure, source=row.source)
        replayed.failed[row.pk] = told(failure)
        return
    replayed.states |= states
    for pk in sorted(set(ids) - set(states)):
        known = StripeEvent.objects.filter(pk=pk).exists()
        (replayed.busy if known else replayed.not_found).append(pk)


# -- what would change --------------------------------------------------------------------------------
def _preview(ids: list[str]) -> Preview:
    """Runs in a transaction, which it leaves to be rolled back."""
    replayed = Replayed()
    # The locks are taken out here, in the order of settlement, and stay until all is compared; those taken within go
    # with its effects.
    events = inbox.lock(ids, again=True)
    sightings = [seen for event in events if (seen := _sighting(event))]
    run(one_at_a_time(stripe_ids(Item(seen) for seen in sightings)))
    Batch(take_in_unmatched=False).find_payments(sightings)
    started = timezone.now()
    with transaction.atomic():
        _apply([event.pk for event in events], replayed, in_earnest=False)
        after = _values(_rows_of(replayed, sightings))
        for pk in replayed.failed:
            after.pop((StripeEvent, pk), None)
        tasks = list(DBTaskResult.objects.filter(enqueued_at__gte=started).order_by("enqueued_at", "pk"))
        transaction.set_rollback(True)
    # What is still there was enqueued by others meanwhile.
    others = set(DBTaskResult.objects.filter(pk__in=[task.pk for task in tasks]).values_list("pk", flat=True))
    before = _values(_same_rows(after))
    elsewhere = set(ids) - {event.pk for event in events}
    busy = sorted(StripeEvent.objects.filter(pk__in=elsewhere).values_list("pk", flat=True))
    transaction.set_rollback(True)
    changes = [_change(key, before.get(key), columns) for key, columns in after.items() if before.get(key) != columns]
    changes += [_enqueued(task) for task in tasks if task.pk not in others]
    return Preview(changes=changes, failed=replayed.failed, busy=busy)


def _sighting(event: StripeEvent) -> Sighting | None:
    try:
        return from_event(inbox.envelope_of(event).event)
    except Exception:  # noqa: BLE001  it touches nothing but its own row; why it cannot be read is told by applying it
        return None


def _rows_of(replayed: Replayed, sightings: Sequence[Sighting]) -> Iterator[QuerySet[Any]]:
    """Everything that settling may write for these events, as it is now."""
    named = Q(pk__in=[])
    for name, column in ID_COLUMNS.items():
        named |= Q(**{f"{column}__in": sorted({value for seen in sightings if (value := getattr(seen, name))})})
    payments = list(Payment.objects.filter(named).values_list("pk", flat=True))
    transfers = Transfer.objects.filter(payment__in=payments)
    accounts = Q(pk__in=transfers.values("debit")) | Q(pk__in=transfers.values("credit"))
    yield StripeEvent.objects.filter(pk__in=replayed.states)
    yield Payment.objects.filter(pk__in=payments)
    yield Refund.objects.filter(payment__in=payments)
    yield Dispute.objects.filter(payment__in=payments)
    yield transfers
    yield LedgerAccount.objects.filter(accounts)
    for fulfilment in all_fulfilments():
        yield from fulfilment.rows_of(payments)


def _values(rows: Iterable[QuerySet[Any]]) -> dict[Key, dict[str, Any]]:
    """Each row's columns by its model and key."""
    found: dict[Key, dict[str, Any]] = {}
    for queryset in rows:
        not_shown = NOT_SHOWN.get(queryset.model, frozenset())
        columns = [f.attname for f in queryset.model._meta.concrete_fields if f.attname not in not_shown]
        for values in queryset.order_by("pk").values("pk", *columns):
            found[queryset.model, values.pop("pk")] = values
    return found


def _same_rows(found: Iterable[Key]) -> Iterator[QuerySet[Any]]:
    keys: defaultdict[type[Model], list[Any]] = defaultdict(list)
    for model, pk in found:
        keys[model].append(pk)
    for model, pks in keys.items():
        yield model._default_manager.filter(pk__in=pks)


def _change(key: Key, before: dict[str, Any] | None, after: dict[str, Any]) -> RowChange:
    model, pk = key
    if before is None:
        columns = {name: (None, _shown(name, value)) for name, value in after.items() if value not in (None, "")}
        return RowChange(table=model._meta.db_table, row=str(pk), change="added", columns=columns)
    columns = {name: (_shown(name, before[name]), _shown(name, value)) for name, value in after.items() if before[name] != value}
    return RowChange(table=model._meta.db_table, row=str(pk), change="changed", columns=columns)


def _shown(name: str, value: Any) -> Any:
    """A value without what people would not have shown around: it is compared before."""
    if not isinstance(value, str) or not value:
        return value
    return "(written)" if name in WORDS_OF_PEOPLE else masked(value) or value


def _enqueued(task: DBTaskResult[Any, Any]) -> RowChange:
    return RowChange(table="task", row=task.task_path, change="added", columns={"args": (None, task.args_kwargs["args"])})
