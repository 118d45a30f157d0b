"""Payments: a list that finds any id, and a page that tells each payment's story."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString

from conventions.admin_showing import breakable, link, link_by_id, list_url, moment, pill
from payments.admin import evidence, finding
from payments.admin.assigning import Assigning
from payments.admin.lists import ChoiceFilter, CurrencyFilter, ReadOnly
from payments.admin.mirror import mirrored_links
from payments.admin.refunding import Refunding
from payments.admin.showing import money
from payments.admin.story import tell
from payments.models import LedgerAccount, Payment, StripeEvent
from payments.states import product_state
from payments.unmatched import UNMATCHED


class PurposeFilter(ChoiceFilter):
    title = "purpose"
    parameter_name = "purpose"
    column = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [(purpose, purpose) for purpose in (*sorted(settings.PAYMENT_FULFILMENTS), UNMATCHED)]


class MoneyBackFilter(ChoiceFilter):
    title = "money back"
    parameter_name = "back"
    values = [("refunded", "refunded, in full or in part"), ("disputed", "funds held by a dispute")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        column = {"refunded": "refunded_minor__gt", "disputed": "disputed_minor__gt"}.get(self.value() or "")
        return queryset.filter(**{column: 0}) if column else queryset


def _state_if_it_says_more(payment: Payment) -> SafeString | str:
    """Money stays paid whatever becomes of it: what went back since is told in the words of gifts and purchases."""
    state = product_state(payment)
    return pill(state) if payment.status == "paid" and state != payment.status else ""


@admin.register(Payment)
class PaymentAdmin(Refunding, Assigning, ReadOnly):
    list_display = ("made", "amount", "status_pill", "payer", "purpose", "refunded", "disputed", "stripe_ids")
    list_filter = ("status", PurposeFilter, CurrencyFilter, MoneyBackFilter, "livemode")
    date_hierarchy = "created_at"
    search_help_text = finding.HELP

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(finding.payments_matching(term))

    def get_urls(self) -> list[Any]:
        urls: list[URLPattern] = [*self.refund_urls(), *self.assign_urls()]
        return [*urls, *super().get_urls()]

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context.update(self._page(request, obj))
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    def _page(self, request: HttpRequest, payment: Payment) -> dict[str, Any]:
        story = tell(payment, may=request.user.has_perm)
        may_refund = self.may_refund(request)
        change = "admin:payments_payment"
        unsent = [
            {
                "amount": money(refund.amount_minor, refund.currency),
                "made": moment(refund.created_at),
                "url": reverse(f"{change}_send_refund", args=[quote(payment.pk), quote(refund.pk)]),
            }
            for refund in story.refunds
            if evidence.is_unsent(refund)
        ]
        return {
            "title": f"Payment of {story.amount}",
            "subtitle": payment.pk,
            "story": story,
            "status": pill(payment.status),
            "state": _state_if_it_says_more(payment),
            "facts": self._facts(payment, story.product),
            "steps": [(moment(step.at), step) for step in story.steps],
            "tables": evidence.tables(story),
            "unsent": unsent,
            "may_refund": may_refund,
            "refund_url": reverse(f"{change}_refund", args=[quote(payment.pk)])
            if may_refund and story.refundable_minor > 0
            else "",
            "assign_url": reverse(f"{change}_assign", args=[quote(payment.pk)])
            if self.may_assign(request) and payment.purpose == UNMATCHED
            else "",
            "events_url": list_url(StripeEvent, q=payment.pk),
        }

    def _facts(self, payment: Payment, product: str) -> list[tuple[str, SafeString | str]]:
        """What is on record, without what is empty."""
        facts = [
            ("For", product),
            ("Purpose", payment.purpose),
            ("Subject", link_by_id(payment.subject_id) if payment.subject_id else ""),
            ("Destination", link(LedgerAccount, payment.destination_id)),
            ("Payer", " ".join(filter(None, (payment.customer_name, payment.customer_email)))),
            ("User", link_by_id(payment.user_id) if payment.user_id else ""),
            ("Organization", link_by_id(payment.organization_id) if payment.organization_id else ""),
            ("Checkout session", payment.checkout_session or ""),
            ("Payment intent", payment.payment_intent or ""),
            ("Charge", payment.charge or ""),
            ("Customer at Stripe", payment.stripe_customer or ""),
            ("Stripe's receipt", payment.receipt_url),
            *mirrored_links(payment),
            ("Mode", "live" if payment.livemode else "test"),
        ]
        return [(name, value) for name, value in facts if value]

    @admin.display(description="made")
    def made(self, payment: Payment) -> str:
        return moment(payment.created_at)

    @admin.display(description="amount")
    def amount(self, payment: Payment) -> str:
        return payment.money.display()

    @admin.display(description="status")
    def status_pill(self, payment: Payment) -> SafeString:
        return pill(payment.status)

    @admin.display(description="refunded")
    def refunded(self, payment: Payment) -> str:
        return money(payment.refunded_minor, payment.currency) if payment.refunded_minor else "–"

    @admin.display(description="disputed")
    def disputed(self, payment: Payment) -> str:
        return money(payment.disputed_minor, payment.currency) if payment.disputed_minor else "–"

    @admin.display(description="e-mail")
    def payer(self, payment: Payment) -> str:
        return breakable(payment.customer_email or "–")

    @admin.display(description="at Stripe")
    def stripe_ids(self, payment: Payment) -> str:
        return payment.charge or payment.payment_intent or payment.checkout_session or "–"
