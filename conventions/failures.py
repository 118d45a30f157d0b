"""Telling what went wrong in words that may be kept and shown: without people's data and without secrets."""

from __future__ import annotations

from django.db import Error as DatabaseError

from conventions.scrubbing import scrubbed
from conventions.storable import storable


def told(error: BaseException, *, longest: int = 500) -> str:
    """The kind of error and its message. Of a database's error only what names no row: PostgreSQL quotes the whole row
    that it refused, names and addresses and all."""
    text = _of_database(error) if isinstance(error, DatabaseError) else str(error)
    kind = type(error).__name__
    return storable(scrubbed(f"{kind}: {text}" if text else kind), longest)


def _of_database(error: DatabaseError) -> str:
    """SQLSTATE, constraint and first line from PostgreSQL; SQLite's messages are one line that names columns only."""
    cause = error.__cause__
    state, diagnosis = getattr(cause, "sqlstate", None), getattr(cause, "diag", None)
    if diagnosis is None or not diagnosis.message_primary:
        return str(error).partition("\n")[0]
    return " ".join(part for part in (state, diagnosis.constraint_name, diagnosis.message_primary) if part)
