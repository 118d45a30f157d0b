"""What staff must be told of, once each."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from conventions.public_ids import IdentifierField


class Alert(models.Model):
    """Raised by the sweep, mailed once, closed by the sweep when its cause is gone. Open: `resolved_at` is null."""

    class Kind(models.TextChoices):
        DEAD_EVENT = "dead_event", "an event that will not be tried again"
        SILENCE = "silence", "payments start, but no webhook comes"

    kind = models.CharField(max_length=20, choices=Kind)
    # The id of the dead event, or of the last one that came before the silence: two sweeps raise the same alert.
    subject = IdentifierField(max_length=255, blank=True)
    text = models.TextField(help_text="What happened, in one sentence.")
    raised_at = models.DateTimeField(auto_now_add=True)
    claimed_by = IdentifierField(max_length=40, blank=True, default="", help_text="The run that is mailing it.")
    claimed_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When staff were told; null while no mail went.")
    last_error = models.CharField(max_length=500, blank=True, default="")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="alert_raised_once", fields=["kind", "subject"])]
        indexes = [
            models.Index(name="alert_untold", fields=["raised_at"], condition=Q(told_at=None)),
            models.Index(name="alert_open", fields=["kind"], condition=Q(resolved_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
