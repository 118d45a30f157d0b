"""The mail that confirms a gift: HTML and text, once per payment."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone
from django_tasks import task

from conventions.insert_or_add import insert_or_add
from donations.models import Donation, Receipt
from payments.persons import ERASED_DOMAIN

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
RETRY_AFTER = timedelta(minutes=5)
NUDGE_LOST_AFTER = timedelta(minutes=2)
TOO_OLD = timedelta(days=7)
AT_ONCE = 100


@task()
def send_receipts(donation_ids: list[str]) -> int:
    """Send the receipts of paid gifts; returns how many were sent here. One task a batch: one row to enqueue."""
    return sum(send_receipt(donation_id) for donation_id in donation_ids)


def send_receipt(donation_id: str) -> bool:
    """Send the receipt of a paid gift unless somebody did or is doing it. Returns whether it was sent here."""
    if not _claim(donation_id):
        return False
    donation = Donation.objects.select_related("campaign", "donor", "payment").get(pk=donation_id)
    try:
        _mail(donation).send()
    except Exception as error:  # noqa: BLE001  known not to have been sent, whatever kept it: recorded, and may be tried again
        logger.warning("receipt of %s was not sent: %s", donation_id, error)
        Receipt.objects.filter(pk=donation_id).update(last_error=f"{type(error).__name__}: {error}"[:500])
        return False
    Receipt.objects.filter(pk=donation_id).update(sent_at=timezone.now(), last_error="")
    return True


def _claim(donation_id: str) -> bool:
    """Make the row, or take over one whose mail is known to have failed.

    A claim without an error and without a time of sending is of a process that died: whether the mail went cannot
    be known, so it is not sent again by itself; staff see it and may.
    """
    now = timezone.now()
    row = {"donation_id": donation_id, "claimed_at": now, "sent_at": None, "attempts": 1, "last_error": ""}
    if insert_or_add(Receipt, [row], key=["donation_id"], returning=["donation_id"]):
        return True
    failed = _failed().filter(pk=donation_id)
    return failed.update(claimed_at=now, attempts=F("attempts") + 1, last_error="") == 1


def _failed() -> QuerySet[Receipt]:
    due_before = timezone.now() - RETRY_AFTER
    return Receipt.objects.filter(sent_at=None, claimed_at__lt=due_before, attempts__lt=MAX_ATTEMPTS).exclude(last_error="")


def _mail(donation: Donation) -> EmailMultiAlternatives:
    assert donation.donor is not None  # only gifts whose donor is known are sent here
    context = {"donation": donation, "campaign": donation.campaign, "donor": donation.donor, "site": settings.FRONTEND_URL}
    mail = EmailMultiAlternatives(
        # On one line: a title of several would be taken for a forged header, and no mail would go.
        subject=" ".join(f"Your gift of {donation.money.display()} to {donation.campaign.title}".splitlines()),
        body=render_to_string("mail/receipt.txt", context),
        to=[donation.donor.email],
        # The same Message-ID on every try lets mail servers drop a second copy.
        headers={"Message-ID": f"<{donation.pk}@largesse.receipts>"},
    )
    mail.attach_alternative(render_to_string("mail/receipt.html", context), "text/html")
    return mail


def send_lost() -> int:
    """Send receipts whose nudge was lost or whose mail failed, at most AT_ONCE; returns how many went.

    Sent here and not enqueued: while a worker is down, every sweep would add the same tasks again.
    """
    now = timezone.now()
    unsent = Donation.objects.filter(
        donor__isnull=False,
        receipt=None,
        paid_at__lt=now - NUDGE_LOST_AFTER,
        paid_at__gt=now - TOO_OLD,
    ).exclude(donor__email__endswith=ERASED_DOMAIN)
    lost = [*unsent.values_list("pk", flat=True)[:AT_ONCE], *_failed().values_list("pk", flat=True)[:AT_ONCE]]
    return sum(send_receipt(donation_id) for donation_id in lost[:AT_ONCE])
