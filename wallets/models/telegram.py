"""The chats through which people hear of their organizations' wallets."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from conventions.public_ids import IdentifierField, PublicIdField


class TelegramLink(models.Model):
    """One private chat of one person: what is asked there is answered as to that person."""

    id = PublicIdField(prefix="chat")
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="telegram_link")
    chat_id = models.BigIntegerField(unique=True, help_text="Telegram's number of the chat.")
    organization = models.ForeignKey(
        Organization, models.SET_NULL, null=True, blank=True, related_name="+", help_text="Chosen, of those of the person."
    )
    linked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return str(self.pk)


class TelegramCode(models.Model):
    """What links a chat, once: a person asks for it here and sends it from there. Only its digest is kept."""

    id = PublicIdField(prefix="code")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="telegram_codes")
    code_hash = IdentifierField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="telegramcode_one_open_per_user", fields=["user"], condition=Q(used_at=None)),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class TelegramUpdate(models.Model):
    """A message that the bot has taken: written before it is answered, so that none is answered twice."""

    id = models.BigIntegerField(primary_key=True, help_text="Telegram's update_id.")
    taken_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return str(self.pk)
