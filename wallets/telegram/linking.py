"""Linking a chat to a person: they ask for a code where they are logged in, and send it to the bot.

The code is long and random, works once and for ten minutes; only its digest is kept.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from conventions.trying_again import in_transaction
from wallets.models import TelegramCode, TelegramLink, TelegramUpdate
from wallets.telegram import messages

CODE_LIVES = timedelta(minutes=10)
UPDATES_KEPT, CODES_KEPT = timedelta(days=2), timedelta(days=1)  # Telegram tells an update for a day
AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Code:
    code: str
    expires_at: datetime
    link: str


def make_code(*, user: User) -> Code:
    """A new code, in place of the open one. Raises TelegramOff and TelegramUnavailable; calls Telegram: never inside a
    transaction."""
    name = messages.bot_name()
    code, expires_at = secrets.token_urlsafe(24), timezone.now() + CODE_LIVES
    with transaction.atomic(durable=True):
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # of two at once the later one's is the open one
        TelegramCode.objects.filter(user=user, used_at=None).delete()
        TelegramCode.objects.create(user=user, code_hash=_digest(code), expires_at=expires_at)
    return Code(code=code, expires_at=expires_at, link=f"https://t.me/{name}?start={code}")


def link_chat(*, chat_id: int, code: str) -> TelegramLink | None:
    """Use a code: the chat is its person's from now on, instead of any other chat of theirs, and of any other person.

    None for a code that is used, expired or was never made; which of these nobody is told.
    """

    def work() -> TelegramLink | None:
        now = timezone.now()
        found = TelegramCode.objects.filter(code_hash=_digest(code), used_at=None, expires_at__gt=now, user__is_active=True)
        if not found.update(used_at=now):
            return None
        user = TelegramCode.objects.get(code_hash=_digest(code)).user_id
        TelegramLink.objects.filter(chat_id=chat_id).exclude(user=user).delete()
        values = {"chat_id": chat_id, "linked_at": now, "organization": None}
        return TelegramLink.objects.update_or_create(user_id=user, defaults=values)[0]

    return in_transaction(work, what="linking a chat")


def link_of(chat_id: int) -> TelegramLink | None:
    """With its person, as long as they may log in."""
    found = TelegramLink.objects.select_related("user").filter(chat_id=chat_id, user__is_active=True)
    return found.first()


def unlink(*, user: User) -> None:
    """The person's chat, and the code that could link another; nothing where there is none."""
    TelegramCode.objects.filter(user=user).delete()
    TelegramLink.objects.filter(user=user).delete()


def unlink_chat(chat_id: int) -> None:
    TelegramLink.objects.filter(chat_id=chat_id).delete()


def forget_old() -> int:
    """Delete codes and updates that can do nothing any more; returns how many, at most AT_ONCE of each."""
    now = timezone.now()
    deleted = 0
    for old in (
        TelegramCode.objects.filter(expires_at__lt=now - CODES_KEPT),
        TelegramUpdate.objects.filter(taken_at__lt=now - UPDATES_KEPT),
    ):
        deleted += old.model._default_manager.filter(pk__in=list(old.values_list("pk", flat=True)[:AT_ONCE])).delete()[0]
    return deleted


def _digest(code: str) -> str:
    """Codes are long and random: a plain digest cannot be reversed."""
    return sha256(code.encode()).hexdigest()
