"""End what was kept long enough, or show what that is."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from backoffice.retention import RULES, Rule, apply, due
from conventions.commands import OperatorCommand
from payments.running import note_run

USUAL_LIMIT = 200_000
MOST = 1_000_000


class Command(OperatorCommand):
    help = (
        "Shows which data has been kept long enough, by the periods in the environment (PAYLOADS_KEPT_DAYS, …); with --apply "
        "reduces or deletes it: amounts, transfers and the history of staff stay. Safe to interrupt and to run twice. Exit "
        "status: 0 nothing is due, or all of it was done; 1 something is due, or --limit left some; 2 could not run.\n\n"
        "Example: manage.py retention --apply"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", action="append", choices=[rule.name for rule in RULES], help="only this; may be repeated")
        parser.add_argument("--limit", type=int, default=USUAL_LIMIT, help=f"look at so many rows of each kind ({USUAL_LIMIT})")
        parser.add_argument("--apply", action="store_true", help="do it; without it nothing is changed")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        limit = options["limit"]
        if not 0 < limit <= MOST:
            raise CommandError(f"--limit must be 1 to {MOST}.", returncode=2)
        rules = [rule for rule in RULES if not options["only"] or rule.name in options["only"]]
        told = {rule.name: self._apply(rule, limit) if options["apply"] else {"due": due(rule, limit=limit)} for rule in rules}
        left = sum(counts["due"] for counts in told.values())
        if options["apply"] and not options["only"]:
            note_run("retention", found=left)
        if options["json"]:
            self.stdout.write(json.dumps({"applied": options["apply"], "rules": told}))
        else:
            self._tell(rules, told, limit, applied=options["apply"])
        if left:
            sys.exit(1)

    def _apply(self, rule: Rule, limit: int) -> dict[str, int]:
        ended = 0
        with tqdm(total=due(rule, limit=limit), desc=rule.name, unit="row", disable=not sys.stderr.isatty()) as bar:
            for seen, changed in apply(rule, limit=limit):
                bar.update(seen)
                ended += changed
        return {"ended": ended, "due": due(rule, limit=limit)}

    def _tell(self, rules: list[Rule], told: dict[str, dict[str, int]], limit: int, *, applied: bool) -> None:
        for rule in rules:
            number = told[rule.name]["ended" if applied else "due"]
            more = "at least " if not applied and number == limit else ""
            self.stdout.write(f"{more}{number:>7,}  {rule.what}")
            if applied and told[rule.name]["due"]:
                self.stdout.write(self.style.WARNING(f"         … and more: raise --limit ({limit}), or run it again"))
        if not any(any(counts.values()) for counts in told.values()):
            self.stdout.write("Nothing is due.")
        elif not applied:
            self.stdout.write("These rows are looked at; nothing was changed. --apply does it.")
