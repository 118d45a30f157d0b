"""Writing down how the machinery runs (models/running.py): never an error to what it measures."""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

from django.db import DatabaseError, connection
from django.utils import timezone

from conventions.failures import told
from conventions.insert_or_add import insert_or_add
from payments.models import LastRun, StripeCallTally

logger = logging.getLogger(__name__)

# What names one object in a path: cs_test_a1b2, pi_3Abc.
IDENTIFIER = re.compile(r"[a-z]{1,12}_[A-Za-z0-9_]{3,}|[A-Za-z0-9]*\d[A-Za-z0-9]*")
WORDS = frozenset({"v1", "v2", "payment_intents", "payment_methods", "balance_transactions", "webhook_endpoints"})


def note_run(name: str, *, found: int = 0) -> None:
    LastRun.objects.update_or_create(name=name, defaults={"finished_at": timezone.now(), "found": found})


def count_call(method: str, url: str, outcome: str, took_s: float) -> None:
    """Add one try at a call to Stripe to the tally of all processes."""
    took_ms = round(took_s * 1000)
    row = {"operation": _operation(method, url), "outcome": outcome, "calls": 1, "total_ms": took_ms}
    row |= {f"le_{limit}": int(took_ms <= limit) for limit in StripeCallTally.BUCKETS_MS}
    added = [name for name in row if name not in {"operation", "outcome"}]
    if connection.in_atomic_block and connection.needs_rollback:
        return
    try:
        insert_or_add(StripeCallTally, [row], key=["operation", "outcome"], add=added)
    except DatabaseError as error:
        logger.warning("a call to Stripe could not be counted: %s", told(error))


def _operation(method: str, url: str) -> str:
    parts = [part for part in urlsplit(url).path.split("/") if part]
    named = [part if part in WORDS or not IDENTIFIER.fullmatch(part) else "{id}" for part in parts]
    return f"{method.upper()} /{'/'.join(named)}"[:80]
