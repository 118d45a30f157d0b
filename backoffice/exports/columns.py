"""What an export of each kind holds: the columns, where they are read, and how a row of the database becomes cells.

Staff's exports name donors and addresses, which finance needs; `anonymous` says whom the public must not learn of.
A cell is text, a whole number, an amount or nothing; what a file makes of it is in `files.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet

from backoffice.exports.filters import BY, Filters
from campaigns.models import Campaign
from donations.models import Donation
from payments.models import Transfer
from payments.money import Money
from wallets.models import TopUp, WalletSpend

PAGE = 2_000

Cell = str | int | Money | None


@dataclass(frozen=True, kw_only=True)
class Table:
    columns: Sequence[str]
    reads: Sequence[str]  # fields in the order that `row` takes them; the key first, since pages go by it
    row: Callable[..., Sequence[Cell]]
    rows: Callable[[Filters, datetime], QuerySet[Any]]

    def pages(self, filters: Filters, made_before: datetime) -> Iterator[list[Sequence[Cell]]]:
        """The rows, a page at a time and in the order of their ids.

        Each page is a query of its own that starts after the last id, so that memory stays flat without a cursor on
        the server, no transaction stays open, and PgBouncer may pool transactions. A row that changes meanwhile is
        written as it is when its page is read; one that is made meanwhile is left out.
        """
        found = self.rows(filters, made_before).order_by("pk").values_list(*self.reads)
        page = list(found[:PAGE])
        while page:
            yield [self.row(*values) for values in page]
            page = list(found.filter(pk__gt=page[-1][0])[:PAGE]) if len(page) == PAGE else []


def moment(at: datetime | None) -> str | None:
    """UTC, to the second: 2026-11-21T07:06:51Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


DONATION_COLUMNS = (
    "id", "state", "created_at", "paid_at", "campaign_id", "campaign", "currency", "amount", "amount_minor", "refunded",
    "refunded_minor", "disputed", "disputed_minor", "net", "net_minor", "anonymous", "donor_id", "donor_name", "donor_email",
    "display_name", "message", "dedication_kind", "dedication_name", "receipt_sent_at", "payment_id", "checkout_session",
    "payment_intent", "charge", "livemode",
)  # fmt: skip
DONATION_READS = (
    "pk", "state", "created_at", "paid_at", "campaign_id", "campaign__title", "currency", "amount_minor",
    "payment__refunded_minor", "payment__disputed_minor", "anonymous", "donor_id", "donor__name", "donor__email",
    "payment__customer_name", "payment__customer_email", "display_name", "message", "dedication_kind", "dedication_name",
    "receipt__sent_at", "payment_id", "payment__checkout_session", "payment__payment_intent", "payment__charge",
    "payment__livemode",
)  # fmt: skip


def _donation(
    pk: str, state: str, created_at: datetime, paid_at: datetime | None, campaign_id: str, campaign: str, currency: str,
    amount: int, refunded: int, disputed: int, anonymous: bool, donor_id: str | None, donor_name: str | None,
    donor_email: str | None, payer_name: str, payer_email: str, display_name: str, message: str, dedication_kind: str,
    dedication_name: str, receipt_sent_at: datetime | None, payment_id: str, session: str | None, intent: str | None,
    charge: str | None, livemode: bool,
) -> Sequence[Cell]:  # fmt: skip
    net = amount - refunded - disputed if paid_at else 0
    return (
        pk, state, moment(created_at), moment(paid_at), campaign_id, campaign, currency, Money(amount, currency), amount,
        Money(refunded, currency), refunded, Money(disputed, currency), disputed, Money(net, currency), net,
        "yes" if anonymous else "no", donor_id, donor_name or payer_name, donor_email or payer_email, display_name, message,
        dedication_kind, dedication_name, moment(receipt_sent_at), payment_id, session, intent, charge,
        "yes" if livemode else "no",
    )  # fmt: skip


def _donations(filters: Filters, made_before: datetime) -> QuerySet[Any]:
    found = Donation.objects.filter(filters.within(BY[filters.by]), created_at__lte=made_before)
    if filters.campaign:
        found = found.filter(campaign=filters.campaign)
    if filters.currency:
        found = found.filter(currency=filters.currency)
    return found.filter(state=filters.state) if filters.state else found


TRANSFER_COLUMNS = (
    "id", "key", "occurred_at", "posted_at", "currency", "amount", "amount_minor", "debit", "credit", "source", "payment_id",
    "purpose", "subject_id", "memo",
)  # fmt: skip
TRANSFER_READS = (
    "pk", "key", "occurred_at", "posted_at", "currency", "amount_minor", "debit_id", "credit_id", "source", "payment_id",
    "payment__purpose", "payment__subject_id", "memo",
)  # fmt: skip


def _transfer(
    pk: str, key: str, occurred_at: datetime, posted_at: datetime, currency: str, amount: int, debit: str, credit: str,
    source: str | None, payment_id: str | None, purpose: str | None, subject_id: str | None, memo: str,
) -> Sequence[Cell]:  # fmt: skip
    return (
        pk, key, moment(occurred_at), moment(posted_at), currency, Money(amount, currency), amount, debit, credit, source,
        payment_id, purpose, subject_id, memo,
    )  # fmt: skip


def _transfers(filters: Filters, made_before: datetime) -> QuerySet[Any]:
    found = Transfer.objects.filter(filters.within("occurred_at"), posted_at__lte=made_before)
    if filters.campaign:
        account = Campaign.objects.get(pk=filters.campaign).account
        found = found.filter(Q(debit=account) | Q(credit=account))
    return found.filter(currency=filters.currency) if filters.currency else found


TOP_UP_COLUMNS = (
    "id", "state", "created_at", "paid_at", "organization_id", "organization", "wallet_id", "currency", "amount", "amount_minor",
    "refunded", "refunded_minor", "disputed", "disputed_minor", "automatic", "started_by", "payment_id", "payment_intent",
    "charge", "livemode",
)  # fmt: skip
TOP_UP_READS = (
    "pk", "state", "created_at", "paid_at", "organization_id", "organization__name", "wallet_id", "currency", "amount_minor",
    "payment__refunded_minor", "payment__disputed_minor", "is_automatic", "started_by__email", "payment_id",
    "payment__payment_intent", "payment__charge", "payment__livemode",
)  # fmt: skip


def _top_up(
    pk: str, state: str, created_at: datetime, paid_at: datetime | None, organization_id: str, organization: str, wallet_id: str,
    currency: str, amount: int, refunded: int, disputed: int, automatic: bool, started_by: str | None, payment_id: str,
    intent: str | None, charge: str | None, livemode: bool,
) -> Sequence[Cell]:  # fmt: skip
    return (
        pk, state, moment(created_at), moment(paid_at), organization_id, organization, wallet_id, currency,
        Money(amount, currency), amount, Money(refunded, currency), refunded, Money(disputed, currency), disputed,
        "yes" if automatic else "no", started_by, payment_id, intent, charge, "yes" if livemode else "no",
    )  # fmt: skip


def _top_ups(filters: Filters, made_before: datetime) -> QuerySet[Any]:
    return filters.of_currency(TopUp.objects.filter(filters.within(BY[filters.by]), created_at__lte=made_before))


SPEND_COLUMNS = (
    "id", "created_at", "organization_id", "organization", "wallet_id", "currency", "amount", "amount_minor", "given_back",
    "given_back_minor", "description", "hold_id", "created_by",
)  # fmt: skip
SPEND_READS = (
    "pk", "created_at", "organization_id", "organization__name", "wallet_id", "currency", "amount_minor", "reversed_minor",
    "description", "hold_id", "created_by__email",
)  # fmt: skip


def _spend(
    pk: str, created_at: datetime, organization_id: str, organization: str, wallet_id: str, currency: str, amount: int,
    given_back: int, description: str, hold_id: str | None, created_by: str | None,
) -> Sequence[Cell]:  # fmt: skip
    return (
        pk, moment(created_at), organization_id, organization, wallet_id, currency, Money(amount, currency), amount,
        Money(given_back, currency), given_back, description, hold_id, created_by,
    )  # fmt: skip


def _spends(filters: Filters, made_before: datetime) -> QuerySet[Any]:
    return filters.of_currency(WalletSpend.objects.filter(filters.within("created_at"), created_at__lte=made_before))


TABLES = {
    "donations": Table(columns=DONATION_COLUMNS, reads=DONATION_READS, row=_donation, rows=_donations),
    "transfers": Table(columns=TRANSFER_COLUMNS, reads=TRANSFER_READS, row=_transfer, rows=_transfers),
    "top_ups": Table(columns=TOP_UP_COLUMNS, reads=TOP_UP_READS, row=_top_up, rows=_top_ups),
    "spends": Table(columns=SPEND_COLUMNS, reads=SPEND_READS, row=_spend, rows=_spends),
}
