"""How amounts look in the back office; all else looks as everywhere in it (conventions/admin_showing.py)."""

from __future__ import annotations

from conventions.admin_showing import change_url, link, link_by_id, list_url, moment, pill, pretty
from payments.money import Money

__all__ = ["change_url", "link", "link_by_id", "list_url", "moment", "money", "pill", "pretty"]


def money(amount_minor: int, currency: str) -> str:
    return Money(amount_minor, currency).display()
