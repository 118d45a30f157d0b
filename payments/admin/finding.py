"""Finding a payment by any id that belongs to it, ours or Stripe's, by whole e-mail address, or by name."""

from __future__ import annotations

import re

from django.db.models import Q, QuerySet

from conventions.errors import InvalidInput
from payments.models import Dispute, Payment, Refund, StripeEvent
from payments.money import CURRENCIES, Money

ID = re.compile(r"[A-Za-z]{2,20}_[A-Za-z0-9_]{1,200}")
PAYMENT_COLUMNS = {
    "pay": "pk",
    "cs": "checkout_session",
    "pi": "payment_intent",
    "ch": "charge",
    "py": "charge",
    "in": "invoice",
    "cus": "stripe_customer",
    "re": "refunds__stripe_id",
    "pyr": "refunds__stripe_id",
    "dp": "disputes__stripe_id",
    "du": "disputes__stripe_id",
    "refund": "refunds__pk",
    "dispute": "disputes__pk",
    "transfer": "transfers__pk",
    "user": "user",
    "org": "organization",
}
SOURCES = frozenset({"ch", "py", "re", "pyr", "dp", "du"})  # what balance transactions of payments are of
MOST_FOUND = 1000  # payments, refunds or disputes whose rows a search lists
HELP = (
    "A whole id of any kind (pay_…, pi_…, cs_…, ch_…, re_…, dp_…, evt_…), a whole e-mail address, an amount (25.00, $25, "
    "25 EUR), or part of a name."
)
AMOUNT = re.compile(r"\d{1,15}(?:\.\d{1,3})?")
SYMBOLS = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy"}


def is_id(term: str) -> bool:
    return ID.fullmatch(term) is not None


def amount_matching(term: str, prefix: str = "") -> Q | None:
    """The amount that a person may mean: in every currency, or in the one they write. None where it is no amount.

    `prefix` leads to the columns, such as "payment__". The same digits are other minor units in yen and in dinars.
    """
    written = term.strip().replace(",", "")
    currencies = CURRENCIES
    if written[:1] in SYMBOLS:
        currencies, written = frozenset({SYMBOLS[written[0]]}), written[1:]
    elif written[-3:].lower() in CURRENCIES:
        currencies, written = frozenset({written[-3:].lower()}), written[:-3]
    if not AMOUNT.fullmatch(written.strip()):
        return None
    by_amount: dict[int, list[str]] = {}
    for currency in sorted(currencies):
        try:
            by_amount.setdefault(Money.parse(written, currency).amount_minor, []).append(currency)
        except InvalidInput:
            continue  # finer than this currency has it
    meant = Q(pk__in=[])
    for amount_minor, in_currencies in by_amount.items():
        meant |= Q(**{f"{prefix}amount_minor": amount_minor, f"{prefix}currency__in": in_currencies})
    return meant


def payments_matching(term: str) -> Q:
    """What a search term says of payments. An id is looked up as a whole, and so is an address."""
    term = term.strip()
    amount = amount_matching(term)
    if amount is not None:
        return amount
    if not is_id(term):
        return Q(customer_email=term.lower()) if "@" in term else Q(customer_name__icontains=term)
    prefix = term.partition("_")[0]
    if prefix == "evt":
        about = StripeEvent.objects.filter(pk=term).values_list("object_id", flat=True).first()
        return payments_matching(about) if about and not about.startswith("evt_") else Q(pk__in=[])
    return Q(**{PAYMENT_COLUMNS.get(prefix, "subject_id"): term})


def stripe_ids(payment: Payment) -> list[str]:
    """Every id under which Stripe's events speak of this payment (asks for its refunds and disputes)."""
    known = [payment.checkout_session, payment.payment_intent, payment.charge, payment.invoice]
    known += payment.refunds.order_by("pk").values_list("stripe_id", flat=True)[:100]
    known += payment.disputes.order_by("pk").values_list("stripe_id", flat=True)[:100]
    return [identifier for identifier in known if identifier]


def balance_transactions_matching(term: str) -> Q:
    """One by its id, those of an object of Stripe's, of a payout, or of one of our payments with its refunds and disputes."""
    term = term.strip()
    prefix = term.partition("_")[0]
    if prefix == "txn":
        return Q(pk=term)
    if prefix == "po":
        return Q(payout=term) | Q(source=term)
    if prefix in SOURCES or (is_id(term) and prefix not in PAYMENT_COLUMNS):
        return Q(source=term)
    if not is_id(term) and "@" not in term:
        return Q(pk__in=[])  # amounts and names have no index here
    found = Payment.objects.filter(payments_matching(term)).order_by("-pk").values_list("pk", "charge")[:MOST_FOUND]
    payments = dict(found)
    sources = list(payments.values())
    for model in (Refund, Dispute):
        of_them = model._default_manager.filter(payment__in=list(payments)).order_by("-pk")
        sources += list(of_them.values_list("stripe_id", flat=True)[:MOST_FOUND])
    return Q(source__in=[source for source in sources if source])


def events_matching(term: str, events: QuerySet[StripeEvent]) -> QuerySet[StripeEvent]:
    """An event by its id, or those about an object; for one of our payments, all about it."""
    term = term.strip()
    if term.startswith("evt_"):
        return events.filter(pk=term)
    if term.startswith("pay_"):
        payment = Payment.objects.filter(pk=term).first()
        return events.filter(object_id__in=stripe_ids(payment) if payment else [])
    return events.filter(object_id=term)
