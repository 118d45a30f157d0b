"""/healthz: the process answers. /readyz: it may be sent traffic."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from payments.inbox import State
from payments.models import StripeEvent

logger = logging.getLogger(__name__)

# Migrations of a running process cannot come undone, so that once they were all applied nobody asks again.
_migrated = False


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, cache and migrations are in order, else 503; the oldest unapplied event is only told."""
    checks: dict[str, Callable[[], bool]] = {"database": _database_answers, "cache": _cache_answers, "migrations": _is_migrated}
    outcome = {name: _holds(name, check) for name, check in checks.items()}
    ready = all(outcome.values())
    body: dict[str, object] = {"status": "ready" if ready else "not ready", **outcome}
    if outcome["migrations"]:
        body["oldest_unapplied_event_s"] = _oldest_unapplied_event_s()
    return JsonResponse(body, status=200 if ready else 503)


def _holds(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  whatever is wrong with it, the answer is that it is not ready
        logger.error("not ready: %s: %s", name, error)
        return False


def _database_answers() -> bool:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def _cache_answers() -> bool:
    cache.set("readyz", "1", timeout=10)
    return bool(cache.get("readyz") == "1")


def _is_migrated() -> bool:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _oldest_unapplied_event_s() -> int | None:
    unapplied = StripeEvent.objects.filter(state__in=[State.RECEIVED, State.PARKED, State.FAILED])
    oldest = unapplied.order_by("received_at").values_list("received_at", flat=True).first()
    return int((timezone.now() - oldest).total_seconds()) if oldest else None
