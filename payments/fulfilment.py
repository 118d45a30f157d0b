"""What payments asks of products, and the look-up of who fulfils which purpose.

`settings.PAYMENT_FULFILMENTS` maps a purpose to a module with these functions; `checks.py` proves at start-up that
each exists. Payments calls products through here and knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings

from payments.models import Payment


@dataclass(frozen=True, kw_only=True)
class PaymentChange:
    """A payment whose facts changed, and how much more (or less) of its money moved by that."""

    payment: Payment
    became_paid: bool
    refunded_delta_minor: int
    disputed_delta_minor: int


class Fulfilment(Protocol):
    def settle(self, changes: Sequence[PaymentChange]) -> None:
        """Bring the product's rows in line with the payments, inside the settlement's transaction.

        Called with payments locked, in order of their ids; must itself lock in order. Never calls out.
        """

    def adopt(self, payment: Payment, subject: str) -> bool:
        """Make a product row for money that came past us (a Payment Link whose metadata names purpose and subject):
        set the unsaved payment's `subject_id` and `destination`, save it and the row. False, having done nothing,
        when there is no such subject or it takes no such money."""

    def check_books(self) -> Iterable[str]:
        """A sentence for every row that breaks an invariant."""

    def sweep(self) -> dict[str, int]:
        """Finish what a lost nudge left over, bounded; counts by what was done."""

    def explain(self, subject_id: str) -> str:
        """One line that says what the product row is."""


FUNCTIONS = ("settle", "adopt", "check_books", "sweep", "explain")


def fulfilment_of(purpose: str) -> Fulfilment | None:
    """The module that fulfils a purpose; None for money that belongs to no product (unmatched)."""
    path = settings.PAYMENT_FULFILMENTS.get(purpose)
    return cast(Fulfilment, import_module(path)) if path else None


def all_fulfilments() -> list[Fulfilment]:
    return [cast(Fulfilment, import_module(path)) for path in sorted(set(settings.PAYMENT_FULFILMENTS.values()))]
