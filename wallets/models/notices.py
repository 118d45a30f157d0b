"""What an organization's people are told about its money, and how far the telling got."""

from __future__ import annotations

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from conventions.public_ids import IdentifierField, PublicIdField
from wallets.models.wallets import Wallet


class Notice(models.Model):
    """Something to tell, once: `key` names what caused it."""

    class Kind(models.TextChoices):
        TOPPED_UP = "topped_up"
        TOP_UP_FAILED = "top_up_failed"
        AUTHENTICATION_NEEDED = "authentication_needed"
        LOW_BALANCE = "low_balance"
        MONEY_OWED = "money_owed"
        CARD_EXPIRING = "card_expiring"

    id = PublicIdField(prefix="notice")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="notices")
    wallet = models.ForeignKey(Wallet, models.PROTECT, null=True, blank=True, related_name="notices")
    kind = models.CharField(max_length=30, choices=Kind)
    key = IdentifierField(max_length=120, unique=True)
    facts = models.JSONField(default=dict, encoder=DjangoJSONEncoder, help_text="What the words are made of.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class NoticeDelivery(models.Model):
    """One notice to one person by one channel: claimed before it is sent, so that none goes out twice."""

    class Channel(models.TextChoices):
        MAIL = "mail"
        TELEGRAM = "telegram"

    id = PublicIdField(prefix="delivery")
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="notice_deliveries")
    notice = models.ForeignKey(Notice, models.CASCADE, related_name="deliveries")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notice_deliveries")
    channel = models.CharField(max_length=8, choices=Channel)
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, help_text="Null once it was sent or given up.")
    last_error = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(name="noticedelivery_due", fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False))
        ]
        constraints = [
            models.UniqueConstraint(name="noticedelivery_once", fields=["notice", "user", "channel"]),
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} by {self.channel}"
