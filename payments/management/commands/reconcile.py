"""Compare our books with Stripe's, and mend ours."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.utils import timezone
from tqdm import tqdm

from conventions.commands import COULD_NOT_RUN, OperatorCommand
from conventions.errors import DomainError
from payments.reconciliation.running import Finding, Result, Run
from payments.reconciliation.windows import NotAMoment, read_window
from payments.running import note_run

MARKS = {"found": "✗", "mended": "✓", "failed": "✗", "left": "…"}


def _grace() -> str:
    """What webhooks may still be on their way for, as --until reads it."""
    return f"{settings.PARKED_AFTER_S // 60}m"


class Command(OperatorCommand):
    help = """Compares everything that Stripe lists for a window of time with our books: events that never arrived,
sessions, intents, charges, refunds, disputes, balance transactions (their fees and conversions), payouts. Says what
differs and what would mend it; with --apply mends it through the path that webhooks take.

Reads only unless --apply. An interrupted or stopped --apply goes on where it was when started again with the same window.
Exit status: 0 nothing differs, 1 something differs or differed, 2 it could not run: Stripe or the
database could not be asked.

Examples:
  manage.py reconcile                                  the last 30 days, changes nothing
  manage.py reconcile --apply                          daily, from cron
  manage.py reconcile --since 2026-11-01 --until 2026-11-02 --json"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        grace = _grace()
        parser.add_argument("--since", default="30d", help="30d, 12h, 90m (ago) or 2026-11-01; default 30d, as far as events go")
        parser.add_argument(
            "--until", default=grace, help=f"the same, or now; default {grace}: later webhooks may be on their way"
        )
        parser.add_argument("--apply", action="store_true", help="mend what differs")
        parser.add_argument(
            "--limit", type=int, default=10_000, help="try to mend at most so many things in one run (default 10000)"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            window = read_window(since=options["since"], until=options["until"], now=timezone.now())
        except NotAMoment as error:
            self._refuse(str(error))
        with tqdm(unit=" objects", disable=None, leave=False) as bar:

            def on_page(step: str, count: int) -> None:
                bar.set_description(step, refresh=False)
                bar.update(count)

            def on_pause(why: str) -> None:
                with bar.external_write_mode(file=sys.stderr):
                    self.stderr.write(f"{why}.", self.style.WARNING)

            run = Run(window, apply=options["apply"], limit=max(0, options["limit"]), on_page=on_page, on_pause=on_pause)
            if not options["json"]:
                self._introduce(run.result)
            group = ""
            try:
                for finding in run.findings():
                    with bar.external_write_mode(file=sys.stdout):
                        self._tell(finding, as_json=options["json"], group=group)
                    group = finding.step
            except DomainError as error:
                again = " What was mended stays so; start it again to go on." if options["apply"] else ""
                self._refuse(f"Stripe could not be asked: {error}{again}")
        if run.apply and not run.result.stopped:
            note_run("reconcile", found=run.result.found)  # for the metrics, and the alert that rests on them
        self._conclude(run, as_json=options["json"], until=options["until"])
        if run.result.found:
            sys.exit(1)

    def _introduce(self, result: Result) -> None:
        going_on = ", going on where the last run was interrupted" if result.went_on else ""
        self.stdout.write(f"Our books and Stripe's, {result.since:%Y-%m-%d %H:%M} to {result.until:%Y-%m-%d %H:%M} UTC{going_on}")

    def _tell(self, finding: Finding, *, as_json: bool, group: str) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(finding)))
            return
        if finding.step != group:
            self.stdout.write(f"\n{finding.step}")
        told = f"  {MARKS[finding.outcome]} {finding.subject}: {finding.what}"
        if finding.outcome == "failed":
            told += f"; could not be mended: {finding.error}"
        elif finding.outcome != "mended":
            told += f"; to mend: {finding.remedy or 'staff must look at it'}"
        self.stdout.write(told)

    def _conclude(self, run: Run, *, as_json: bool, until: str) -> None:
        result = run.result
        if as_json:
            counts = {"compared": result.compared, "found": result.found, "mended": result.mended, "stopped": result.stopped}
            window = {"since": result.since.isoformat(), "until": result.until.isoformat()}
            self.stdout.write(json.dumps({"clean": result.found == 0, **counts, **window}))
            return
        told = f"{result.compared} objects compared"
        if not result.found:
            self.stdout.write(self.style.SUCCESS(f"{told}; nothing differs."))
        elif not run.apply:
            self.stdout.write(f"\n{told}, {result.found} differ. Nothing was changed; --apply mends what can be.")
        else:
            self.stdout.write(f"\n{told}, {result.found} differed, {result.mended} mended.")
        if not result.compared and until == _grace():
            self.stdout.write(f"The last {settings.PARKED_AFTER_S // 60} minutes are left out; --until now takes them in.")
        if result.stopped:
            self.stdout.write("Stopped at the limit. Start it again with the same window to go on.")

    def _refuse(self, message: str) -> None:
        self.stderr.write(self.style.ERROR(message))
        sys.exit(COULD_NOT_RUN)
