"""A module of PERSON_DATA that fails when asked."""

from __future__ import annotations

from accounts.models import User
from accounts.tests.holdings import export

__all__ = ["address_proved", "erase", "export"]


def erase(user: User) -> None:
    raise RuntimeError("cannot erase")


def address_proved(user: User) -> None:
    raise RuntimeError("cannot hand over")
