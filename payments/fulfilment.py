"""What payments asks of products, and the look-up of who fulfils which purpose.

`settings.PAYMENT_FULFILMENTS` maps a purpose to a module with these functions; `checks.py` proves at start-up that
each exists. Payments calls products through here and knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol, cast

from django.conf import settings
from django.db.models import QuerySet

from payments.models import Payment, Transfer


@dataclass(frozen=True, kw_only=True)
class PaymentChange:
    """A payment whose facts changed, and how much more (or less) of its money moved by that."""

    payment: Payment
    became_paid: bool
    refunded_delta_minor: int
    disputed_delta_minor: int


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What money can be given to: a campaign, say."""

    id: str
    title: str
    currency: str


@dataclass(frozen=True, kw_only=True)
class Total:
    """A number that the product shows, and the ledger account whose transfers must add up to it: all of them or, with
    `keys`, those alone. Without an account nothing is added up, and `facts` say why.

    `shown_minor` is None where the account's own balance is all there is; `shown_as` says in words what it is.
    """

    title: str
    account: str = ""
    keys: Collection[str] = ()
    shown_minor: int | None = None
    shown_as: str = "what is shown"
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that the product did about a payment: a receipt that was sent. `went_well` is its colour."""

    at: datetime
    what: str
    detail: str = ""
    went_well: bool = True


class Fulfilment(Protocol):
    def settle(self, changes: Sequence[PaymentChange]) -> None:
        """Bring the product's rows in line with the payments, inside the settlement's transaction.

        Called with payments locked, in order of their ids; must itself lock in order. Never calls out.
        """

    def adopt(self, payment: Payment, subject: str) -> bool:
        """Make a product row for money that came past us: a Payment Link whose metadata names purpose and subject, or
        what staff assign. Set the payment's `subject_id` and `destination`, save it (it may be new) and the row. False,
        having done nothing, when there is no such subject or it takes no such money."""

    def check_books(self) -> Iterable[str]:
        """A sentence for every row that breaks an invariant."""

    def sweep(self) -> dict[str, int]:
        """Finish what a lost nudge left over, bounded; counts by what was done."""

    def explain(self, subject_id: str) -> str:
        """One line that says what the product row is."""

    def totals_of(self, name: str) -> Sequence[Total]:
        """The totals, a few, that a name of the product's own stands for (an id, a slug); none where it knows no such
        name."""

    def acted(self, transfers: Sequence[Transfer]) -> Mapping[str, str]:
        """Who is behind transfers, in words and by their keys, where the product knows more of that than payments does.
        In a fixed number of queries, however many transfers."""

    def find_subjects(self, words: str) -> Sequence[Subject]:
        """What `adopt` could be given, by whole id or by words of its title; a bounded number, the newest first."""

    def happened(self, subject_id: str) -> Sequence[Happening]:
        """What the product did about its row besides its state: mails sent. In one query, a bounded number."""

    def rows_of(self, payments: Collection[str]) -> Iterable[QuerySet[Any]]:
        """Every row that `settle` and `adopt` may write for these payments: what a preview compares."""


FUNCTIONS = (
    "settle",
    "adopt",
    "check_books",
    "sweep",
    "explain",
    "totals_of",
    "acted",
    "find_subjects",
    "happened",
    "rows_of",
)


def fulfilment_of(purpose: str) -> Fulfilment | None:
    """The module that fulfils a purpose; None for money that belongs to no product (unmatched)."""
    path = settings.PAYMENT_FULFILMENTS.get(purpose)
    return cast(Fulfilment, import_module(path)) if path else None


def all_fulfilments() -> list[Fulfilment]:
    return [cast(Fulfilment, import_module(path)) for path in sorted(set(settings.PAYMENT_FULFILMENTS.values()))]
