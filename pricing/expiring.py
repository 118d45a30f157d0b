"""What the passing of time does to hours: a mail a week before, and the expiry itself."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone

from payments.persons import ERASED_DOMAIN
from pricing import ending, persons, renewal_mails
from pricing.hour_amounts import hours_text
from pricing.hours import expire_due
from pricing.models import HourLot

logger = logging.getLogger(__name__)

NOTICE_BEFORE = timedelta(days=7)
AT_ONCE = 100


def sweep() -> dict[str, int]:
    """Bounded; counts by what was done."""
    return {
        "lots_expired": expire_due(now=timezone.now()),
        "expiry_notices": _send_notices(),
        "renewal_mails": renewal_mails.send_lost(),
        "hours_handed_over": persons.hand_over_waiting(),
        "subscriptions_ended": ending.end_for_erased.func() + ending.end_never_paid(),
    }


def _send_notices() -> int:
    """Tell owners of unused hours a week before they expire, once: claimed before it is sent, so that none goes twice.

    Of hours that were valid for less than two weeks in all, nobody is told: the purchase said so days ago.
    """
    now = timezone.now()
    soon = HourLot.objects.filter(
        remaining_hundredths__gt=0, notice_at=None, expires_at__gt=now, expires_at__lte=now + NOTICE_BEFORE
    )
    sent = 0
    for lot in soon.select_related("student", "purchase").order_by("expires_at")[:AT_ONCE]:
        if HourLot.objects.filter(pk=lot.pk, notice_at=None).update(notice_at=now) == 0:
            continue
        address = lot.student.email if lot.student else lot.email
        began = (lot.purchase.paid_at if lot.purchase else None) or lot.created_at  # a lot is written a little after it is paid
        was_short = lot.expires_at is not None and lot.expires_at - began < 2 * NOTICE_BEFORE
        if was_short or not address or address.endswith(ERASED_DOMAIN):
            continue
        try:
            _notice(lot, address).send()
        except Exception as error:  # noqa: BLE001  whatever kept it, the next sweep tries again
            logger.warning("the notice about %s was not sent: %s", lot.pk, error)
            HourLot.objects.filter(pk=lot.pk).update(notice_at=None)
        else:
            sent += 1
    return sent


def _notice(lot: HourLot, address: str) -> EmailMultiAlternatives:
    context = {"lot": lot, "hours": hours_text(lot.remaining_hundredths), "site": settings.FRONTEND_URL}
    mail = EmailMultiAlternatives(
        subject=f"{context['hours']} hours expire on {lot.expires_at:%B %-d, %Y}",
        body=render_to_string("mail/hours_expiring.txt", context),
        to=[address],
        headers={"Message-ID": f"<{lot.pk}.expiring@largesse.hours>"},
    )
    mail.attach_alternative(render_to_string("mail/hours_expiring.html", context), "text/html")
    return mail
