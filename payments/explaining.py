"""Opening a number up: a total into its transfers, each into the Stripe object it records and the people who acted.

`explain()` yields parts as it finds them, so that a campaign with a million gifts costs no more memory than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Count, Q, QuerySet, Sum

from accounts.audit import masked
from accounts.models import AuditEntry, User
from conventions.chunks import in_chunks
from payments import ledger
from payments.bookkeeping import movement_key
from payments.fulfilment import Total, all_fulfilments, fulfilment_of
from payments.models import BalanceTransaction, Dispute, LedgerAccount, Payment, Payout, Refund, StripeEvent, Transfer
from payments.money import Money

CHUNK = 200
MOST_ACTS = 100
PAYMENT_IDS = ("pk", "subject_id", "checkout_session", "payment_intent", "charge", "invoice")


class NothingKnown(LookupError):
    """No row of ours has that name."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What is explained, and the facts that belong in its head."""

    title: str
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One transfer (or balance transaction), with its sign as seen from what is explained, and who is behind it."""

    at: datetime
    amount_minor: int
    currency: str
    key: str
    memo: str
    source: str = ""
    payment: str = ""
    product: str = ""
    who: str = ""


@dataclass(frozen=True, kw_only=True)
class Rest:
    """The lines that were not shown."""

    count: int
    amount_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """Two ways to the same number."""

    what: str
    amount_minor: int
    expected_minor: int
    currency: str

    @property
    def holds(self) -> bool:
        return self.amount_minor == self.expected_minor


Part = Heading | Line | Rest | Check


def explain(name: str, *, limit: int) -> Iterator[Part]:
    """Everything behind a ledger account, a product's total, a payment, or any object of Stripe's.

    At most `limit` lines of a total are shown, the others are summed. Raises NothingKnown.
    """
    if LedgerAccount.objects.filter(pk=name).exists():
        yield from _total(Total(account=name, title=f"account {name}"), limit)
    elif totals := _totals_of(name):
        for total in totals:
            yield from _total(total, limit)
    elif payment := _payment_of(name):
        yield from _payment(payment)
    elif row := BalanceTransaction.objects.filter(pk=name).first():
        yield from _balance_transaction(row)
    elif payout := Payout.objects.filter(pk=name).first():
        yield from _payout(payout, limit)
    elif event := StripeEvent.objects.filter(pk=name).first():
        yield from _event(event)
    elif transfer := Transfer.objects.filter(Q(pk=name) | Q(key=name)).select_related("payment").first():
        yield from _transfer(transfer)
    else:
        raise NothingKnown(f"Nothing here is called {name!r}. `reconcile` asks Stripe for what never arrived.")


def _totals_of(name: str) -> Sequence[Total]:
    return next((totals for fulfilment in all_fulfilments() if (totals := fulfilment.totals_of(name))), ())


def _payment_of(name: str) -> Payment | None:
    """The payment that an id of its own, of Stripe's, of its product, refunds or disputes stands for."""
    if not name:
        return None
    named = Q()
    for column in PAYMENT_IDS:
        named |= Q(**{column: name})
    payments = Payment.objects.select_related("user")
    if payment := payments.filter(named).first():
        return payment
    for rows in (Refund.objects, Dispute.objects):
        if row := rows.filter(Q(pk=name) | Q(stripe_id=name)).first():
            return payments.get(pk=row.payment_id)
    return None


# -- totals -----------------------------------------------------------------------------------------
def _total(total: Total, limit: int) -> Iterator[Part]:
    """Its transfers, the rest of them summed, and that they add up to the account's balance and to what is shown."""
    code = total.account
    if not code:
        yield Heading(title=total.title, facts=dict(total.facts))
        return
    account = LedgerAccount.objects.filter(pk=code).first()
    if account is None:  # a campaign that nobody has given to
        facts = {"account": f"{code}, not opened: nothing was ever posted to it"}
        yield Heading(title=total.title, facts={**total.facts, **facts})
        return
    yield Heading(title=total.title, facts={**total.facts, "account": code, "kind": account.kind})
    grows_by_debit = account.kind in {LedgerAccount.Kind.ASSET, LedgerAccount.Kind.EXPENSE}
    transfers = Transfer.objects.filter(Q(debit=code) | Q(credit=code))
    if total.keys:
        transfers = transfers.filter(key__in=total.keys)
    count, shown, seen = 0, 0, islice(_lines(transfers, code, grows_by_debit=grows_by_debit), limit)
    for line in seen:
        count, shown = count + 1, shown + line.amount_minor
        yield line
    sums = transfers.aggregate(
        all=Count("pk"),
        debits=Sum("amount_minor", filter=Q(debit=code), default=0),
        credits=Sum("amount_minor", filter=Q(credit=code), default=0),
    )
    sum_minor = sums["debits"] - sums["credits"] if grows_by_debit else sums["credits"] - sums["debits"]
    if sums["all"] > count:
        yield Rest(count=sums["all"] - count, amount_minor=sum_minor - shown, currency=account.currency)
    added_up = f"the sum of its {sums['all']} transfer{'' if sums['all'] == 1 else 's'} is "
    expected = [] if total.keys else [(f"{added_up}the account's balance", ledger.balance(code))]
    if total.shown_minor is not None:
        expected.append((f"{added_up if total.keys else 'and '}{total.shown_as}", total.shown_minor))
    for what, expected_minor in expected:
        yield Check(what=what, amount_minor=sum_minor, expected_minor=expected_minor, currency=account.currency)


def _lines(transfers: QuerySet[Transfer], code: str, *, grows_by_debit: bool) -> Iterator[Line]:
    """Each transfer from the account's own side; people and products are looked up a chunk at a time."""
    for chunk in in_chunks(transfers.select_related("payment__user"), CHUNK):
        actors = people_behind(chunk)
        for transfer in chunk:
            inwards = (transfer.debit_id == code) == grows_by_debit
            yield _line(transfer, transfer.amount_minor if inwards else -transfer.amount_minor, actors)


def _line(transfer: Transfer, amount_minor: int, actors: dict[str, str]) -> Line:
    return Line(
        at=transfer.occurred_at,
        amount_minor=amount_minor,
        currency=transfer.currency,
        key=transfer.key,
        memo=transfer.memo,
        source=transfer.source or "",
        payment=transfer.payment_id or "",
        product=_product(transfer.payment) if transfer.payment else "",
        who=actors[transfer.key],
    )


def _product(payment: Payment) -> str:
    fulfilment = fulfilment_of(payment.purpose)
    if fulfilment is None or not payment.subject_id:
        return payment.purpose
    try:
        return fulfilment.explain(payment.subject_id)
    except ObjectDoesNotExist:
        return f"{payment.subject_id}, which is missing"


def people_behind(transfers: Sequence[Transfer]) -> dict[str, str]:
    """By key of transfer: who is behind it. Addresses of people who pay are masked, staff are named."""
    sources = [transfer.source for transfer in transfers if transfer.source]
    refunds = {r.stripe_id: r for r in Refund.objects.filter(stripe_id__in=sources).select_related("requested_by")}
    assigned = {t.payment_id for t in transfers if t.key.startswith("assigned:")}
    acts = AuditEntry.objects.filter(target_id__in=assigned, action="payment.assigned").select_related("actor")
    assigners = {act.target_id: act.actor for act in acts}
    told = {}
    for transfer in transfers:
        cause, payment = transfer.key.partition(":")[0], transfer.payment
        if refund := refunds.get(transfer.source):
            told[transfer.key] = f"asked for by {refund.requested_by}" if refund.requested_by else "made at Stripe"
        elif cause == "assigned":
            told[transfer.key] = f"assigned by {assigners.get(transfer.payment_id) or 'staff'}"
        elif cause == "paid" and payment:
            told[transfer.key] = f"paid by {_payer(payment)}"
        elif cause == "dispute":
            told[transfer.key] = "by the payer's bank"
        else:
            told[transfer.key] = "by Stripe" if transfer.source else "our own act"
    for fulfilment in all_fulfilments():
        told |= fulfilment.acted(transfers)
    return told


def named(user: User | None) -> str:
    """Somebody who acted: staff by their address; of others, whose addresses are masked, the id as well."""
    if user is None:
        return "somebody unknown"
    return str(user) if user.is_staff else f"{masked(user.email)} ({user.pk})"


def _payer(payment: Payment) -> str:
    who = masked(payment.customer_email) or "somebody unknown"
    if payment.organization_id and not payment.user_id:
        return f"{payment.organization_id}, with nobody signed in"
    return f"{who}, signed in" if payment.user_id else f"{who}, a guest"


# -- one payment --------------------------------------------------------------------------------------
def _payment(payment: Payment) -> Iterator[Part]:
    refunds = list(payment.refunds.order_by("created_at", "pk"))
    disputes = list(payment.disputes.order_by("opened_at", "pk"))
    yield Heading(title=f"payment {payment.pk}: {payment.money.display()}, {payment.status}", facts=_facts(payment))
    transfers = list(payment.transfers.select_related("payment__user").order_by("occurred_at", "pk"))
    actors = people_behind(transfers)
    net = 0
    ours = {payment.destination_id, payment.returns_from_id or payment.destination_id}
    for transfer in transfers:
        into, out_of = transfer.credit_id in ours, transfer.debit_id in ours
        amount = transfer.amount_minor * (into - out_of)  # what only passes another account counts nothing here
        net += amount
        yield _line(transfer, amount, actors)
    yield from _acts([payment.pk, *(refund.pk for refund in refunds)], payment.currency)
    what = f"its transfers leave in {' and '.join(sorted(ours))} what was paid less what went back"
    yield Check(what=what, amount_minor=net, expected_minor=payment.net_minor, currency=payment.currency)
    sources = [payment.charge, *(r.stripe_id for r in refunds), *(d.stripe_id for d in disputes)]
    rows = BalanceTransaction.objects.filter(source__in=[source for source in sources if source]).order_by("created_at", "pk")
    for row in rows:
        yield from _booked(row)


def _facts(payment: Payment) -> dict[str, str]:
    names = {"session": payment.checkout_session, "intent": payment.payment_intent, "charge": payment.charge}
    names |= {"invoice": payment.invoice, "returns from": payment.returns_from_id}
    return {
        "for": _product(payment),
        "by": _payer(payment),
        "account": str(payment.destination_id),
    } | {name: value for name, value in names.items() if value}


def _acts(targets: Sequence[str], currency: str) -> Iterator[Part]:
    """What the audit log knows of staff."""
    for act in AuditEntry.objects.filter(target_id__in=targets).select_related("actor").order_by("id")[:MOST_ACTS]:
        who = f"by {act.actor}" if act.actor else "by the system"
        yield Line(at=act.at, amount_minor=0, currency=currency, key=act.action, memo=act.reason, source=act.target_id, who=who)


# -- Stripe's own books -------------------------------------------------------------------------------
def _booked(row: BalanceTransaction) -> Iterator[Part]:
    """What Stripe says of its balance, the transfers that only this calls for, and that all of them are its net."""
    facts = {
        "net": Money(row.net_minor, row.currency).display(),
        "fee": Money(row.fee_minor, row.currency).display(),
        "payout": row.payout or "not paid out yet, as far as we know",
    }
    kind = row.type.replace("_", " ")
    yield Heading(title=f"balance transaction {row.pk}: {kind} of {row.source or 'Stripe'}", facts=facts)
    stripe = ledger.stripe_account(row.currency)
    own = movement_key(row, Payment.objects.filter(charge=row.source).values_list("pk", flat=True).first())
    moved = 0
    for transfer in Transfer.objects.filter(Q(source=row.pk) | Q(key=own or "")).order_by("pk"):
        amount = transfer.amount_minor * ((transfer.debit_id == stripe) - (transfer.credit_id == stripe))
        moved += amount
        if transfer.payment_id is None:
            yield _line(transfer, amount, {transfer.key: "by Stripe"})
    what = f"its transfers and its payment's change {stripe} by its net"
    yield Check(what=what, amount_minor=moved, expected_minor=row.net_minor, currency=row.currency)


def _balance_transaction(row: BalanceTransaction) -> Iterator[Part]:
    yield from _booked(row)
    if payment := _payment_of(row.source or ""):
        yield from _payment(payment)


def _payout(payout: Payout, limit: int) -> Iterator[Part]:
    kind = "automatic" if payout.automatic else "asked for in the dashboard"
    yield Heading(
        title=f"payout {payout.pk}: {Money(payout.amount_minor, payout.currency).display()}, {payout.status}",
        facts={"kind": kind},
    )
    own = BalanceTransaction.objects.filter(source=payout.pk)
    keys = [row.pk for row in own[:CHUNK]]
    for transfer in Transfer.objects.filter(source__in=keys).order_by("pk"):
        bank = f"bank:{payout.currency}"
        amount = transfer.amount_minor * ((transfer.debit_id == bank) - (transfer.credit_id == bank))
        yield _line(transfer, amount, {transfer.key: "by Stripe"})
    rows = BalanceTransaction.objects.filter(payout=payout.pk).exclude(source=payout.pk)
    sums, shown, count = rows.aggregate(all=Count("pk"), net=Sum("net_minor", default=0)), 0, 0
    for row in rows.order_by("created_at", "pk")[:limit]:
        shown, count = shown + row.net_minor, count + 1
        yield Line(
            at=row.created_at,
            amount_minor=row.net_minor,
            currency=row.currency,
            key=row.pk,
            memo=row.type,
            source=row.source or "",
        )
    if sums["all"] > count:
        yield Rest(count=sums["all"] - count, amount_minor=sums["net"] - shown, currency=payout.currency)
    if payout.itemized_at:
        what = "what it paid out is its amount"
        yield Check(what=what, amount_minor=sums["net"], expected_minor=payout.amount_minor, currency=payout.currency)


def _event(event: StripeEvent) -> Iterator[Part]:
    facts = {"state": event.state, "came by": event.source, "deliveries": str(event.deliveries), "error": event.last_error}
    title = f"event {event.pk}: {event.type} of {event.object_id}"
    yield Heading(title=title, facts={name: value for name, value in facts.items() if value})
    if payment := _payment_of(event.object_id):
        yield from _payment(payment)


def _transfer(transfer: Transfer) -> Iterator[Part]:
    facts = {
        "debit": str(transfer.debit_id),
        "credit": str(transfer.credit_id),
        "records": transfer.source or "nothing of Stripe's",
        "memo": transfer.memo,
        "behind it": people_behind([transfer])[transfer.key],
    }
    amount = Money(transfer.amount_minor, transfer.currency).display()
    yield Heading(title=f"transfer {transfer.key}: {amount}", facts={name: value for name, value in facts.items() if value})
    row = BalanceTransaction.objects.filter(pk=transfer.source or "").first()
    if transfer.payment:
        yield from _payment(transfer.payment)
    elif row:
        yield from _balance_transaction(row)
