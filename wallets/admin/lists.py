"""What the lists of wallets have in common: what finds a row, and the columns that most of them show."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.safestring import SafeString

from accounts.models import Organization
from conventions.admin_showing import link, moment
from payments.admin import finding
from payments.admin.lists import ReadOnly
from payments.models import Payment
from payments.money import Money
from wallets.models import TopUp, Wallet

MOST_FOUND = 1000  # organizations or payments whose rows a search lists


def organizations_named(words: str) -> list[str]:
    named = Organization.objects.filter(Q(name__icontains=words) | Q(slug=words.lower())).order_by()
    return list(named.values_list("pk", flat=True)[:MOST_FOUND])


def payments_found(term: str) -> list[str]:
    """Ids of payments by any id of ours or Stripe's, a whole e-mail address or an amount."""
    found = Payment.objects.filter(finding.payments_matching(term), purpose="wallet").order_by("-pk")
    return list(found.values_list("pk", flat=True)[:MOST_FOUND])


class OfWallets(ReadOnly):
    """Rows of an organization's wallets. `found_by` maps the first part of an id to the column that it is looked up in."""

    list_select_related: ClassVar[Any] = ("organization",)
    search_help_text = (
        "A whole id of any kind (wallet_…, org_…, topup_…, spend_…, pay_…, pi_…), or part of an organization's name."
    )
    found_by: ClassVar[dict[str, str]] = {}

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if not finding.is_id(term) and "@" not in term and finding.amount_matching(term) is None:
            return queryset.filter(organization__in=organizations_named(term))
        column = {"org": "organization", **self.found_by}.get(term.partition("_")[0])
        return queryset.filter(**{column: term}) if column else self.of_payments(queryset, payments_found(term))

    def of_payments(self, queryset: QuerySet[Any], payments: list[str]) -> QuerySet[Any]:
        """The rows that belong to these payments: those of the wallets that they went into."""
        wallets = TopUp.objects.filter(payment__in=payments).order_by().values_list("wallet", flat=True)
        return queryset.filter(wallet__in=list(wallets))

    @admin.display(description="made")
    def made(self, row: Any) -> str:
        return moment(row.created_at)

    @admin.display(description="amount")
    def amount(self, row: Any) -> str:
        return Money(row.amount_minor, row.currency).display()

    @admin.display(description="organization")
    def organization_link(self, row: Any) -> SafeString | str:
        return link(Organization, row.organization_id, row.organization.name)

    @admin.display(description="wallet")
    def wallet_link(self, row: Any) -> SafeString | str:
        return link(Wallet, row.wallet_id)
