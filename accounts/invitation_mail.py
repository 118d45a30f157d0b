"""The mail of an invitation: once for each time that somebody is invited.

Its token is made when the mail is, and only its digest stays here: neither the database nor the queue of tasks can be
read for it.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from hashlib import sha256
from urllib.parse import urlencode

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, Q
from django.template.loader import render_to_string
from django.utils import timezone
from django_tasks import task

from accounts.models import Invitation
from conventions.failures import told

logger = logging.getLogger(__name__)

PATH = "/invitations"
MAX_ATTEMPTS, AT_ONCE = 5, 100
NUDGE_LOST_AFTER, TRY_AGAIN_AFTER = timedelta(minutes=2), timedelta(minutes=5)
# How long one that came to nothing is kept; the address of somebody who did not want to join is not ours to keep.
KEPT_FOR = timedelta(days=90)


@task()
def send_invitation(invitation_id: str) -> bool:
    """Send the mail unless somebody did or is doing it. Returns whether it was sent here.

    It is claimed before it is sent. A claim that neither sent nor failed is of a process that died: whether the mail
    went cannot be known, so it is not sent again by itself; whoever invited may invite again.
    """
    token = secrets.token_urlsafe(32)
    digest = hashed(token)
    due = Invitation.objects.acceptable().filter(pk=invitation_id, mail_due_at__isnull=False)
    if not due.update(mail_due_at=None, token_hash=digest, mail_attempts=F("mail_attempts") + 1, mail_error=""):
        return False
    claimed = Invitation.objects.filter(pk=invitation_id, token_hash=digest)  # none, if invited again in the meantime
    invitation = claimed.select_related("organization", "invited_by").first()
    if invitation is None:
        return False
    try:
        _mail(invitation, token).send()
    except Exception as error:  # noqa: BLE001  known not to have been sent, whatever kept it: recorded, and tried again
        logger.warning("the mail of %s was not sent: %s", invitation_id, told(error))
        again = timezone.now() + TRY_AGAIN_AFTER if invitation.mail_attempts < MAX_ATTEMPTS else None
        claimed.update(mail_error=told(error), mail_due_at=again)
        return False
    claimed.update(mail_sent_at=timezone.now())
    return True


def hashed(token: str) -> str:
    """Tokens are long and random: a plain digest cannot be reversed."""
    return sha256(token.encode()).hexdigest()


def sweep() -> dict[str, int]:
    """Called through settings.ALSO_SWEPT: mails whose task was lost or that could not be sent; invitations of long ago.

    Sent here and not enqueued: while a worker is down, every sweep would add the same tasks again.
    """
    due = Invitation.objects.acceptable().filter(mail_due_at__lte=timezone.now()).order_by("mail_due_at")
    sent = sum(send_invitation.func(pk) for pk in list(due.values_list("pk", flat=True)[:AT_ONCE]))
    long_ago = timezone.now() - KEPT_FOR
    over = Invitation.objects.filter(Q(expires_at__lt=long_ago) | Q(withdrawn_at__lt=long_ago), accepted_at=None)
    deleted, _ = Invitation.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:AT_ONCE])).delete()
    return {"invitations sent": sent, "invitations deleted": deleted}


def _mail(invitation: Invitation, token: str) -> EmailMultiAlternatives:
    # On one line: a title of several would be taken for a forged header, and no mail would go.
    subject = " ".join(f"Join {invitation.organization.name}".splitlines())
    context = {
        "subject": subject,
        "organization": invitation.organization.name,
        # Their address, which they have proved. A name is whatever somebody typed.
        "inviter": invitation.invited_by.email,
        "role": invitation.get_role_display().lower(),
        "expires_at": invitation.expires_at,
        "link": f"{settings.FRONTEND_URL}{PATH}?{urlencode({'token': token})}",
        "email": invitation.email,
        "site": settings.FRONTEND_URL,
    }
    mail = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string("mail/account_invitation.txt", context),
        to=[invitation.email],
    )
    mail.attach_alternative(render_to_string("mail/account_invitation.html", context), "text/html")
    return mail
