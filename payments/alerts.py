"""Telling staff what no program can mend, once each: events that are dead, and webhooks that do not come.

The tables say it (`Alert`), mails follow: the sweep raises what is new, mails what nobody was told of, and closes what
is over. Of two sweeps at once, one mails.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from conventions.failures import told
from payments.models import Alert, Payment, StripeEvent

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 200
MOST_NAMED = 50
# A run that died between claiming and mailing, or whose mail failed: somebody else may try after so long.
CLAIM_LAPSES = timedelta(minutes=15)
# Stripe delivers within seconds; what was started or paid just now proves nothing yet.
DELIVERY_TAKES = timedelta(minutes=10)
# Opening a checkout page causes no event that we hear, and a donor may leave it: one page proves nothing.
PAGES_THAT_TELL = 3
WHAT_TO_DO = "docs/operations.md, “Alerts”, says what it means and what to run."


def raise_and_tell() -> int:
    """Raise, close and mail what is due; returns how many alerts staff were told of."""
    _raise_dead_events()
    _raise_silence()
    _close_what_is_over()
    return _tell()


# -- raising ----------------------------------------------------------------------------------------
def _raise_dead_events() -> None:
    told = Alert.objects.filter(kind=Alert.Kind.DEAD_EVENT, subject=OuterRef("pk"))
    dead = StripeEvent.objects.filter(~Exists(told), state=StripeEvent.State.DEAD).defer("payload")
    new = [
        Alert(
            kind=Alert.Kind.DEAD_EVENT,
            subject=event.pk,
            text=f"{event.type} {event.pk} could not be applied in {event.attempts} tries: {event.last_error[:300]}",
        )
        for event in dead.order_by("received_at")[:MOST_AT_ONCE]
    ]
    Alert.objects.bulk_create(new, ignore_conflicts=True)


def _raise_silence() -> None:
    """No webhook for an hour, although something happened at Stripe that it would have told us of.

    One silence has one alert, since it is known by the last event that came before it.
    """
    if not settings.ALERT_SILENCE_S:
        return
    now = timezone.now()
    since = now - timedelta(seconds=settings.ALERT_SILENCE_S)
    if StripeEvent.objects.filter(received_at__gt=since, source=StripeEvent.Source.WEBHOOK).exists():
        return
    last = _last_webhook()
    heard_at = last.received_at if last else None
    started = Payment.objects.filter(created_at__range=(heard_at or since, now - DELIVERY_TAKES))
    pages = started.filter(Q(checkout_session__isnull=False) | Q(payment_intent__isnull=False))[:PAGES_THAT_TELL].count()
    paid = started.filter(paid_at__lt=now - DELIVERY_TAKES).exists()
    if pages < PAGES_THAT_TELL and not paid:
        return
    when = f"since {heard_at:%Y-%m-%d %H:%M} UTC" if heard_at else "so far"
    reason = "a payment was made meanwhile" if paid else "people went to Stripe's checkout page meanwhile"
    silence = Alert(
        kind=Alert.Kind.SILENCE, subject=last.pk if last else "", text=f"No webhook came from Stripe {when}, though {reason}."
    )
    Alert.objects.bulk_create([silence], ignore_conflicts=True)


def _last_webhook() -> StripeEvent | None:
    came = StripeEvent.objects.filter(source=StripeEvent.Source.WEBHOOK)
    return came.defer("payload").order_by("-received_at", "-pk").first()


# -- closing ----------------------------------------------------------------------------------------
def _close_what_is_over() -> None:
    now = timezone.now()
    is_dead = Exists(StripeEvent.objects.filter(pk=OuterRef("subject"), state=StripeEvent.State.DEAD))
    of_events = Alert.objects.filter(kind=Alert.Kind.DEAD_EVENT)
    of_events.filter(~is_dead, resolved_at=None).update(resolved_at=now)
    of_events.filter(is_dead, resolved_at__isnull=False).update(resolved_at=None)  # it died again; told it was before
    silences = Alert.objects.filter(kind=Alert.Kind.SILENCE, resolved_at=None)
    if silences.exists():
        last = _last_webhook()
        silences.exclude(subject=last.pk if last else "").update(resolved_at=now)


# -- telling ----------------------------------------------------------------------------------------
def _tell() -> int:
    """Mail what nobody was told of, in one mail; returns how many alerts it named."""
    run, now = uuid.uuid4().hex, timezone.now()
    free = Q(claimed_at=None) | Q(claimed_at__lt=now - CLAIM_LAPSES)
    due = Alert.objects.filter(free, told_at=None)
    pks = list(due.order_by("raised_at", "pk").values_list("pk", flat=True)[:MOST_AT_ONCE])
    if not pks:
        return 0
    due.filter(pk__in=pks).update(claimed_by=run, claimed_at=now)  # of two runs at once, one gets each
    mine = list(Alert.objects.filter(claimed_by=run).order_by("kind", "raised_at", "pk"))
    if not mine:
        return 0
    for alert in mine:
        logger.error("alert: %s", alert.text, extra={"alert": alert.kind, "subject": alert.subject})
    claimed = Alert.objects.filter(claimed_by=run, told_at=None)
    try:
        _mail(mine)
    except Exception as error:  # whatever keeps a mail from going: it is tried again when the claim lapses
        logger.exception("staff could not be mailed of %s alerts; tried again later", len(mine))
        claimed.update(last_error=told(error))
        return 0
    return claimed.update(told_at=timezone.now(), last_error="")


def _mail(alerts: list[Alert]) -> None:
    """To ALERT_EMAILS; without any, the log is what tells."""
    if not settings.ALERT_EMAILS:
        logger.warning("ALERT_EMAILS is not set: alerts are only logged")
        return
    named = [f"- {alert.text}" for alert in alerts[:MOST_NAMED]]
    if len(alerts) > MOST_NAMED:
        named.append(f"- and {len(alerts) - MOST_NAMED} more")
    events = sum(alert.kind == Alert.Kind.DEAD_EVENT for alert in alerts)
    titles = ["no webhooks from Stripe"] if events < len(alerts) else []
    titles += [f"{events} event{'s' if events > 1 else ''} could not be applied"] if events else []
    EmailMessage(
        subject=f"[Largesse] {'; '.join(titles)}",
        body="\n".join([*named, "", WHAT_TO_DO, f"Admin: {settings.FRONTEND_URL}/admin/payments/stripeevent/?state=dead"]),
        to=list(settings.ALERT_EMAILS),
    ).send()
