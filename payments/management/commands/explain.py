"""Open a number up."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from conventions.commands import COULD_NOT_RUN, OperatorCommand
from conventions.snapshot import one_snapshot
from payments.explaining import Check, Heading, Line, NothingKnown, Part, Rest, explain
from payments.money import Money


class Command(OperatorCommand):
    help = """Opens a total, a payment or anything of Stripe's into its transfers, the Stripe objects that they record and
the people who acted, and checks the sums on the way. Of an organization or a wallet: what may be spent, is held and is
owed. Reads only.

Exit status: 0 every sum holds, 1 one does not, 2 nothing has that name, or it could not run.

Examples:
  manage.py explain clean-water                a campaign, by slug or id
  manage.py explain org_01jq…                  an organization's wallets; wallet_…, spend_…, hold_…, adjustment_… as well
  manage.py explain fees:usd --limit 20        an account of the ledger
  manage.py explain re_3PqX…                   a session, intent, charge, refund, dispute, payout, event, txn_…"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", help="a campaign's id or slug, an organization, a payment or donation, an account, any Stripe id"
        )
        parser.add_argument("--limit", type=int, default=50, help="show at most so many lines of a total (default 50)")
        parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        broken, is_first = False, True
        try:
            with one_snapshot():  # money that comes in between two sums would look like a broken one
                for part in explain(options["name"], limit=max(0, options["limit"])):
                    if isinstance(part, Heading) and not (is_first or options["json"]):
                        self.stdout.write()
                    self.stdout.write(_as_json(part) if options["json"] else self._as_text(part))
                    is_first = False
                    broken |= isinstance(part, Check) and not part.holds
        except NothingKnown as error:
            self.stderr.write(self.style.ERROR(str(error)))
            sys.exit(COULD_NOT_RUN)
        if broken:
            sys.exit(1)

    def _as_text(self, part: Part) -> str:
        if isinstance(part, Heading):
            return "\n".join(
                [self.style.MIGRATE_HEADING(part.title), *(f"  {name}: {value}" for name, value in part.facts.items())]
            )
        if isinstance(part, Line):
            named = part.source if part.source and part.source not in part.key else ""
            words = " · ".join(filter(None, [part.key, named, part.memo, part.product, part.who]))
            return f"  {part.at:%Y-%m-%d %H:%M} {_signed(part.amount_minor, part.currency):>14}  {words}"
        if isinstance(part, Rest):
            together = _signed(part.amount_minor, part.currency) or Money(0, part.currency).display()
            return f"  … and {part.count} more, together {together}"
        amount = Money(part.amount_minor, part.currency).display()
        if part.holds:
            return self.style.SUCCESS(f"  ✓ {amount}: {part.what}")
        expected = Money(part.expected_minor, part.currency).display()
        return self.style.ERROR(f"  ✗ {amount}, not {expected}: {part.what}. Run check_books.")


def _signed(amount_minor: int, currency: str) -> str:
    if amount_minor == 0:
        return ""
    return f"{'+' if amount_minor > 0 else '−'}{Money(abs(amount_minor), currency).display()}"


def _as_json(part: Part) -> str:
    body = {"part": type(part).__name__.lower(), **asdict(part)}
    if isinstance(part, Check):
        body["holds"] = part.holds
    return json.dumps(body, default=str)
