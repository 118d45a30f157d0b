"""The mail that confirms a gift: HTML and text, once per payment."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone
from django_tasks import task

from accounts import audit
from accounts.models import User
from conventions.failures import told
from conventions.insert_or_add import insert_or_add
from donations.errors import NoReceipt
from donations.models import COUNTED, Donation, Receipt
from payments.money import Money
from payments.persons import ERASED_DOMAIN

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
RETRY_AFTER = timedelta(minutes=5)
NUDGE_LOST_AFTER = timedelta(minutes=2)
TOO_OLD = timedelta(days=7)
RESEND_AFTER = timedelta(minutes=1)
AT_ONCE = 100


@task()
def send_receipts(donation_ids: list[str]) -> int:
    """Send the receipts of paid gifts; returns how many were sent here. One task a batch: one row to enqueue."""
    return sum(send_receipt(donation_id) for donation_id in donation_ids)


def send_receipt(donation_id: str) -> bool:
    """Send the receipt of a paid gift unless somebody did or is doing it. Returns whether it was sent here."""
    return _claim(donation_id) and _send_claimed(donation_id)


def resend_receipt(*, donation_id: str, actor: User, reason: str = "") -> bool:
    """Send a receipt once more because staff were asked to, whatever became of it before. Returns whether it went.

    Raises NoReceipt where the gift has none to send, or one went out within the last minute. Network: never inside a
    transaction.
    """
    now = timezone.now()
    with transaction.atomic(durable=True):
        donation = Donation.objects.select_for_update(of=("self",)).select_related("donor").get(pk=donation_id)
        if donation.state not in COUNTED or donation.donor is None or donation.donor.email.endswith(ERASED_DOMAIN):
            raise NoReceipt("Only a gift that is paid, not refunded whole, and of a known donor has a receipt.")
        receipt = Receipt.objects.select_for_update().filter(pk=donation_id).first()
        if receipt and receipt.claimed_at > now - RESEND_AFTER:
            raise NoReceipt("A receipt of this gift went out a moment ago. Try again in a minute if it does not arrive.")
        before = {"sent_at": receipt.sent_at, "attempts": receipt.attempts} if receipt else {}
        receipt = receipt or Receipt(donation=donation, attempts=0)
        receipt.claimed_at, receipt.sent_at, receipt.last_error = now, None, ""
        receipt.attempts += 1
        receipt.save()
        after = {"claimed_at": now, "attempts": receipt.attempts}
        audit.record(actor=actor, action="receipt.resent", target=donation, before=before, after=after, reason=reason)
    return _send_claimed(donation_id, resent=f".{receipt.attempts}")


def _send_claimed(donation_id: str, *, resent: str = "") -> bool:
    """Send what this process has claimed."""
    donation = Donation.objects.select_related("campaign", "donor", "payment").get(pk=donation_id)
    try:
        _mail(donation, resent).send()
    except Exception as error:  # noqa: BLE001  known not to have been sent, whatever kept it: recorded, and may be tried again
        logger.warning("receipt of %s was not sent: %s", donation_id, told(error))
        Receipt.objects.filter(pk=donation_id).update(last_error=told(error))
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


def _mail(donation: Donation, resent: str = "") -> EmailMultiAlternatives:
    assert donation.donor is not None  # only gifts whose donor is known are sent here
    refunded = donation.payment.refunded_minor
    context = {
        "donation": donation,
        "campaign": donation.campaign,
        "donor": donation.donor,
        "site": settings.FRONTEND_URL,
        "refunded": Money(refunded, donation.currency).display(),
        "kept": Money(donation.amount_minor - refunded, donation.currency).display(),
    }
    mail = EmailMultiAlternatives(
        # On one line: a title of several would be taken for a forged header, and no mail would go.
        subject=" ".join(f"Your gift of {donation.money.display()} to {donation.campaign.title}".splitlines()),
        body=render_to_string("mail/receipt.txt", context),
        to=[donation.donor.email],
        # The same Message-ID on every try lets mail servers drop a second copy; one that staff were asked for has its own.
        headers={"Message-ID": f"<{donation.pk}{resent}@largesse.receipts>"},
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
