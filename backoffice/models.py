"""Export: a file of donations, transfers, top-ups or spends that staff asked for, made in the background."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from conventions.public_ids import PublicIdField


class Export(models.Model):
    """What was asked for, by whom, how far it is, and where the file is until it expires.

    The row stays when the file is gone: who took personal data out of the system is worth knowing for longer.
    """

    class Kind(models.TextChoices):
        DONATIONS = "donations"
        TRANSFERS = "transfers"
        TOP_UPS = "top_ups", "Top-ups of wallets"
        SPENDS = "spends", "Spends of wallets"

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        XLSX = "xlsx", "Excel (XLSX)"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = PublicIdField(prefix="export")
    kind = models.CharField(max_length=9, choices=Kind)
    format = models.CharField(max_length=4, choices=Format)
    filters = models.JSONField(default=dict, blank=True, help_text="What was chosen; see backoffice/exports/filters.py.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    rows_done = models.BigIntegerField(default=0)
    rows_total_estimate = models.BigIntegerField(null=True, blank=True, help_text="What the database guesses; may be wrong.")
    file_name = models.CharField(max_length=200, blank=True, default="", help_text="Empty while there is no file.")
    size_bytes = models.BigIntegerField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    progress_at = models.DateTimeField(null=True, blank=True, help_text="When its worker last said that it lives.")
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When the file is deleted.")

    class Meta:
        default_permissions = ("view",)
        permissions = [("export", "Can export donations and transfers")]
        indexes = [
            models.Index(name="export_unfinished", fields=["created_at"], condition=Q(state__in=["queued", "running"])),
            models.Index(name="export_kept", fields=["expires_at"], condition=~Q(file_name="")),
        ]
        constraints = [
            models.CheckConstraint(
                name="export_kind_known", condition=Q(kind__in=["donations", "transfers", "top_ups", "spends"])
            ),
            models.CheckConstraint(name="export_format_known", condition=Q(format__in=["csv", "xlsx"])),
            models.CheckConstraint(name="export_state_known", condition=Q(state__in=["queued", "running", "done", "failed"])),
            models.CheckConstraint(
                name="export_done_says_when_it_expires",
                condition=~Q(state="done") | Q(finished_at__isnull=False, expires_at__isnull=False, size_bytes__isnull=False),
            ),
            models.CheckConstraint(name="export_file_only_when_done", condition=Q(file_name="") | Q(state="done")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} as {self.format}, {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_waiting(self) -> bool:
        """Whether somebody still works, or will work, on it."""
        return self.state in {self.State.QUEUED, self.State.RUNNING}

    @property
    def is_here(self) -> bool:
        """Whether its file can be downloaded."""
        return bool(self.file_name) and self.expires_at is not None and self.expires_at > timezone.now()

    @property
    def percent(self) -> int | None:
        """How far it is, by the estimate; None where there is none, 99 at most before it is done."""
        if self.state == self.State.DONE:
            return 100
        if not self.rows_total_estimate:
            return None
        return min(99, 100 * self.rows_done // self.rows_total_estimate)
