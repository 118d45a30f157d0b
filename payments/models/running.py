"""How the machinery runs: what metrics and the mirror must know across processes, machines and restarts."""

from __future__ import annotations

from django.db import models

from conventions.public_ids import IdentifierField


class LastRun(models.Model):
    """The last run of something that should run again and again (`check_books`, `sweep`, …), and what it found."""

    name = models.CharField(max_length=40, primary_key=True)
    finished_at = models.DateTimeField()
    found = models.PositiveIntegerField(default=0, help_text="How much was wrong.")

    def __str__(self) -> str:
        return f"{self.name} {self.finished_at:%Y-%m-%d %H:%M:%S}"


class StripeCallTally(models.Model):
    """Calls to Stripe since ever, by operation and outcome: a histogram of their time that all processes add to.

    A column `le_…` counts the calls that took at most so many milliseconds, faster ones included, as Prometheus
    counts.
    """

    BUCKETS_MS = (100, 250, 500, 1000, 2500, 5000, 12000)

    operation = models.CharField(max_length=80, help_text="Method and path, ids left out.")
    outcome = models.CharField(max_length=12, help_text="ok, declined, refused, busy, failed, timeout or unreachable.")
    calls = models.BigIntegerField(default=0)
    total_ms = models.BigIntegerField(default=0)
    le_100 = models.BigIntegerField(default=0)
    le_250 = models.BigIntegerField(default=0)
    le_500 = models.BigIntegerField(default=0)
    le_1000 = models.BigIntegerField(default=0)
    le_2500 = models.BigIntegerField(default=0)
    le_5000 = models.BigIntegerField(default=0)
    le_12000 = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(name="stripecalltally_once", fields=["operation", "outcome"])]

    def __str__(self) -> str:
        return f"{self.operation} {self.outcome}: {self.calls}"


class MirrorCursor(models.Model):
    """How far something got: the mirror through the inbox (`events`) and through each of Stripe's lists at the first sync,
    retention through the inbox and the outbox (`retention:…`)."""

    name = models.CharField(max_length=60, primary_key=True)
    received_at = models.DateTimeField(null=True, help_text="Of the last event whose object was mirrored.")
    position = IdentifierField(max_length=255, blank=True, default="", help_text="The last id that was mirrored.")
    is_done = models.BooleanField(default=False, help_text="The list was read to its end.")
    leased_until = models.DateTimeField(null=True, help_text="Another process mirrors until then.")

    def __str__(self) -> str:
        return f"{self.name} {self.position}"


class MirrorGap(models.Model):
    """An object that could not be mirrored, and when it is tried again; null once tries are used up."""

    object_id = IdentifierField(primary_key=True, max_length=255)
    kind = models.CharField(max_length=40)
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True, default="")
    next_attempt_at = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.object_id} {self.last_error}"
