"""Open an hour balance up."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from conventions.commands import COULD_NOT_RUN
from payments.explaining import Check
from payments.management.commands.explain import Command as Explain
from pricing.explaining_hours import HourPart, HoursCheck, Moved, Unshown, explain_hours
from pricing.hour_amounts import hours_text
from pricing.students import student_named


class Command(Explain):
    help = """Opens a student's hours into lots, movements, sessions, purchases, payments and transfers, and checks the sums on
the way. Reads only.

Exit status: 0 every sum holds, 1 one does not, 2 there is no such student, or it could not run.

Examples:
  manage.py explain_hours ada@example.org
  manage.py explain_hours user_01jq… --limit 5 --json"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("student", help="an e-mail address or an id (user_…)")
        parser.add_argument("--limit", type=int, default=50, help="open at most so many lots (default 50)")
        parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        student = student_named(options["student"])
        if student is None:
            self.stderr.write(self.style.ERROR(f"Nobody here is called {options['student']!r}. Give a whole address or id."))
            sys.exit(COULD_NOT_RUN)
        broken = False
        for part in explain_hours(student, limit=max(0, options["limit"])):
            self.stdout.write(_as_json(part) if options["json"] else self._as_words(part))
            broken |= isinstance(part, Check | HoursCheck) and not part.holds
        if broken:
            sys.exit(1)

    def _as_words(self, part: HourPart) -> str:
        if isinstance(part, Moved):
            sign = "+" if part.hundredths > 0 else ""
            words = " · ".join(filter(None, [part.what, part.session, part.who and f"by {part.who}", part.reason]))
            return f"  {part.at:%Y-%m-%d %H:%M} {sign + hours_text(part.hundredths):>9}  {words}"
        if isinstance(part, Unshown):
            return f"  … and {part.count} more lots with {hours_text(part.remaining_hundredths)} hours"
        if not isinstance(part, HoursCheck):
            return self._as_text(part)
        if part.holds:
            return self.style.SUCCESS(f"  ✓ {hours_text(part.hundredths)} hours {part.what}")
        expected = hours_text(part.expected_hundredths)
        return self.style.ERROR(f"  ✗ {hours_text(part.hundredths)} hours, not {expected}, {part.what}. Run check_books.")


def _as_json(part: HourPart) -> str:
    body = {"part": type(part).__name__.lower(), **asdict(part)}
    if isinstance(part, Check | HoursCheck):
        body["holds"] = part.holds
    return json.dumps(body, default=str)
