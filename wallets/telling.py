"""Sending notices: by mail, and to the Telegram chats of those who linked one; each at most once.

A delivery is claimed before it is sent. A claim that neither sent nor failed is of a process that died: whether the
message went cannot be known, so it is not sent again by itself.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import ADMINISTERING, Membership
from conventions.failures import told
from wallets import notice_words
from wallets.models import NoticeDelivery, TelegramLink
from wallets.telegram import linking, messages

logger = logging.getLogger(__name__)

# After the first try, the second, …; after the last one it is given up.
TRY_AGAIN_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=8))
TOKEN_AGAIN_AFTER = timedelta(minutes=30)
NUDGE_LOST_AFTER = timedelta(minutes=1)
TOO_OLD = timedelta(days=3)
AT_ONCE = 100


class NotForThem(Exception):
    """There is nobody to tell any more; its words go into the row."""


def send(notice_id: str) -> int:
    """Send what is due of a notice; returns how many messages went. Network: never inside a transaction."""
    return sum(_send(pk) for pk in list(_due().filter(notice=notice_id).values_list("pk", flat=True)))


def sweep() -> dict[str, int]:
    """Called through settings.ALSO_SWEPT: notices whose task was lost or that could not be sent, and Telegram's leavings.

    Sent here and not enqueued: while a worker is down, every sweep would add the same tasks again.
    """
    now = timezone.now()
    late = NoticeDelivery.objects.filter(next_attempt_at__isnull=False, created_at__lt=now - TOO_OLD)
    late.update(next_attempt_at=None, last_error="It could not be sent in time.")
    lost = _due().filter(created_at__lt=now - NUDGE_LOST_AFTER).order_by("next_attempt_at")
    sent = sum(_send(pk) for pk in list(lost.values_list("pk", flat=True)[:AT_ONCE]))
    return {"notices_sent": sent, "telegram_rows_deleted": linking.forget_old()}


def _due() -> QuerySet[NoticeDelivery]:
    return NoticeDelivery.objects.filter(next_attempt_at__lte=timezone.now())


def _send(delivery_id: str) -> bool:
    """Send one delivery unless somebody did or is doing it. Returns whether it went from here; it raises nothing that
    would hold up the next one."""
    mine = NoticeDelivery.objects.filter(pk=delivery_id)
    claim = {"claimed_at": timezone.now(), "attempts": F("attempts") + 1, "next_attempt_at": None, "last_error": ""}
    if not _due().filter(pk=delivery_id).update(**claim):
        return False
    delivery = mine.select_related("notice__organization", "notice__wallet", "user").get()
    try:
        _refuse_strangers(delivery)
        if delivery.channel == NoticeDelivery.Channel.MAIL:
            _mail(delivery).send()
        else:
            _send_to_chat(delivery)
    except NotForThem as reason:
        mine.update(last_error=str(reason))
        return False
    except Exception as error:  # noqa: BLE001  whatever kept it: recorded, and tried again where it is known not to have gone
        logger.warning("%s was not sent: %s", delivery_id, told(error))
        ours = int(isinstance(error, messages.TokenRefused))  # not a try: nobody's message goes before that is mended
        mine.update(last_error=told(error), next_attempt_at=_next_try(delivery, error), attempts=F("attempts") - ours)
        return False
    mine.update(sent_at=timezone.now())
    return True


def _next_try(delivery: NoticeDelivery, error: Exception) -> datetime | None:
    if isinstance(error, messages.TokenRefused):
        return timezone.now() + TOKEN_AGAIN_AFTER
    if isinstance(error, messages.PerhapsSent) or delivery.attempts > len(TRY_AGAIN_AFTER):
        return None
    pause = TRY_AGAIN_AFTER[delivery.attempts - 1]
    return timezone.now() + max(pause, timedelta(seconds=getattr(error, "retry_after_s", None) or 0))


def _refuse_strangers(delivery: NoticeDelivery) -> None:
    """Whoever has left, has another role now, or was erased since the notice was written is not told."""
    admins = Membership.objects.filter(organization=delivery.organization_id, role__in=ADMINISTERING)
    if not admins.filter(user=delivery.user_id, user__is_active=True).exists():
        raise NotForThem("No longer an admin of the organization.")


def _mail(delivery: NoticeDelivery) -> EmailMultiAlternatives:
    address = delivery.user.email
    context = notice_words.context_of(delivery.notice) | {"email": address, "site": settings.FRONTEND_URL}
    mail = EmailMultiAlternatives(
        subject=context["subject"],
        body=render_to_string(f"mail/wallet_{delivery.notice.kind}.txt", context).strip() + "\n",
        to=[address],
        # The same on every try lets mail servers drop a second copy.
        headers={"Message-ID": f"<{delivery.pk}@largesse.notices>"},
    )
    mail.attach_alternative(render_to_string(f"mail/wallet_{delivery.notice.kind}.html", context), "text/html")
    return mail


def _send_to_chat(delivery: NoticeDelivery) -> None:
    """The words of the mail, without its footer."""
    link = TelegramLink.objects.filter(user=delivery.user_id).first()
    if link is None or not settings.TELEGRAM_BOT_TOKEN:
        raise NotForThem("No Telegram chat is linked any more.")
    context = notice_words.context_of(delivery.notice)
    try:
        messages.send(link.chat_id, render_to_string(f"mail/wallet_{delivery.notice.kind}.txt", context).strip())
    except messages.ChatGone as error:
        linking.unlink_chat(link.chat_id)
        raise NotForThem("The person has stopped the bot; their chat is not linked any more.") from error
