"""Replaying an event from the back office: first what it would change, then, confirmed, the same in earnest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts import audit
from accounts.audited_admin import staff_of
from accounts.models import User
from conventions.admin_lists import ModelAdmin
from conventions.admin_showing import change_url, pill
from conventions.trying_again import in_transaction
from payments.admin.acting import may
from payments.models import StripeEvent
from payments.replaying import Replayed, RowChange, preview, replay

PERMISSION = "payments.replay_event"
MOST_SHOWN = 100
LONGEST_VALUE = 80


def replay_event(*, event: StripeEvent, actor: User) -> Replayed:
    """Apply a stored event again and write down who had it done; both commit together."""

    def work() -> Replayed:
        outcome = replay([event.pk])
        told = outcome.failed.get(event.pk) or ("busy" if event.pk in outcome.busy else outcome.states.get(event.pk, "unknown"))
        audit.record(
            actor=actor, action="event.replayed", target=event, before={"state": event.state}, after={"state": str(told)}
        )
        return outcome

    return in_transaction(work, what=f"the replay of {event.pk}")


if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object


class Replaying(_Base):
    """Adds the view to the admin of events."""

    change_form_template = "admin/payments/stripeevent/change_form.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.replay_view)
        urls: list[URLPattern] = [path("<path:object_id>/replay/", view, name="payments_stripeevent_replay")]
        return [*urls, *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if may(self, request, PERMISSION) and context.get("original"):
            context["replay_url"] = reverse("admin:payments_stripeevent_replay", args=[quote(context["original"].pk)])
        return super().render_change_form(request, context, *args, **kwargs)

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not may(self, request, PERMISSION):
            raise PermissionDenied
        event = StripeEvent.objects.filter(pk=unquote(object_id)).defer("payload").first()
        if event is None:
            raise Http404("There is no such event.")
        if request.method == "POST":
            self._tell(request, event, replay_event(event=event, actor=staff_of(request)))
            return HttpResponseRedirect(change_url(StripeEvent, event.pk))
        seen = preview([event.pk])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": event,
            "title": "Replay",
            "subtitle": event.pk,
            "state": pill(event.state),
            "changes": [_row(change) for change in seen.changes[:MOST_SHOWN]],
            "more": max(0, len(seen.changes) - MOST_SHOWN),
            "would_fail": seen.failed.get(event.pk, ""),
            "is_busy": event.pk in seen.busy,
            "event_url": change_url(StripeEvent, event.pk),
        }
        return TemplateResponse(request, "admin/payments/stripeevent/replay.html", context)

    def _tell(self, request: HttpRequest, event: StripeEvent, outcome: Replayed) -> None:
        if event.pk in outcome.failed:
            self.message_user(request, f"It could not be applied: {outcome.failed[event.pk]}", messages.ERROR)
        elif event.pk in outcome.busy:
            self.message_user(request, "Somebody else is applying this event now; look again in a moment.", messages.WARNING)
        else:
            state = str(outcome.states.get(event.pk, "unknown"))
            woken = len(outcome.states) - 1
            others = f" {woken} more that waited for it were applied with it." if woken > 0 else ""
            self.message_user(request, f"Applied again: the event is {state}.{others}", messages.SUCCESS)


def _row(change: RowChange) -> tuple[str, str, str, list[tuple[str, str, str]]]:
    """What a change is, as the preview shows it: table, row, what becomes of it, and each column before and after."""
    columns = [(name, _said(before), _said(after)) for name, (before, after) in change.columns.items()]
    table = change.table.partition("_")[2] or change.table
    return table, change.row, change.change, columns


def _said(value: Any) -> str:
    text = "–" if value is None or value == "" else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
