"""Prefixed public ids such as `donation_01jq…`: TypeIDs, that is UUIDv7 in base32 behind a prefix.

Sortable by creation time, unguessable, and an id in a log line says what it is an id of.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from django.db import models
from typeid import TypeID

MAX_LENGTH = 40  # a prefix of up to 13 letters, an underscore, 26 of base32
SUFFIX = r"[0-7][0-9a-hjkmnp-tv-z]{25}"


def new_public_id(prefix: str) -> str:
    """A fresh id, unique and later than all made before it (to the millisecond)."""
    return str(TypeID(prefix=prefix))


def is_public_id(value: str, prefix: str) -> bool:
    """Whether `value` has the form of an id with this prefix; says nothing about the row's existence."""
    return re.fullmatch(f"{prefix}_{SUFFIX}", value) is not None


class IdentifierField(models.CharField[Any, Any]):
    """Text that is only ever compared whole: ids and keys, ours and Stripe's.

    On PostgreSQL Django gives a unique or indexed CharField a second index for LIKE, which every insert would pay for
    and no query here uses. It decides by the type's name, so the type goes by its longer one.
    """

    def db_type(self, connection: Any) -> str | None:
        usual = super().db_type(connection)
        return usual.replace("varchar", "character varying") if usual and connection.vendor == "postgresql" else usual


class PublicIdField(IdentifierField):
    """A primary key that makes its own value: `id = PublicIdField(prefix="donation")`."""

    def __init__(self, *args: Any, prefix: str, **kwargs: Any) -> None:
        self.prefix = prefix
        kwargs.update(primary_key=True, max_length=MAX_LENGTH, editable=False, default=partial(new_public_id, prefix))
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        for derived in ("primary_key", "max_length", "editable", "default"):
            kwargs.pop(derived, None)
        return name, path, list(args), {**kwargs, "prefix": self.prefix}
