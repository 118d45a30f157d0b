"""Write donations, transfers, or what went into and out of wallets to a file."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from tqdm import tqdm

from accounts import audit
from backoffice.exports import making
from backoffice.exports.columns import TABLES
from backoffice.exports.files import SHEETS
from backoffice.exports.filters import BY, chosen
from backoffice.models import Export
from conventions.errors import InvalidInput


class Command(BaseCommand):
    help = (
        "Writes donations (or transfers, top-ups, spends) to a CSV or XLSX file, as the admin's exports do; the file appears "
        "when it is whole. It holds donors' names and addresses. Exit status: 0 written, 2 could not run.\n\n"
        "Example: manage.py export_donations --format csv --since 2026-01-01 --until 2026-01-31 --output january.csv"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, required=True, help="the file to write")
        parser.add_argument("--kind", choices=sorted(TABLES), default="donations")
        parser.add_argument("--format", choices=sorted(SHEETS), default="csv")
        parser.add_argument("--since", type=date.fromisoformat, metavar="YYYY-MM-DD", help="first day, UTC")
        parser.add_argument("--until", type=date.fromisoformat, metavar="YYYY-MM-DD", help="last day, included")
        parser.add_argument("--by", choices=sorted(BY), default="paid", help="what the days are of (default: %(default)s)")
        parser.add_argument("--campaign", default="", help="id or slug; without it, all")
        parser.add_argument("--currency", default="")
        parser.add_argument("--state", default="", help="of donations: paid, refunded, …")
        parser.add_argument("--force", action="store_true", help="write over a file that exists")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        if output.exists() and not options["force"]:
            raise CommandError(f"{output} exists. Choose another name, or add --force.", returncode=2)
        given = {name: options[name] for name in ("since", "until", "by", "campaign", "currency", "state", "kind")}
        try:
            filters = chosen(**given)
        except InvalidInput as error:
            raise CommandError(error.message, returncode=2) from error
        started = timezone.now()
        total = TABLES[options["kind"]].rows(filters, started).count()
        try:
            # Beside its place, so that it gets its name in one step; readable by its owner only.
            handle, unfinished = mkstemp(dir=output.parent, prefix=f".{output.name}.")
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error}", returncode=2) from error
        os.close(handle)
        try:
            with tqdm(total=total, unit=" rows", disable=not sys.stderr.isatty()) as bar:

                def advance(done: int) -> None:
                    bar.update(done - bar.n)

                rows = making.write(
                    options["kind"],
                    options["format"],
                    filters,
                    Path(unfinished),
                    made_before=started,
                    tell=advance,
                )
            Path(unfinished).replace(output)
        finally:
            Path(unfinished).unlink(missing_ok=True)
        self._record(options, filters.as_json(), rows)
        if options["json"]:
            self.stdout.write(json.dumps({"rows": rows, "bytes": output.stat().st_size, "file": str(output)}))
        else:
            self.stdout.write(self.style.SUCCESS(f"{rows:,} {options['kind']} written to {output}"))

    def _record(self, options: dict[str, Any], filters: dict[str, Any], rows: int) -> None:
        """In the history too: a row without a file, since the file is the operator's."""
        now = timezone.now()
        with transaction.atomic():
            export = Export.objects.create(
                kind=options["kind"],
                format=options["format"],
                filters=filters,
                state=Export.State.DONE,
                rows_done=rows,
                size_bytes=options["output"].stat().st_size,
                finished_at=now,
                expires_at=now,
            )
            after = {"kind": export.kind, "format": export.format, "rows": rows, "file": str(options["output"]), **filters}
            audit.record(actor=None, action="export.written", target=export, before={}, after=after)
