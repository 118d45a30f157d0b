"""Proving the books: every payment's transfers are exactly those that its facts call for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from django.db.models import F, Sum

from payments.bookkeeping import disputed_minor, postings_due, refunded_minor
from payments.fulfilment import all_fulfilments
from payments.models import LedgerAccount, Payment, Transfer

CHUNK = 500


def check_books() -> Iterator[str]:
    """A sentence for every row that breaks an invariant, of payments and then of each product. Memory stays flat."""
    yield from _payments_are_booked()
    yield from _accounts_exist()
    yield from _floored_balances_are_sums()
    for fulfilment in all_fulfilments():
        yield from fulfilment.check_books()


def _payments_are_booked() -> Iterator[str]:
    payments = Payment.objects.order_by("pk").prefetch_related("refunds", "disputes", "transfers").iterator(chunk_size=CHUNK)
    while chunk := list(islice(payments, CHUNK)):
        for payment in chunk:
            yield from _payment_is_booked(payment)


def _payment_is_booked(payment: Payment) -> Iterator[str]:
    refunds, disputes = list(payment.refunds.all()), list(payment.disputes.all())
    if payment.refunded_minor != refunded_minor(refunds):
        yield f"{payment.pk} says {payment.refunded_minor} was refunded, its refunds say {refunded_minor(refunds)}"
    if payment.disputed_minor != disputed_minor(disputes):
        yield f"{payment.pk} says {payment.disputed_minor} is disputed, its disputes say {disputed_minor(disputes)}"
    due = {p.key: (p.debit, p.credit, p.amount_minor) for p in postings_due(payment, refunds, disputes)}
    posted = {t.key: (t.debit_id, t.credit_id, t.amount_minor) for t in payment.transfers.all()}
    for key in sorted(due.keys() - posted.keys()):
        yield f"{payment.pk} lacks the transfer {key}"
    for key in sorted(posted.keys() - due.keys()):
        yield f"{payment.pk} has the transfer {key}, which no fact calls for"
    for key in sorted(due.keys() & posted.keys()):
        if due[key] != posted[key]:
            yield f"{payment.pk}: the transfer {key} is {posted[key]}, its facts call for {due[key]}"


def _accounts_exist() -> Iterator[str]:
    for side in ("debit", "credit"):
        used = Transfer.objects.order_by().values_list(f"{side}_id", flat=True).distinct()
        missing = set(used) - set(LedgerAccount.objects.values_list("pk", flat=True))
        for code in sorted(missing):
            yield f"transfers name the account {code}, which does not exist"


def _floored_balances_are_sums() -> Iterator[str]:
    for account in LedgerAccount.objects.filter(floored=True).order_by("pk").iterator(chunk_size=CHUNK):
        debits = Transfer.objects.filter(debit=account).aggregate(total=Sum(F("amount_minor"), default=0))["total"]
        credits = Transfer.objects.filter(credit=account).aggregate(total=Sum(F("amount_minor"), default=0))["total"]
        if account.balance_minor != credits - debits:
            yield f"{account.pk} says its balance is {account.balance_minor}, its transfers say {credits - debits}"
