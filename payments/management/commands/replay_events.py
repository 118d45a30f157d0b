"""Apply stored events again, or show what that would change."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from tqdm import tqdm

from conventions.commands import OperatorCommand
from payments.models import StripeEvent
from payments.replaying import CHUNK, MOST, Replayed, RowChange, preview, replay

USUAL_LIMIT = 1000


class Command(OperatorCommand):
    help = (
        "Shows which rows would change if stored events were applied again, through the one settlement path; with --apply "
        "does it. Safe to interrupt and to run twice: an event that is applied changes nothing. Exit status: 0 nothing "
        "to change, or done; 1 rows would change, or an event failed; 2 could not run.\n\n"
        "Example: manage.py replay_events --state dead --since 2026-11-01"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--id", action="append", default=[], metavar="EVT", help="this event; may be given several times")
        parser.add_argument("--type", help="only events of this type")
        parser.add_argument("--state", choices=[state.value for state in StripeEvent.State], help="only events in this state")
        parser.add_argument("--since", metavar="TIME", help="received at or after this date or time (UTC unless it says)")
        parser.add_argument("--until", metavar="TIME", help="received before this date or time")
        parser.add_argument("--limit", type=int, default=USUAL_LIMIT, help=f"at most so many, the oldest first ({USUAL_LIMIT})")
        parser.add_argument("--apply", action="store_true", help="do it; without it nothing is changed")
        parser.add_argument("--dry-run", action="store_true", help="only show it, as without --apply")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["limit"] <= MOST:
            raise CommandError(f"--limit must be 1 to {MOST}.", returncode=2)
        if options["dry_run"] and options["apply"]:
            raise CommandError("--dry-run changes nothing: leave --apply out.", returncode=2)
        chosen = self._chosen(options)
        ids = list(chosen.order_by("received_at", "pk").values_list("pk", flat=True)[: options["limit"]])
        missing = sorted(set(options["id"]) - set(StripeEvent.objects.filter(pk__in=options["id"]).values_list("pk", flat=True)))
        if missing:
            raise CommandError(f"There is no event {', '.join(missing)} here. `reconcile` fetches what never came.", returncode=2)
        left_out = chosen.count() - len(ids)
        found = self._apply(ids, options) if options["apply"] else self._preview(ids, options)
        if left_out > 0:
            self.stderr.write(f"{left_out} more events fit: raise --limit, or go on with --since.")
        if found:
            sys.exit(1)

    def _chosen(self, options: dict[str, Any]) -> QuerySet[StripeEvent]:
        filters = {
            "pk__in": options["id"],
            "type": options["type"],
            "state": options["state"],
            "received_at__gte": _time(options["since"], "--since"),
            "received_at__lt": _time(options["until"], "--until"),
        }
        given = {name: value for name, value in filters.items() if value}
        if not given:
            raise CommandError("Say which events: --id, --type, --state, --since or --until.", returncode=2)
        return StripeEvent.objects.filter(**given)

    def _preview(self, ids: list[str], options: dict[str, Any]) -> int:
        """Returns how many rows would change, and events would fail or were left out."""
        changes = 0
        failed: dict[str, str] = {}
        busy: list[str] = []
        for chunk in self._chunks(ids):
            seen = preview(chunk)
            failed |= seen.failed
            busy += seen.busy
            changes += len(seen.changes)
            for change in seen.changes:
                self._show(change, as_json=options["json"])
        if options["json"]:
            self._write({"applied": False, "events": len(ids), "changes": changes, "failed": failed, "busy": busy})
            return changes + len(failed) + len(busy)
        self._tell_failures(failed, busy)
        if failed or busy:
            told = f"{len(ids)} events would change {changes} rows, {len(failed)} would fail, {len(busy)} are busy."
            self.stdout.write(f"{told} Nothing was changed; --apply does it.")
        elif changes:
            self.stdout.write(f"{len(ids)} events would change {changes} rows. Nothing was changed; --apply does it.")
        else:
            self.stdout.write(self.style.SUCCESS(f"{len(ids)} events would change nothing."))
        return changes + len(failed) + len(busy)

    def _apply(self, ids: list[str], options: dict[str, Any]) -> int:
        """Returns how many events failed or were left out."""
        done = Replayed()
        for chunk in self._chunks(ids):
            part = replay(chunk)
            done.states |= part.states
            done.failed |= part.failed
            done.busy += part.busy
        counts = {state: list(done.states.values()).count(state) for state in sorted(set(done.states.values()))}
        if options["json"]:
            self._write({"applied": True, "events": len(ids), "states": counts, "failed": done.failed, "busy": done.busy})
        else:
            self._tell_failures(done.failed, done.busy)
            told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing to do"
            self.stdout.write(f"replayed {len(ids)} events: {told}")
        return len(done.failed) + len(done.busy)

    def _tell_failures(self, failed: dict[str, str], busy: list[str]) -> None:
        for pk, error in sorted(failed.items()):
            self.stdout.write(self.style.ERROR(f"  ✗ {pk}: {error}"))
        for pk in busy:
            self.stdout.write(f"  … {pk} is being applied by another process")

    def _chunks(self, ids: list[str]) -> Any:
        starts = range(0, len(ids), CHUNK)
        hidden = not sys.stderr.isatty()
        return (ids[start : start + CHUNK] for start in tqdm(starts, desc="events", unit="hundred", disable=hidden))

    def _show(self, change: RowChange, *, as_json: bool) -> None:
        if as_json:
            columns = {name: {"before": before, "after": after} for name, (before, after) in change.columns.items()}
            self._write({"table": change.table, "row": change.row, "change": change.change, "columns": columns})
            return
        self.stdout.write(f"{'+' if change.change == 'added' else '~'} {change.table} {change.row}")
        for name, (before, after) in change.columns.items():
            told = f"{after}" if change.change == "added" else f"{before} → {after}"
            self.stdout.write(f"      {name}: {told}")

    def _write(self, line: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(line, cls=DjangoJSONEncoder))


def _time(written: str | None, option: str) -> datetime | None:
    if written is None:
        return None
    try:
        day = parse_date(written)
        found = datetime(day.year, day.month, day.day) if day else parse_datetime(written)
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"{option} must look like 2026-11-21 or 2026-11-21T08:00:00Z, not {written!r}.", returncode=2)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
