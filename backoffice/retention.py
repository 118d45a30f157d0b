"""How long what is kept: one rule for each kind of data, and the work that ends it.

Amounts, transfers and the history of staff are kept for ever. Each rule goes in small transactions from the oldest row on, so
that it may be interrupted anywhere, and the next run goes on. Whatever `docs/security.md` promises stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import Invitation
from donations.models import Donation, Donor
from payments.mirror_erasure import forget
from payments.models import MirrorCursor, Payment, StripeCall, StripeEvent
from payments.persons import ERASED_DOMAIN, ERASED_NAME, PERSONAL_PARAMS
from payments.reducing import reduced
from pricing.models import PurchaseTransaction
from wallets.models import Notice, TelegramCode, TelegramUpdate

CHUNK = 200
CODES_KEPT = timedelta(days=1)  # after they ended; a code lives for minutes
UPDATES_KEPT = timedelta(days=7)  # Telegram offers a message again for a day


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`due` are the rows whose time is over; `end` does away with some of them and tells how many. With `walks_by`, a
    column of time that never changes, rows stay and a cursor remembers how far the rule got."""

    name: str
    what: str
    due: Callable[[datetime], QuerySet[Any]]
    end: Callable[[list[Any]], int]
    walks_by: str = ""


def _ago(days: int, now: datetime) -> datetime:
    return now - timedelta(days=days)


# -- what is due ----------------------------------------------------------------------------------------
def _events(now: datetime) -> QuerySet[Any]:
    return StripeEvent.objects.filter(received_at__lt=_ago(settings.PAYLOADS_KEPT_DAYS, now))


def _calls(now: datetime) -> QuerySet[Any]:
    return StripeCall.objects.filter(created_at__lt=_ago(settings.PAYLOADS_KEPT_DAYS, now))


def _payers(now: datetime) -> QuerySet[Any]:
    """Guests' payments of long ago; who has an account asks for erasure themselves."""
    if not settings.PAYERS_KEPT_DAYS:
        return Payment.objects.none()
    guests = Payment.objects.filter(user=None, organization=None, created_at__lt=_ago(settings.PAYERS_KEPT_DAYS, now))
    return guests.exclude(customer_email__endswith=ERASED_DOMAIN)


def _donors(now: datetime) -> QuerySet[Any]:
    if not settings.PAYERS_KEPT_DAYS:
        return Donor.objects.none()
    since = _ago(settings.PAYERS_KEPT_DAYS, now)
    recent = Donation.objects.filter(donor=OuterRef("pk"), created_at__gte=since)
    old = Donor.objects.filter(~Exists(recent), user=None, created_at__lt=since)
    return old.exclude(email__endswith=ERASED_DOMAIN)


def _notices(now: datetime) -> QuerySet[Any]:
    return Notice.objects.filter(created_at__lt=_ago(settings.NOTICES_KEPT_DAYS, now))


def _invitations(now: datetime) -> QuerySet[Any]:
    """Accepted, withdrawn or expired so long ago."""
    over = _ago(settings.INVITATIONS_KEPT_DAYS, now)
    ended = Q(accepted_at__lt=over) | Q(withdrawn_at__lt=over) | Q(accepted_at=None, withdrawn_at=None, expires_at__lt=over)
    return Invitation.objects.filter(ended)


# -- what ends them -------------------------------------------------------------------------------------
def _delete(rows: list[Any]) -> int:
    model: type[models.Model] = type(rows[0])
    model._default_manager.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _reduce(events: list[StripeEvent]) -> int:
    changed = 0
    for event in events:
        payload = reduced(event.payload)
        if payload != event.payload:  # only the text: what becomes of the event meanwhile is none of ours
            changed += StripeEvent.objects.filter(pk=event.pk).update(payload=payload)
    return changed


def _forget_in_calls(calls: list[StripeCall]) -> int:
    """Who paid; with what a call was made else is told by it for ever. None of that age is sent again."""
    changed = 0
    for call in calls:
        kept = {name: value for name, value in call.params.items() if name not in PERSONAL_PARAMS}
        if kept != call.params:
            changed += StripeCall.objects.filter(pk=call.pk).update(params=kept)
    return changed


def _forget_payers(payments: list[Payment]) -> int:
    """As when a person asks for it (payments/persons.py): amounts stay, and Stripe's later words bring nobody back."""
    theirs = Payment.objects.filter(pk__in=[payment.pk for payment in payments])
    forget(theirs)
    for call in StripeCall.objects.filter(subject_id__in=[payment.pk for payment in payments]):
        _forget_in_calls([call])
    gone = Concat(F("pk"), Value(ERASED_DOMAIN), output_field=models.CharField())
    Donation.objects.filter(payment__in=theirs).update(
        anonymous=True, display_name="", message="", dedication_kind="", dedication_name=""
    )
    PurchaseTransaction.objects.filter(payment__in=theirs, user=None).update(email="")
    return theirs.update(customer_email=gone, customer_name=ERASED_NAME, receipt_url="")


def _forget_donors(donors: list[Donor]) -> int:
    gone = Concat(F("pk"), Value(ERASED_DOMAIN), output_field=models.CharField())
    return Donor.objects.filter(pk__in=[donor.pk for donor in donors]).update(email=gone, name="", locale="")


RULES = (
    Rule(name="payloads", what="events reduced to what the books need", due=_events, end=_reduce, walks_by="received_at"),
    Rule(name="calls", what="calls to Stripe that named who paid", due=_calls, end=_forget_in_calls, walks_by="created_at"),
    Rule(name="payers", what="payments of guests that named who paid", due=_payers, end=_forget_payers),
    Rule(name="donors", what="guests who gave nothing since", due=_donors, end=_forget_donors),
    Rule(name="notices", what="notices to organizations", due=_notices, end=_delete),
    Rule(name="invitations", what="invitations that ended", due=_invitations, end=_delete),
    Rule(
        name="codes",
        what="codes of chats that ended",
        due=lambda now: TelegramCode.objects.filter(expires_at__lt=now - CODES_KEPT),
        end=_delete,
    ),
    Rule(
        name="updates",
        what="numbers of messages that a chat sent",
        due=lambda now: TelegramUpdate.objects.filter(taken_at__lt=now - UPDATES_KEPT),
        end=_delete,
    ),
    Rule(
        name="tokens",
        what="refresh tokens that expired",
        due=lambda now: OutstandingToken.objects.filter(expires_at__lt=now),
        end=_delete,
    ),
    Rule(
        name="sessions",
        what="sessions of browsers that expired",
        due=lambda now: Session.objects.filter(expire_date__lt=now),
        end=_delete,
    ),
)


# -- working through them -------------------------------------------------------------------------------
def due(rule: Rule, *, limit: int) -> int:
    """How many rows are still to be looked at, counted no further than `limit`."""
    return _left(rule).order_by()[:limit].values_list("pk").count()


def apply(rule: Rule, *, limit: int) -> Iterator[tuple[int, int]]:
    """Do it for at most `limit` rows; yields how many were looked at and how many changed, after each transaction."""
    seen = 0
    while seen < limit:
        with transaction.atomic():
            order = [rule.walks_by, "pk"] if rule.walks_by else ["pk"]
            rows = list(_left(rule).order_by(*order)[: min(CHUNK, limit - seen)])
            changed = rule.end(rows) if rows else 0
            if rows and rule.walks_by:
                reached = {"received_at": getattr(rows[-1], rule.walks_by), "position": rows[-1].pk}
                MirrorCursor.objects.update_or_create(name=_cursor(rule), defaults=reached)
        if not rows:
            return
        seen += len(rows)
        yield len(rows), changed


def _left(rule: Rule) -> QuerySet[Any]:
    rows = rule.due(timezone.now())
    cursor = MirrorCursor.objects.filter(name=_cursor(rule)).first() if rule.walks_by else None
    if cursor is None or cursor.received_at is None:
        return rows
    column, at = rule.walks_by, cursor.received_at
    return rows.filter(Q(**{f"{column}__gt": at}) | Q(**{column: at, "pk__gt": cursor.position}), **{f"{column}__gte": at})


def _cursor(rule: Rule) -> str:
    return f"retention:{rule.name}"
