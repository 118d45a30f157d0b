"""Refunds and disputes: money that went back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.safestring import SafeString

from conventions.admin_showing import link, moment, pill
from payments.admin.evidence import refund_state
from payments.admin.finding import payments_matching
from payments.admin.lists import ChoiceFilter, ReadOnly
from payments.admin.showing import money
from payments.models import Dispute, Payment, Refund
from payments.states import DISPUTE_STATUSES


def time_of(column: str, description: str) -> Callable[[ReadOnly, Any], str]:
    """A column of a list or page that shows a time."""

    @admin.display(description=description)
    def shown(model_admin: ReadOnly, row: Any) -> str:
        return moment(getattr(row, column))

    return shown


class OfPayment(ReadOnly):
    """What refunds and disputes have in common: an amount of a payment, and ids of ours and Stripe's."""

    our_prefix = ""
    stripe_prefixes: tuple[str, ...] = ()

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith(self.our_prefix):
            return queryset.filter(pk=term)
        if term.startswith(self.stripe_prefixes):
            return queryset.filter(stripe_id=term)
        return queryset.filter(payment__in=Payment.objects.filter(payments_matching(term)))

    @admin.display(description="amount")
    def amount(self, row: Any) -> str:
        return money(row.amount_minor, row.currency)

    @admin.display(description="payment")
    def of_payment(self, row: Any) -> SafeString | str:
        return link(Payment, row.payment_id)


class UnsentFilter(ChoiceFilter):
    title = "sent"
    parameter_name = "sent"
    values = [("no", "not yet sent to Stripe"), ("yes", "known to Stripe")]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"no", "yes"}:
            return queryset
        return queryset.filter(stripe_id__isnull=self.value() == "no")


@admin.register(Refund)
class RefundAdmin(OfPayment):
    our_prefix, stripe_prefixes = "refund_", ("re_", "pyr_")
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
    made = time_of("created_at", "made")
    succeeded = time_of("succeeded_at", "succeeded")
    failed = time_of("failed_at", "failed")
    canceled = time_of("canceled_at", "canceled")

    @admin.display(description="status")
    def status_pill(self, refund: Refund) -> SafeString:
        return refund_state(refund)


class DisputeStatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    column = "status"
    values = [(status, status.replace("_", " ")) for status in DISPUTE_STATUSES]


@admin.register(Dispute)
class DisputeAdmin(OfPayment):
    our_prefix, stripe_prefixes = "dispute_", ("dp_", "du_")
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
    opened = time_of("opened_at", "opened")
    evidence_due = time_of("evidence_due_at", "evidence due")
    withdrawn = time_of("funds_withdrawn_at", "funds withdrawn")
    reinstated = time_of("funds_reinstated_at", "funds reinstated")
    closed = time_of("closed_at", "closed")

    @admin.display(description="status")
    def status_pill(self, dispute: Dispute) -> SafeString:
        return pill(dispute.status)
