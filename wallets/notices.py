"""Telling an organization's admins what happened to its money: written down with the fact, sent by a task after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import ADMINISTERING, Membership
from conventions import tenancy
from wallets.models import Notice, NoticeDelivery, TelegramLink, Wallet
from wallets.tasks import send_notices

Channel = NoticeDelivery.Channel


def tell(wallet: Wallet, kind: str, *, key: str, facts: Mapping[str, Any] | None = None) -> None:
    """Write a notice for every owner and admin, by mail and to the chat that they linked, in the caller's transaction; a key
    that exists changes nothing."""
    facts = {"currency": wallet.currency, **(facts or {})}
    tell_organization(wallet.organization_id, kind, key=key, facts=facts, wallet=wallet)


def tell_organization(organization: str, kind: str, *, key: str, facts: Mapping[str, Any], wallet: Wallet | None = None) -> None:
    notice = Notice(organization_id=organization, wallet=wallet, kind=kind, key=key, facts=dict(facts))
    Notice.objects.bulk_create([notice], ignore_conflicts=True)
    if not Notice.objects.filter(pk=notice.pk).exists():
        return
    admins = Membership.objects.filter(organization=organization, role__in=ADMINISTERING).order_by("user")
    told = list(admins.values_list("user_id", flat=True))
    # Not to an address that somebody only typed: whoever names an organization could send their text to anybody by it.
    proved = admins.filter(user__email_proved_at__isnull=False)
    ways = [(user, Channel.MAIL) for user in proved.values_list("user_id", flat=True)]
    if settings.TELEGRAM_BOT_TOKEN:
        with tenancy.everything():  # whoever causes the notice does not see the chats of others
            linked = TelegramLink.objects.filter(user__in=told).order_by("user")
            ways += [(user, Channel.TELEGRAM) for user in linked.values_list("user_id", flat=True)]
    now = timezone.now()
    NoticeDelivery.objects.bulk_create(
        NoticeDelivery(organization_id=organization, notice=notice, user_id=user, channel=channel, next_attempt_at=now)
        for user, channel in ways
    )
    send_notices.enqueue(notice.pk)
