"""Prove the books."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from conventions.commands import OperatorCommand
from payments.proving import check_books
from payments.running import note_run


class Command(OperatorCommand):
    help = (
        "Proves the books: transfers follow from facts, tallies from transfers, balances from both. Names every row that "
        "breaks a rule. Reads only, but notes its result for the metrics. Exit status: 0 all true, "
        "1 something is not, 2 it could not run.\n\n"
        "Example: manage.py check_books --json"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        broken = 0
        for sentence in check_books():
            broken += 1
            self.stdout.write(json.dumps({"broken": sentence}) if options["json"] else f"  ✗ {sentence}")
        note_run("check_books", found=broken)  # for the metrics, and the alert that rests on them
        if options["json"]:
            self.stdout.write(json.dumps({"clean": broken == 0, "broken": broken}))
        elif broken:
            self.stdout.write(
                self.style.ERROR(f"{broken} rules are broken. See docs/operations.md, “Books that do not balance”.")
            )
        else:
            self.stdout.write(self.style.SUCCESS("The books are clean."))
        if broken:
            sys.exit(1)
