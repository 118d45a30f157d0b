"""Run a student's hours ahead of the clock."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from conventions.commands import COULD_NOT_RUN, OperatorCommand
from pricing.hour_amounts import hours_text
from pricing.simulating import MOST_DAYS, Step, not_foreseen, simulate
from pricing.students import student_named


class Command(OperatorCommand):
    help = f"""Shows what time will do to a student's hours: expiries, renewals of running subscriptions, and what is left
after each. The real operations run ahead of the clock in a transaction that is rolled back: nothing is changed, no mail is
sent and Stripe is not called. At most {MOST_DAYS} days.

Exit status: 0 shown, 2 there is no such student, or it could not run.

Examples:
  manage.py simulate --student ada@example.org
  manage.py simulate --student user_01jq… --days 30 --json"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--student", required=True, help="an e-mail address or an id (user_…)")
        parser.add_argument("--days", type=int, default=400, help=f"how far to look ahead: 0 to {MOST_DAYS} (default 400)")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["days"] <= MOST_DAYS:
            raise CommandError(f"--days must be 0 to {MOST_DAYS}, not {options['days']}.", returncode=COULD_NOT_RUN)
        student = student_named(options["student"])
        if student is None:
            self.stderr.write(self.style.ERROR(f"Nobody here is called {options['student']!r}. Give a whole address or id."))
            sys.exit(COULD_NOT_RUN)
        steps = simulate(student, now=timezone.now(), days=options["days"])
        notes = not_foreseen(student)
        if options["json"]:
            body = {"student": student.pk, "steps": [_as_json(step) for step in steps], "not_foreseen": notes}
            self.stdout.write(json.dumps(body, default=str))
            return
        self.stdout.write(self.style.MIGRATE_HEADING(f"{student.email}, the next {options['days']} days (UTC)"))
        self.stdout.write(f"  {'when':16} {'hours':>8} {'left':>8} {'charged':>10}  what")
        for step in steps:
            self.stdout.write(_as_text(step))
        for note in notes:
            self.stdout.write(self.style.WARNING(f"  {note}"))


def _as_text(step: Step) -> str:
    plus = "+" if step.change_hundredths > 0 else ""
    hours = f"{plus}{hours_text(step.change_hundredths)}" if step.change_hundredths else ""
    charged = step.money.display() if step.money else ""
    return f"  {step.at:%Y-%m-%d %H:%M} {hours:>8} {hours_text(step.left_hundredths):>8} {charged:>10}  {step.what}"


def _as_json(step: Step) -> dict[str, Any]:
    return {
        "at": step.at.isoformat(),
        "what": step.what,
        "change": hours_text(step.change_hundredths),
        "left": hours_text(step.left_hundredths),
        "charged": {"amount": str(step.money), "currency": step.money.currency.upper()} if step.money else None,
    }
