"""Accounts and transfers: the books, to be read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conventions.admin_showing import link, list_url, moment
from payments import ledger
from payments.admin.lists import ReadOnly
from payments.admin.showing import money, stripe_link
from payments.bookkeeping import ASSIGNED
from payments.models import LedgerAccount, Payment, Transfer

# Keys of what follows from a balance transaction and from a payout (payments/bookkeeping.py).
OF_STRIPES_BOOKS = {
    "txn": ("fee:{}", "fee:{}:own", "fx:{}:out", "fx:{}:in", "other:{}"),
    "po": ("payout:{}", "payout-reversal:{}"),
}


class AccountFilter(admin.SimpleListFilter):
    """`?account=<code>`: what was posted to an account, on either side. Shown only while it is used."""

    title = "account"
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        code = self.value()
        return [(code, code)] if code else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        code = self.value()
        return queryset.filter(Q(debit=code) | Q(credit=code)) if code else queryset


@admin.register(Transfer)
class TransferAdmin(ReadOnly):
    list_display = ("happened", "amount", "debit_account", "credit_account", "key", "of_payment")
    list_filter = (AccountFilter,)
    date_hierarchy = "occurred_at"
    search_help_text = "A transfer, its key or source (re_…, dp_…, txn_…, po_…), a payment, or an account's whole code."
    fields = (
        "id",
        "key",
        "amount",
        "debit_account",
        "credit_account",
        "of_payment",
        "of_source",
        "happened",
        "posted",
        "memo",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("transfer_"):
            return queryset.filter(pk=term)
        if term.startswith("pay_"):
            return queryset.filter(payment=term)
        if LedgerAccount.objects.filter(pk=term).exists():
            return queryset.filter(Q(debit=term) | Q(credit=term))
        # `source` has no index; the keys that a Stripe object can cause have.
        if cause := OF_STRIPES_BOOKS.get(term.partition("_")[0]):
            return queryset.filter(key__in=[key.format(term) for key in cause])
        causes = [term, f"refund:{term}", f"refund-reversal:{term}", f"dispute:{term}:withdrawn", f"dispute:{term}:reinstated"]
        return queryset.filter(key__in=[*causes, *(f"{ASSIGNED}:{cause}" for cause in causes)])

    @admin.display(description="amount")
    def amount(self, transfer: Transfer) -> str:
        return money(transfer.amount_minor, transfer.currency)

    @admin.display(description="debit")
    def debit_account(self, transfer: Transfer) -> SafeString | str:
        return link(LedgerAccount, transfer.debit_id)

    @admin.display(description="credit")
    def credit_account(self, transfer: Transfer) -> SafeString | str:
        return link(LedgerAccount, transfer.credit_id)

    @admin.display(description="payment")
    def of_payment(self, transfer: Transfer) -> SafeString | str:
        return link(Payment, transfer.payment_id)

    @admin.display(description="source")
    def of_source(self, transfer: Transfer) -> SafeString | str:
        return stripe_link(transfer.source)

    @admin.display(description="occurred")
    def happened(self, transfer: Transfer) -> str:
        return moment(transfer.occurred_at)

    @admin.display(description="posted")
    def posted(self, transfer: Transfer) -> str:
        return moment(transfer.posted_at)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnly):
    list_display = ("code", "kind", "shown_currency", "floored", "opened")
    list_filter = ("kind", "floored")
    ordering = ("code",)
    search_help_text = "Part of a code: campaign:…, stripe:usd, a campaign's id."
    fields = ("code", "kind", "shown_currency", "balance", "transfers", "floored", "opened")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(code__icontains=term)

    @admin.display(description="currency")
    def shown_currency(self, account: LedgerAccount) -> str:
        return account.currency.upper()

    @admin.display(description="balance")
    def balance(self, account: LedgerAccount) -> str:
        """Summed from the account's transfers at this moment."""
        return money(ledger.balance(account.code), account.currency)

    @admin.display(description="transfers")
    def transfers(self, account: LedgerAccount) -> SafeString:
        both, debit, credit = (list_url(Transfer, **{name: account.code}) for name in ("account", "debit__code", "credit__code"))
        return format_html('<a href="{}">all</a> · <a href="{}">debits</a> · <a href="{}">credits</a>', both, debit, credit)

    @admin.display(description="opened")
    def opened(self, account: LedgerAccount) -> str:
        return moment(account.created_at)
