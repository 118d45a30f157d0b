"""What Stripe's own books say, as `reconcile` pulled it: every movement of the balance at Stripe, and what went to the bank."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from conventions.admin_showing import link, list_url, pill
from payments import bookkeeping
from payments.admin.finding import balance_transactions_matching, payments_matching
from payments.admin.lists import ChoiceFilter, CurrencyFilter, ReadOnly
from payments.admin.mirror import dashboard_link, mirrored_link
from payments.admin.returns import time_of
from payments.admin.showing import money, stripe_link
from payments.models import BalanceTransaction, Payment, Payout, Transfer

TYPES = sorted({"adjustment", *bookkeeping.OF_CHARGES, *bookkeeping.OF_REFUNDS, *bookkeeping.OF_PAYOUTS, *bookkeeping.OF_FEES})
PAYOUT_STATUSES = ("pending", "in_transit", "paid", "failed", "canceled")


class OfStripesBooks(ReadOnly):
    """Rows by Stripe's id, in the order of Stripe's time."""

    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    oldest_by = "created_at"
    # Parts of the page that only those see who may open what they link to.
    needs: ClassVar[dict[str, str]] = {}
    made = time_of("created_at", "made at Stripe")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for name in self.fields or () if name not in self.needs or request.user.has_perm(self.needs[name])]

    @admin.display(description="amount")
    def amount(self, row: Any) -> str:
        return money(row.amount_minor, row.currency)


class TypeFilter(ChoiceFilter):
    title = "type"
    parameter_name = "type"
    column = "type"
    values = [(name, name.replace("_", " ")) for name in TYPES]


class PaidOutFilter(ChoiceFilter):
    title = "paid out"
    parameter_name = "paid_out"
    values = [("yes", "by a known payout"), ("no", "not yet, or not known")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(payout__isnull=self.value() == "no")


@admin.register(BalanceTransaction)
class BalanceTransactionAdmin(OfStripesBooks):
    list_display = ("made", "kind", "amount", "fee", "net", "of_source", "paid_out_by", "id")
    list_filter = (TypeFilter, CurrencyFilter, PaidOutFilter)
    search_help_text = (
        "A balance transaction (txn_…), what it is of (ch_…, re_…, dp_…), its payout (po_…), or a payment by any id or by the "
        "payer's whole e-mail address."
    )
    fields = (
        "id",
        "kind",
        "category",
        "amount",
        "fee",
        "fee_parts",
        "net",
        "converted",
        "of_source",
        "of_payment",
        "paid_out_by",
        "posted",
        "mirrored",
        "made",
        "available",
        "pulled",
    )
    needs = {
        "of_payment": "payments.view_payment",
        "posted": "payments.view_transfer",
        "mirrored": "djstripe.view_balancetransaction",
    }
    available = time_of("available_at", "available")
    pulled = time_of("pulled_at", "pulled")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(balance_transactions_matching(term))

    @admin.display(description="type")
    def kind(self, row: BalanceTransaction) -> str:
        return row.type.replace("_", " ")

    @admin.display(description="fee")
    def fee(self, row: BalanceTransaction) -> str:
        return money(row.fee_minor, row.currency) if row.fee_minor else "–"

    @admin.display(description="net")
    def net(self, row: BalanceTransaction) -> str:
        return money(row.net_minor, row.currency)

    @admin.display(description="the fee is")
    def fee_parts(self, row: BalanceTransaction) -> SafeString | str:
        parts = (
            (money(part["amount_minor"], part["currency"]), part["memo"] or part["type"].replace("_", " "))
            for part in row.fee_details
        )
        return format_html_join(", ", "{} {}", parts) or "–"

    @admin.display(description="converted")
    def converted(self, row: BalanceTransaction) -> str:
        if row.source_amount_minor is None or row.source_currency is None:
            return "–"
        return f"from {money(row.source_amount_minor, row.source_currency)} at {row.exchange_rate}"

    @admin.display(description="source")
    def of_source(self, row: BalanceTransaction) -> SafeString | str:
        return stripe_link(row.source)

    @admin.display(description="payment")
    def of_payment(self, row: BalanceTransaction) -> SafeString | str:
        return link(Payment, _payment_id(row))

    @admin.display(description="payout")
    def paid_out_by(self, row: BalanceTransaction) -> SafeString | str:
        return link(Payout, row.payout)

    @admin.display(description="in the books")
    def posted(self, row: BalanceTransaction) -> SafeString | str:
        """By the keys of what follows from it: `source` of a transfer has no index."""
        keys = [posting.key for posting in bookkeeping.balance_postings_due(row)]
        return _transfer_links([*keys, bookkeeping.movement_key(row, _payment_id(row))])

    @admin.display(description="Stripe's copy")
    def mirrored(self, row: BalanceTransaction) -> SafeString | str:
        return mirrored_link("balance_transaction", row.pk) or "–"


def _payment_id(row: BalanceTransaction) -> str | None:
    """Of the payment whose charge, refund or dispute the row is of."""
    if not row.source or not bookkeeping.belongs_to_payment(row):
        return None
    return Payment.objects.filter(payments_matching(row.source)).values_list("pk", flat=True).first()


def _transfer_links(keys: Iterable[str | None]) -> SafeString | str:
    found = Transfer.objects.filter(key__in=[key for key in keys if key]).order_by("pk")
    links = ((link(Transfer, transfer.pk, transfer.key), money(transfer.amount_minor, transfer.currency)) for transfer in found)
    return format_html_join(SafeString("<br>"), "{} {}", links) or "–"


class PayoutStatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    column = "status"
    values = [(status, status.replace("_", " ")) for status in PAYOUT_STATUSES]


@admin.register(Payout)
class PayoutAdmin(OfStripesBooks):
    list_display = ("made", "amount", "status_pill", "arrival", "how", "itemized", "id")
    list_filter = (PayoutStatusFilter, CurrencyFilter, "automatic")
    search_help_text = "A payout (po_…), or a balance transaction that it paid out (txn_…)."
    fields = (
        "id",
        "status_pill",
        "amount",
        "how",
        "failure_code",
        "made",
        "arrival",
        "itemized",
        "paid_out",
        "posted",
        "mirrored",
        "at_stripe",
    )
    needs = {
        "paid_out": "payments.view_balancetransaction",
        "posted": "payments.view_transfer",
        "mirrored": "djstripe.view_payout",
    }
    arrival = time_of("arrival_at", "at the bank")
    itemized = time_of("itemized_at", "itemized")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("txn_"):
            named = BalanceTransaction.objects.filter(pk=term).values_list("payout", "source")
            return queryset.filter(pk__in=[name for names in named for name in names if name])
        return queryset.filter(pk=term)

    @admin.display(description="status")
    def status_pill(self, payout: Payout) -> SafeString:
        return pill(payout.status)

    @admin.display(description="started")
    def how(self, payout: Payout) -> str:
        return "by Stripe's schedule" if payout.automatic else "by hand"

    @admin.display(description="paid out")
    def paid_out(self, payout: Payout) -> SafeString | str:
        if payout.itemized_at is None:
            return "–"
        return format_html('<a href="{}">its balance transactions</a>', list_url(BalanceTransaction, q=payout.pk))

    @admin.display(description="in the books")
    def posted(self, payout: Payout) -> SafeString | str:
        return _transfer_links([f"payout:{payout.pk}", f"payout-reversal:{payout.pk}"])

    @admin.display(description="Stripe's copy")
    def mirrored(self, payout: Payout) -> SafeString | str:
        return mirrored_link("payout", payout.pk) or "–"

    @admin.display(description="in Stripe's dashboard")
    def at_stripe(self, payout: Payout) -> SafeString | str:
        return dashboard_link("payout", payout.pk) or "–"
