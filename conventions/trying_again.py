"""Doing the work of a transaction again where the database has ended it for the sake of another one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection, transaction

from conventions.failures import told

logger = logging.getLogger(__name__)

TRIES = 3
RETRYABLE = frozenset({"40001", "40P01"})  # PostgreSQL: serialization failure, deadlock
Result = TypeVar("Result")


def ended_for_another(error: BaseException) -> bool:
    """Whether the database ended this transaction so that another could go on."""
    return getattr(error.__cause__, "sqlstate", None) in RETRYABLE


def in_transaction(work: Callable[[], Result], *, what: str) -> Result:
    """Run in one transaction; a deadlock or serialization failure is tried again, at most three times in all.

    Within a transaction that is open already there is no second try: what the caller did before is lost too.
    """
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if not ended_for_another(error) or attempt == TRIES or connection.in_atomic_block:
                raise
            logger.warning("%s is tried again after: %s", what, told(error))
    raise AssertionError("unreachable: the last try returns or raises")
