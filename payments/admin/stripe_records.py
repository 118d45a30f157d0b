"""What Stripe sent us and what we sent Stripe, as it was."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from conventions.admin_showing import breakable, link, link_by_id, moment, pill, pretty
from payments.admin.finding import events_matching, payments_matching
from payments.admin.lists import ChoiceFilter, ReadOnly
from payments.admin.replaying import Replaying
from payments.following import handled_types
from payments.models import Payment, StripeCall, StripeEvent


class EventTypeFilter(ChoiceFilter):
    title = "type"
    parameter_name = "type"
    column = "type"
    values = [(name, name) for name in handled_types()]


@admin.register(StripeEvent)
class StripeEventAdmin(Replaying, ReadOnly):
    list_display = ("received", "event_type", "state_pill", "object_id", "id", "source", "deliveries", "attempts")
    list_display_links = ("event_type",)
    list_filter = ("state", "source", EventTypeFilter)
    date_hierarchy = "received_at"
    ordering = ("-received_at",)
    oldest_by = "received_at"
    search_help_text = "An event (evt_…), the object it is about (pi_…, cs_…, ch_…, re_…, dp_…), or a payment (pay_…)."
    fields = (
        "id",
        "type",
        "state_pill",
        "object_id",
        "of_payment",
        "created",
        "received",
        "source",
        "deliveries",
        "attempts",
        "next_attempt",
        "waiting_for",
        "last_error",
        "api_version",
        "livemode",
        "document",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return events_matching(term, queryset)

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return self.list_display_links

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("payload")

    @admin.display(description="type")
    def event_type(self, event: StripeEvent) -> SafeString:
        return breakable(event.type)

    @admin.display(description="state")
    def state_pill(self, event: StripeEvent) -> SafeString:
        return pill(event.state)

    @admin.display(description="payment")
    def of_payment(self, event: StripeEvent) -> SafeString | str:
        about = Q(pk__in=[]) if event.object_id.startswith("evt_") else payments_matching(event.object_id)
        return link(Payment, Payment.objects.filter(about).values_list("pk", flat=True).first())

    @admin.display(description="made at Stripe")
    def created(self, event: StripeEvent) -> str:
        return moment(event.created_at)

    @admin.display(description="received")
    def received(self, event: StripeEvent) -> str:
        return moment(event.received_at)

    @admin.display(description="next attempt")
    def next_attempt(self, event: StripeEvent) -> str:
        return moment(event.next_attempt_at)

    @admin.display(description="payload")
    def document(self, event: StripeEvent) -> SafeString:
        return pretty(event.payload)


class AnsweredFilter(admin.SimpleListFilter):
    title = "answer"
    parameter_name = "answered"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [("yes", "answered"), ("no", "not answered"), ("error", "error kept")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "error":
            return queryset.exclude(error="")
        if self.value() in {"yes", "no"}:
            return queryset.filter(answered_at__isnull=self.value() == "no")
        return queryset


@admin.register(StripeCall)
class StripeCallAdmin(ReadOnly):
    list_display = ("planned", "operation", "made_for", "attempt", "answered", "error")
    list_display_links = ("operation",)
    list_filter = (AnsweredFilter,)
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    oldest_by = "created_at"
    search_help_text = "A call's whole key, or the payment or refund (pay_…, refund_…) it was made for."
    fields = (
        "key",
        "operation",
        "made_for",
        "attempt",
        "planned",
        "answered",
        "error_status",
        "error",
        "parameters",
        "kept_answer",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(pk=term) if ":" in term else queryset.filter(subject_id=term)

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return self.list_display_links

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("params", "answer")

    @admin.display(description="made for")
    def made_for(self, call: StripeCall) -> SafeString | str:
        return link_by_id(call.subject_id)

    @admin.display(description="planned")
    def planned(self, call: StripeCall) -> str:
        return moment(call.created_at)

    @admin.display(description="answered")
    def answered(self, call: StripeCall) -> str:
        return moment(call.answered_at)

    @admin.display(description="parameters")
    def parameters(self, call: StripeCall) -> SafeString:
        return pretty(call.params)

    @admin.display(description="answer")
    def kept_answer(self, call: StripeCall) -> SafeString:
        return pretty(call.answer)
