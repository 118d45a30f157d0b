"""A module as PERSON_DATA names them, which remembers what it was asked."""

from __future__ import annotations

from typing import Any

from accounts.models import User

calls: list[tuple[str, str]] = []


def export(user: User) -> dict[str, Any]:
    return {"gifts": [{"from": user.email}]}


def erase(user: User) -> None:
    calls.append(("erase", user.email))


def address_proved(user: User) -> None:
    calls.append(("address_proved", user.email))
