"""Making an export: asked for in one transaction, written by a background task, picked up again when a worker dies.

The row says what must be done and how far it is; the task is only the nudge. A worker owns an export by the number of
its attempt: one that was thought dead and comes back finds another number, and throws its file away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django_tasks import task

from accounts import audit
from accounts.models import User
from backoffice.exports.columns import TABLES
from backoffice.exports.errors import TooManyExports
from backoffice.exports.files import SHEETS
from backoffice.exports.filters import Filters
from backoffice.models import Export
from conventions.failures import told

logger = logging.getLogger(__name__)

State = Export.State

MOST_WAITING = 5  # of one person; an export is minutes of a worker that also sends receipts
MAX_ATTEMPTS = 3
TELL_EVERY_S = 1.0
# Closing a workbook of a million rows takes a minute in which nothing is told.
DEAD_AFTER = timedelta(minutes=10)
NUDGE_LOST_AFTER = timedelta(hours=1)
AT_ONCE = 100


class TakenOver(Exception):
    """Somebody else makes this export now."""


def storage() -> Storage:
    """Where files wait to be downloaded: not under MEDIA_ROOT, and never served by its address."""
    return storages["exports"]


# -- asking ---------------------------------------------------------------------------------------------
def ask(*, kind: str, file_format: str, filters: Filters, requested_by: User) -> Export:
    """A new export, to be made in the background. Raises TooManyExports while the person waits for several."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=requested_by.pk)  # of two clicks at once, the second waits and is counted
        waiting = Export.objects.filter(requested_by=requested_by, state__in=[State.QUEUED, State.RUNNING]).count()
        if waiting >= MOST_WAITING:
            raise TooManyExports(f"{waiting} exports of yours are still being made. Wait until one is done.")
        export = Export.objects.create(kind=kind, format=file_format, filters=filters.as_json(), requested_by=requested_by)
        after = {"kind": kind, "format": file_format, **filters.as_json()}
        audit.record(actor=requested_by, action="export.requested", target=export, before={}, after=after)
        make_export.enqueue(export.pk)
    return export


def note_download(export: Export, *, actor: User) -> None:
    """Leave a line in the history: personal data leaves the system here."""
    after = {"file": export.file_name, "rows": export.rows_done, "bytes": export.size_bytes}
    with transaction.atomic():
        audit.record(actor=actor, action="export.downloaded", target=export, before={}, after=after)


# -- making ---------------------------------------------------------------------------------------------
@task()
def make_export(export_id: str) -> int:
    """Write an export unless somebody does or did; returns the number of its rows."""
    export = _claim(export_id)
    if export is None:
        return 0
    try:
        return _make(export)
    except TakenOver:
        logger.warning("export %s is made by another worker now; this one stops", export.pk)
    except Exception as error:
        logger.exception("export %s failed", export.pk)
        _fail(export, told(error))
    return 0


def _claim(export_id: str) -> Export | None:
    now = timezone.now()
    free = Q(state=State.QUEUED) | Q(state=State.RUNNING, progress_at__lt=now - DEAD_AFTER)
    claimed = Export.objects.filter(free, pk=export_id, attempts__lt=MAX_ATTEMPTS).update(
        state=State.RUNNING, attempts=F("attempts") + 1, rows_done=0, progress_at=now, error=""
    )
    return Export.objects.get(pk=export_id) if claimed else None


def _make(export: Export) -> int:
    started = timezone.now()
    filters = Filters.from_json(export.filters)
    total = TABLES[export.kind].rows(filters, started).count()
    _mine(export).update(rows_total_estimate=total)
    name = file_name(export, attempt=export.attempts)
    with TemporaryDirectory(prefix="largesse-export-") as directory:
        path = Path(directory) / name
        rows = write(export.kind, export.format, filters, path, made_before=started, tell=_teller(export))
        if not _mine(export).update(rows_done=rows, progress_at=timezone.now()):
            raise TakenOver
        _remove(export)  # what an attempt before this one may have left
        with path.open("rb") as written:
            storage().save(name, File(written))
        size = path.stat().st_size
    now = timezone.now()
    expires_at = now + timedelta(days=settings.EXPORT_KEPT_DAYS)
    done = _mine(export).update(
        state=State.DONE, rows_done=rows, file_name=name, size_bytes=size, finished_at=now, expires_at=expires_at
    )
    if not done:
        storage().delete(name)
        raise TakenOver
    return rows


def write(
    kind: str, file_format: str, filters: Filters, path: Path, *, made_before: datetime, tell: Callable[[int], None]
) -> int:
    """Write the file; `tell` hears after every page how many rows there are. Returns their number."""
    table = TABLES[kind]
    rows = 0
    with SHEETS[file_format](path, table.columns) as sheet:
        for page in table.pages(filters, made_before):
            sheet.write(page)
            rows += len(page)
            tell(rows)
    return rows


def file_name(export: Export, *, attempt: int) -> str:
    """Every attempt has a file of its own, so that none writes into another's."""
    return f"{export.kind}-{export.created_at:%Y-%m-%d}-{export.pk}-{attempt}.{export.format}"


def _mine(export: Export) -> Any:
    """The row, while this attempt owns it."""
    return Export.objects.filter(pk=export.pk, state=State.RUNNING, attempts=export.attempts)


def _teller(export: Export) -> Callable[[int], None]:
    """Says how far it is, at most once a second, and stops an attempt that owns the export no more."""
    told_at = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < TELL_EVERY_S:
            return
        told_at = time.monotonic()
        if not _mine(export).update(rows_done=rows, progress_at=timezone.now()):
            raise TakenOver

    return tell


def _fail(export: Export, error: str) -> None:
    _mine(export).update(state=State.FAILED, finished_at=timezone.now(), error=error[:500])


def _remove(export: Export) -> None:
    """Delete every file that an earlier attempt may have left; a file that is not there is no error."""
    for attempt in range(1, export.attempts):
        storage().delete(file_name(export, attempt=attempt))


# -- keeping: called by `sweep` through settings.ALSO_SWEPT ------------------------------------------------
def sweep() -> dict[str, int]:
    """Pick up exports whose worker died, give up those that kill every worker, delete files that are old enough."""
    return {"exports picked up": _pick_up(), "exports given up": _give_up(), "export files deleted": _delete_expired()}


def _dead(now: datetime) -> Q:
    return Q(state=State.RUNNING, progress_at__lt=now - DEAD_AFTER)


def _pick_up() -> int:
    """Nudge once more for each export that nobody makes; at most hourly for one that waits, should workers be down."""
    now = timezone.now()
    nudged_long_ago = Q(progress_at=None, created_at__lt=now - NUDGE_LOST_AFTER) | Q(progress_at__lt=now - NUDGE_LOST_AFTER)
    due = Export.objects.filter(_dead(now) | Q(nudged_long_ago, state=State.QUEUED), attempts__lt=MAX_ATTEMPTS)
    picked = 0
    for pk in list(due.order_by("created_at").values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            if due.filter(pk=pk).update(state=State.QUEUED, progress_at=now):
                make_export.enqueue(pk)
                picked += 1
    return picked


def _give_up() -> int:
    now = timezone.now()
    given_up = 0
    for export in Export.objects.filter(_dead(now), attempts__gte=MAX_ATTEMPTS).order_by("created_at")[:AT_ONCE]:
        error = f"Its worker died {MAX_ATTEMPTS} times. Look at the worker's log; a smaller export may go through."
        still_dead = Export.objects.filter(_dead(now), pk=export.pk)
        if still_dead.update(state=State.FAILED, finished_at=now, error=error):
            _remove(export)
            storage().delete(file_name(export, attempt=export.attempts))
            given_up += 1
    return given_up


def _delete_expired() -> int:
    """The file first: should the process die between, the next run finds the row and deletes nothing twice."""
    expired = Export.objects.exclude(file_name="").filter(expires_at__lte=timezone.now())
    found = list(expired.order_by("expires_at")[:AT_ONCE])
    for export in found:
        storage().delete(export.file_name)
        Export.objects.filter(pk=export.pk).update(file_name="")
    return len(found)
