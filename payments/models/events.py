"""The inbox: every event that Stripe sent, as it came, and what became of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from conventions.public_ids import IdentifierField


class StripeEvent(models.Model):
    class State(models.TextChoices):
        RECEIVED = "received", "received"
        APPLIED = "applied", "applied"
        IGNORED = "ignored", "ignored: nothing of ours"
        PARKED = "parked", "parked: its payment is not known yet"
        FAILED = "failed", "failed: will be tried again"
        DEAD = "dead", "dead: tries used up, staff must look"

    class Source(models.TextChoices):
        WEBHOOK = "webhook"
        PULL = "pull"
        REDIRECT = "redirect"
        REPLAY = "replay"

    id = IdentifierField(primary_key=True, max_length=255)
    type = models.CharField(max_length=80)
    api_version = models.CharField(max_length=40, blank=True, default="")
    object_id = IdentifierField(max_length=255, db_index=True, help_text="The id of the object it is about.")
    livemode = models.BooleanField()
    created_at = models.DateTimeField(help_text="Stripe's time.")
    received_at = models.DateTimeField(auto_now_add=True, db_index=True)
    source = models.CharField(max_length=8, choices=Source)
    payload = models.TextField(help_text="The body as it was received.")
    state = models.CharField(max_length=8, choices=State)
    waiting_for = IdentifierField(max_length=255, null=True, help_text="The id whose payment it waits for, while parked.")
    deliveries = models.PositiveIntegerField(default=1, help_text="How often it came.")
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    next_attempt_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("replay_event", "Can replay events")]
        indexes = [
            models.Index(
                name="stripeevent_unfinished",
                fields=["next_attempt_at"],
                condition=Q(state__in=["received", "parked", "failed"]),
            ),
            models.Index(name="stripeevent_waiting", fields=["waiting_for"], condition=Q(state="parked")),
            models.Index(name="stripeevent_dead", fields=["received_at"], condition=Q(state="dead")),
        ]
        constraints = [
            models.CheckConstraint(
                name="stripeevent_state_known",
                condition=Q(state__in=["received", "applied", "ignored", "parked", "failed", "dead"]),
            ),
            models.CheckConstraint(
                name="stripeevent_parked_waits_for_something", condition=~Q(state="parked") | Q(waiting_for__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"
