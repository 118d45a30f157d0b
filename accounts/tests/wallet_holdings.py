"""A module of PERSON_DATA that holds money for every organization."""

from __future__ import annotations

from accounts.errors import SoleOwner
from accounts.members import alone_in
from accounts.models import User
from accounts.tests.holdings import address_proved, export

__all__ = ["address_proved", "erase", "export"]


def erase(user: User) -> None:
    for organization in alone_in(user):
        raise SoleOwner(organization.name, holding="a wallet")
