"""The statement of a wallet: every transfer into or out of it, newest first, each with the balance after it.

Rows stand in the order in which they were booked, which is that of their ids; a fact that Stripe told late is booked when
it was told. So the balance after a row never changes, and follows from today's balance and what was booked since: one sum
for a page, which is empty on the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from django.db.models import Case, F, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from typeid import TypeID
from uuid_utils import UUID

from conventions import tenancy
from payments.models import LedgerAccount, Transfer
from payments.money import Money
from wallets.models import Wallet

CHUNK = 2_000
# By what the key of a transfer begins with; those that level a wallet say it themselves (levelling.Cause).
KINDS = {
    "paid": "top_up",
    "assigned": "top_up",
    "spend": "spend",
    "spend-reversal": "reversal",
    "hold": "hold",
    "release": "release",
    "adjustment": "adjustment",
}
ASKED_BACK = ("refund", "dispute")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the statement; `amount` and `balance_after` are as the wallet sees them."""

    id: str
    occurred_at: datetime
    booked_at: datetime
    kind: str
    amount: Money
    balance_after: Money
    description: str
    payment_id: str | None
    stripe_id: str | None


@dataclass(frozen=True)
class Transfers:
    """The transfers of an account in the order of their ids, as much of a QuerySet as a page asks for.

    Debits and credits are read apart, each from its own index, and merged: sorting all of an account's transfers for
    twenty of them would cost more with every one that is added.
    """

    account: str
    within: Q = field(default_factory=Q)
    newest_first: bool = True

    def order_by(self, ordering: str) -> Transfers:
        return replace(self, newest_first=ordering == "-pk")

    def filter(self, **bounds: str) -> Transfers:
        return replace(self, within=self.within & Q(**bounds))

    def __getitem__(self, rows: slice) -> list[Transfer]:
        sides = [list(side[: rows.stop]) for side in (self._side(debit=self.account), self._side(credit=self.account))]
        ids = list(islice(merge(*sides, reverse=self.newest_first), rows.start, rows.stop))
        found = Transfer.objects.select_related("payment__top_up").in_bulk(ids)
        return [found[pk] for pk in ids]

    def _side(self, **account: str) -> QuerySet[Transfer, str]:
        """Ids alone: an engine without the index (SQLite) then sorts nothing wider."""
        rows = Transfer.objects.filter(self.within, **account).order_by("-pk" if self.newest_first else "pk")
        return rows.values_list("pk", flat=True)


def booked(wallet: Wallet, *, since: datetime | None = None, until: datetime | None = None) -> Transfers:
    """The wallet's transfers booked from `since` on and before `until`."""
    rows = Transfers(wallet.account)
    if since is not None:
        rows = rows.filter(pk__gte=first_id(since))
    return rows.filter(pk__lt=first_id(until)) if until is not None else rows


def first_id(at: datetime) -> str:
    """No id of a transfer that was made at `at` (to the millisecond) or later is less than this."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    return str(TypeID.from_uuid(UUID(int=milliseconds << 80), "transfer"))


def entries(wallet: Wallet, rows: Sequence[Transfer], *, after_minor: int | None = None) -> list[Entry]:
    """`rows` follow one another without a gap, newest first; `after_minor` is the balance after the first, where known."""
    if not rows:
        return []
    after_minor = balance_after(wallet, rows[0].pk) if after_minor is None else after_minor
    sources, told = _sources(wallet, rows), []
    for row in rows:
        amount_minor = row.amount_minor if row.credit_id == wallet.account else -row.amount_minor
        told.append(_entry(row, Money(amount_minor, row.currency), Money(after_minor, row.currency), sources))
        after_minor -= amount_minor
    return told


def balance_after(wallet: Wallet, transfer_id: str) -> int:
    """What the wallet held once this transfer was booked, in minor units; balance and sum are read at one moment."""
    moved = Case(When(credit=wallet.account, then=F("amount_minor")), default=-F("amount_minor"))
    of_account = Q(debit=wallet.account) | Q(credit=wallet.account)
    newer = Transfer.objects.filter(of_account, pk__gt=transfer_id).order_by().values(one=Value(1))
    total = Coalesce(Subquery(newer.annotate(total=Sum(moved)).values("total")), 0)
    account = LedgerAccount.objects.filter(pk=wallet.account).annotate(newer=total)
    # The wallet was found to be the caller's; to judge each transfer anew would cost more than to add it up.
    with tenancy.everything():
        balance_minor, newer_minor = account.values_list("balance_minor", "newer").get()
    return int(balance_minor) - int(newer_minor)


def all_entries(wallet: Wallet, rows: Transfers) -> Iterator[Entry]:
    """Every line, a chunk in memory at a time; what is booked meanwhile is not in it."""
    chunk, after_minor = rows[0:CHUNK], None
    while chunk:
        told = entries(wallet, chunk, after_minor=after_minor)
        yield from told
        after_minor = told[-1].balance_after.amount_minor - told[-1].amount.amount_minor
        chunk = rows.filter(pk__lt=chunk[-1].pk)[0:CHUNK]


def _entry(row: Transfer, amount: Money, after: Money, sources: dict[str, str]) -> Entry:
    cause, _, rest = row.key.partition(":")
    kind = rest.partition(":")[0] if cause == "level" else KINDS[cause]
    payment = row.payment
    return Entry(
        id=row.pk,
        occurred_at=row.occurred_at,
        booked_at=row.posted_at,
        kind=kind,
        amount=amount,
        balance_after=after,
        description=_top_up(payment) if kind == "top_up" else _said(row.memo, cause),
        payment_id=row.payment_id,
        stripe_id=sources.get(row.pk) or (payment.payment_intent if payment else None),
    )


def _top_up(payment: Any) -> str:
    return "Automatic top-up" if payment and payment.top_up.is_automatic else "Top-up"


def _said(memo: str, cause: str) -> str:
    """What a person wrote stays as written; what we say begins with a capital."""
    return memo if cause == "spend" else memo[:1].upper() + memo[1:]


def _sources(wallet: Wallet, rows: Sequence[Transfer]) -> dict[str, str]:
    """By transfer that levels the wallet: the refund or dispute at Stripe that was booked on what is owed just before."""
    asked_back = [row for row in rows if row.key.split(":")[1] in ASKED_BACK]
    if not asked_back:
        return {}
    booked_on_owed = Transfer.objects.filter(Q(debit=wallet.receivable) | Q(credit=wallet.receivable), source__isnull=False)
    of_them = booked_on_owed.filter(payment__in={row.payment_id for row in asked_back}).order_by("-pk")
    known = list(of_them.values_list("pk", "payment", "source"))
    found = {}
    for row in asked_back:
        before = (source for pk, payment, source in known if payment == row.payment_id and pk < row.pk)
        if source := next(before, None):
            found[row.pk] = source
    return found
