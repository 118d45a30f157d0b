"""Refunds and disputes: money that went back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.safestring import SafeString

from payments.admin.evidence import refund_state
from payments.admin.finding import payments_matching
from payments.admin.lists import ChoiceFilter, ReadOnly
from payments.admin.showing import link, moment, money, pill
from payments.models import Dispute, Payment, Refund
from payments.states import DISPUTE_STATUSES


class UnsentFilter(ChoiceFilter):
    title = "sent"
    parameter_name = "sent"
    values = [("no", "not yet sent to Stripe"), ("yes", "known to Stripe")]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"no", "yes"}:
            return queryset
        return queryset.filter(stripe_id__isnull=self.value() == "no")


@admin.register(Refund)
class RefundAdmin(ReadOnly):
    list_display = ("made", "amount", "status_pill", "of_payment", "stripe_id", "reason", "requested_by")
    list_filter = ("status", UnsentFilter)
    list_select_related = ("requested_by",)
    date_hierarchy = "created_at"
    search_help_text = "A refund (refund_…, re_…), its payment by any id, or the payer's whole e-mail address."
    fields = (
        "id",
        "status_pill",
        "amount",
        "of_payment",
        "stripe_id",
        "reason",
        "note",
        "requested_by",
        "made",
        "succeeded",
        "failed",
        "canceled",
        "failure_reason",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("refund_"):
            return queryset.filter(pk=term)
        if term.startswith(("re_", "pyr_")):
            return queryset.filter(stripe_id=term)
        return queryset.filter(payment__in=Payment.objects.filter(payments_matching(term)))

    @admin.display(description="amount")
    def amount(self, refund: Refund) -> str:
        return money(refund.amount_minor, refund.currency)

    @admin.display(description="status")
    def status_pill(self, refund: Refund) -> SafeString:
        return refund_state(refund)

    @admin.display(description="payment")
    def of_payment(self, refund: Refund) -> SafeString | str:
        return link(Payment, refund.payment_id)

    @admin.display(description="made")
    def made(self, refund: Refund) -> str:
        return moment(refund.created_at)

    @admin.display(description="succeeded")
    def succeeded(self, refund: Refund) -> str:
        return moment(refund.succeeded_at)

    @admin.display(description="failed")
    def failed(self, refund: Refund) -> str:
        return moment(refund.failed_at)

    @admin.display(description="canceled")
    def canceled(self, refund: Refund) -> str:
        return moment(refund.canceled_at)


class DisputeStatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    column = "status"
    values = [(status, status.replace("_", " ")) for status in DISPUTE_STATUSES]


@admin.register(Dispute)
class DisputeAdmin(ReadOnly):
    list_display = ("opened", "amount", "status_pill", "of_payment", "stripe_id", "reason", "evidence_due")
    list_filter = (DisputeStatusFilter,)
    date_hierarchy = "opened_at"
    search_help_text = "A dispute (dispute_…, dp_…), its payment by any id, or the payer's whole e-mail address."
    fields = (
        "id",
        "status_pill",
        "amount",
        "of_payment",
        "stripe_id",
        "reason",
        "opened",
        "evidence_due",
        "withdrawn",
        "reinstated",
        "closed",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("dispute_"):
            return queryset.filter(pk=term)
        if term.startswith(("dp_", "du_")):
            return queryset.filter(stripe_id=term)
        return queryset.filter(payment__in=Payment.objects.filter(payments_matching(term)))

    @admin.display(description="amount")
    def amount(self, dispute: Dispute) -> str:
        return money(dispute.amount_minor, dispute.currency)

    @admin.display(description="status")
    def status_pill(self, dispute: Dispute) -> SafeString:
        return pill(dispute.status)

    @admin.display(description="payment")
    def of_payment(self, dispute: Dispute) -> SafeString | str:
        return link(Payment, dispute.payment_id)

    @admin.display(description="opened")
    def opened(self, dispute: Dispute) -> str:
        return moment(dispute.opened_at)

    @admin.display(description="evidence due")
    def evidence_due(self, dispute: Dispute) -> str:
        return moment(dispute.evidence_due_at)

    @admin.display(description="funds withdrawn")
    def withdrawn(self, dispute: Dispute) -> str:
        return moment(dispute.funds_withdrawn_at)

    @admin.display(description="funds reinstated")
    def reinstated(self, dispute: Dispute) -> str:
        return moment(dispute.funds_reinstated_at)

    @admin.display(description="closed")
    def closed(self, dispute: Dispute) -> str:
        return moment(dispute.closed_at)
