"""Posting to the books: open_account(), post(), reverse(), balance().

Debit and credit as every bookkeeper means them: assets and expenses grow by debit, liabilities and income by credit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from conventions.insert_or_add import insert_or_add, inserting_or_adding
from conventions.public_ids import new_public_id
from conventions.rows import Statement, run
from payments.models import LedgerAccount, Transfer

Kind = LedgerAccount.Kind
KIND_BY_PREFIX = {
    "stripe": Kind.ASSET,
    "bank": Kind.ASSET,
    "fx": Kind.ASSET,
    "receivable": Kind.ASSET,
    "fees": Kind.EXPENSE,
    "unmatched": Kind.LIABILITY,
}


class PostingMismatch(Exception):
    """The same key was posted before with another amount or account: our books and our facts disagree."""


@dataclass(frozen=True, kw_only=True)
class Posting:
    """A transfer to be written: `amount_minor` from `credit` to `debit`, both account codes."""

    key: str
    debit: str
    credit: str
    amount_minor: int
    currency: str
    occurred_at: datetime
    payment_id: str | None = None
    source: str | None = None
    memo: str = ""


def stripe_account(currency: str) -> str:
    return f"stripe:{currency}"


def unmatched_account(currency: str) -> str:
    return f"unmatched:{currency}"


def open_accounts(codes: Iterable[str], *, kind: str | None = None, floored: bool = False) -> None:
    """Make the accounts that do not exist yet; `kind` may be left out for those that payments itself uses.

    A floored account keeps its balance, and the database refuses a transfer that would take it below zero.
    """
    rows: list[dict[str, Any]] = []
    for code in sorted(set(codes)):
        prefix, _, currency = code.split(":")[0], "", code.rsplit(":", 1)[-1]
        rows.append(
            {
                "code": code,
                "kind": kind or KIND_BY_PREFIX[prefix],
                "currency": currency,
                "floored": floored,
                "balance_minor": 0,
                "created_at": timezone.now(),
            }
        )
    insert_or_add(LedgerAccount, rows, key=["code"])


def post(postings: Sequence[Posting]) -> list[str]:
    """Write transfers; one whose key exists changes nothing. Returns the keys that were new.

    Raises PostingMismatch when a key exists with another amount, currency or account. The accounts must exist.
    """
    return check_posted(postings, run(posting(postings))[0])


def posting(postings: Sequence[Posting]) -> Statement | None:
    """The statement that writes transfers; its answer goes to `check_posted`."""
    now = timezone.now()
    rows = [
        {
            "id": new_public_id("transfer"),
            "key": p.key,
            "debit_id": p.debit,
            "credit_id": p.credit,
            "amount_minor": p.amount_minor,
            "currency": p.currency,
            "payment_id": p.payment_id,
            "source": p.source,
            "occurred_at": p.occurred_at,
            "posted_at": now,
            "memo": p.memo,
        }
        for p in postings
    ]
    return inserting_or_adding(Transfer, rows, key=["key"], returning=["key"])


def check_posted(postings: Sequence[Posting], written: Iterable[tuple[Any, ...]]) -> list[str]:
    """The keys that were new, given the keys that were written. Raises PostingMismatch as `post` does."""
    new = {key for (key,) in written}
    repeated = [p for p in postings if p.key not in new]
    posted = {t.key: t for t in Transfer.objects.filter(key__in=[p.key for p in repeated])} if repeated else {}
    for p in repeated:
        t = posted[p.key]
        if (t.debit_id, t.credit_id, t.amount_minor, t.currency) != (p.debit, p.credit, p.amount_minor, p.currency):
            raise PostingMismatch(
                f"{p.key} was posted as {t.amount_minor} {t.currency} from {t.credit_id} to {t.debit_id}, "
                f"and now as {p.amount_minor} {p.currency} from {p.credit} to {p.debit}"
            )
    return [p.key for p in postings if p.key in new]


def reverse(transfer: Transfer, *, key: str, memo: str) -> list[str]:
    """Correct a transfer by its opposite; the books keep both."""
    return post(
        [
            Posting(
                key=key,
                debit=transfer.credit_id,
                credit=transfer.debit_id,
                amount_minor=transfer.amount_minor,
                currency=transfer.currency,
                occurred_at=timezone.now(),
                payment_id=transfer.payment_id,
                memo=memo,
            )
        ]
    )


def balances(codes: Iterable[str]) -> dict[str, int]:
    """Minor units per account code, summed from its transfers, positive on the account's own side."""
    wanted = list(codes)
    kinds = dict(LedgerAccount.objects.filter(code__in=wanted).values_list("code", "kind"))
    debits = Transfer.objects.filter(debit__in=wanted).values_list("debit").annotate(total=Sum("amount_minor"))
    credits = Transfer.objects.filter(credit__in=wanted).values_list("credit").annotate(total=Sum("amount_minor"))
    debit_by, credit_by = dict(debits), dict(credits)
    sign = {code: 1 if kind in {Kind.ASSET, Kind.EXPENSE} else -1 for code, kind in kinds.items()}
    return {code: sign[code] * (debit_by.get(code, 0) - credit_by.get(code, 0)) for code in kinds}


def balance(code: str) -> int:
    """The balance of one account in minor units; 0 where there is no such account."""
    return balances([code]).get(code, 0)
