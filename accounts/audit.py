"""The history of what staff did, and what people did to their organizations: one line per act, written in the transaction
of the act itself.

A line is append-only (a trigger refuses anything else), so nothing goes into it that a person may ask to have erased:
passwords never, names and words of people only as “written” or “changed”, addresses masked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db import models, transaction

from accounts.models import AuditEntry, User
from conventions.errors import InvalidInput

LONGEST_TEXT = 2000
LONGEST_REASON = 500


def record(
    *,
    actor: User | None,
    action: str,
    target: models.Model,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str = "",
) -> AuditEntry:
    """Write down that `actor` did `action` to `target`; `before` and `after` hold what differs, ready for JSON.

    Call it inside the transaction of the act: both commit or neither does. Raises TransactionManagementError outside
    of one. `actor` is None for what the system or a command does.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(f"{action} must be recorded in the transaction of the act itself.")
    return AuditEntry.objects.create(
        actor=actor,
        action=action,
        target_type=target._meta.label_lower,
        target_id=str(target.pk),
        before=_bounded(before),
        after=_bounded(after),
        reason=reason[:LONGEST_REASON],
    )


def reason_given(reason: str) -> str:
    """The reason of an act that needs one, without the white space around it, at most LONGEST_REASON characters of it.

    Raises InvalidInput naming `reason` where there is none.
    """
    if not reason.strip():
        raise InvalidInput("Say why: whoever looks at this later will ask.", field="reason")
    return reason.strip()[:LONGEST_REASON]


def facts_of(row: models.Model, *, secret: Collection[str] = (), personal: Collection[str] = ()) -> dict[str, Any]:
    """The columns of a row by name, as the database has them.

    Values of `secret` columns are replaced so that a change shows and the value does not; `changes` words them.
    """
    facts: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        value = field.value_from_object(row)
        hidden = field.name in secret or field.name in personal
        facts[field.name] = Hidden(value, masked=masked(value) if field.name in personal else "") if hidden else value
    return facts


class Hidden:
    """A value that is compared, but never written down."""

    def __init__(self, value: Any, *, masked: str = "") -> None:
        self.value = value
        self.masked = masked

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]  # compared, never collected


def masked(value: Any) -> str:
    """Of an address its first letter and domain, of other words nothing."""
    name, at, domain = str(value or "").rpartition("@")
    return f"{name[:1]}…@{domain}" if at and name and " " not in domain else ""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs between two sets of facts, as `record` takes it: the old values and the new."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return (
        {name: _shown(before[name], "hidden") for name in names if name in before},
        {name: _shown(after[name], "changed" if name in before else "written") for name in names if name in after},
    )


def _shown(value: Any, word: str) -> Any:
    if not isinstance(value, Hidden):
        return value
    if not value.value:
        return ""
    return value.masked or f"({word})"


def _bounded(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of more than LONGEST_TEXT characters are cut, and say so."""

    def cut(value: Any) -> Any:
        if not isinstance(value, str) or len(value) <= LONGEST_TEXT:
            return value
        return f"{value[:LONGEST_TEXT]}… ({len(value):,} characters)"

    return {name: cut(value) for name, value in facts.items()}
