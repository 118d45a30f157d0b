"""Reading several things as they were at one moment, so that what is compared belongs together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction


@contextmanager
def one_snapshot() -> Iterator[None]:
    """All that is read within is of one moment, whatever others commit meanwhile; nothing may be written.

    Nobody waits for it. Within a transaction that is open already nothing changes: what that one sees is what is seen.
    """
    if connection.in_atomic_block:
        yield
        return
    with _read_only():
        yield


@contextmanager
def _read_only() -> Iterator[None]:
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    # SQLite: our transactions take the writer's lock as they begin, which one that only reads must not.
    sqlite: Any = connection
    sqlite.ensure_connection()  # it learns its mode by connecting, and this may be the first use in its thread
    usual = sqlite.transaction_mode
    sqlite.transaction_mode = "DEFERRED"
    try:
        with transaction.atomic():
            sqlite.transaction_mode = usual
            yield
    finally:
        sqlite.transaction_mode = usual
