"""What watches over payments: alerts that were raised, and runs of `reconcile`."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from conventions.admin_showing import pill
from payments.admin.lists import ChoiceFilter, ReadOnly
from payments.admin.returns import time_of
from payments.admin.showing import stripe_link
from payments.models import Alert, Reconciliation

# An alert quotes the event's error, which may quote what was sent: it is for those who may open the event.
QUOTES = "payments.view_stripeevent"


class NullFilter(ChoiceFilter):
    """By whether a time is known: `values` are "no", where it is null, and "yes"."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(**{f"{self.column}__isnull": self.value() == "no"})


class AlertOverFilter(NullFilter):
    title = "state"
    parameter_name = "over"
    column = "resolved_at"
    values = [("no", "open"), ("yes", "over")]


class ToldFilter(NullFilter):
    title = "staff"
    parameter_name = "told"
    column = "told_at"
    values = [("yes", "were told"), ("no", "were not told yet")]


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_display = ("raised", "what", "state_pill", "about", "told", "text")
    list_filter = (AlertOverFilter, "kind", ToldFilter)
    date_hierarchy = "raised_at"
    search_help_text = "The event that it is about (evt_…): the dead one, or the last before a silence."
    fields = ("what", "text", "state_pill", "about", "raised", "told", "resolved", "last_error")
    raised = time_of("raised_at", "raised")
    told = time_of("told_at", "staff told")
    resolved = time_of("resolved_at", "over")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(subject=term)

    def get_list_display(self, request: HttpRequest) -> Any:
        return _readable(self.list_display, request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return _readable(self.fields, request)

    @admin.display(description="what")
    def what(self, alert: Alert) -> str:
        return alert.get_kind_display()

    @admin.display(description="state")
    def state_pill(self, alert: Alert) -> SafeString:
        return pill("done", "over") if alert.resolved_at else pill("failed", "open")

    @admin.display(description="event")
    def about(self, alert: Alert) -> SafeString | str:
        return stripe_link(alert.subject)


def _readable(names: Any, request: HttpRequest) -> list[str]:
    return [name for name in names if name != "text" or request.user.has_perm(QUOTES)]


class FinishedFilter(NullFilter):
    title = "state"
    parameter_name = "finished"
    column = "finished_at"
    values = [("yes", "finished"), ("no", "not finished")]


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnly):
    list_display = ("started", "asked", "state_pill", "found", "mended", "since_when", "until_when")
    list_filter = (FinishedFilter,)
    date_hierarchy = "started_at"
    search_help_text = "The window as it was asked for (30d .. now), or the Stripe object at which a run stands."
    fields = (
        "asked",
        "since_when",
        "until_when",
        "state_pill",
        "found",
        "mended",
        "step",
        "stands_at",
        "started",
        "touched",
        "finished",
    )
    started = time_of("started_at", "started")
    touched = time_of("touched_at", "last page")
    finished = time_of("finished_at", "finished")
    since_when = time_of("since", "from")
    until_when = time_of("until", "to")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(Q(asked__icontains=term) | Q(cursor=term))

    @admin.display(description="state")
    def state_pill(self, run: Reconciliation) -> SafeString:
        """Whether an unfinished run goes on this moment or was interrupted, `touched` tells."""
        return pill("done", "finished") if run.finished_at else pill("pending", "not finished")

    @admin.display(description="after")
    def stands_at(self, run: Reconciliation) -> SafeString | str:
        return stripe_link(run.cursor)
