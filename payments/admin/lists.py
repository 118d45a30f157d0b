"""The lists of the back office (conventions/admin_lists.py), each row with its history (accounts/audited_admin.py)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts.audited_admin import AuditedAdmin
from conventions import admin_lists
from conventions.admin_lists import MOST_PAGES, ChoiceFilter, ModelAdmin, UncountedPaginator
from payments.models import LedgerAccount


class CurrencyFilter(ChoiceFilter):
    """The currencies that money has come in: those of Stripe's own accounts in the books, of which there are few."""

    title = "currency"
    parameter_name = "currency"
    column = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        accounts = LedgerAccount.objects.filter(pk__gte="stripe:", pk__lt="stripe;").order_by("pk")
        return [(currency, currency.upper()) for currency in accounts.values_list("currency", flat=True)]


class LongList(AuditedAdmin, admin_lists.LongList):
    """The list of a table that may have millions of rows; what is changed here leaves a line in the history."""


class ReadOnly(AuditedAdmin, admin_lists.ReadOnly):
    """Rows that Stripe's facts or our own operations write: nobody adds, changes or deletes them here."""


__all__ = ["MOST_PAGES", "ChoiceFilter", "CurrencyFilter", "LongList", "ModelAdmin", "ReadOnly", "UncountedPaginator"]
