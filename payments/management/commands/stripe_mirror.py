"""Fill dj-stripe's tables with what Stripe has."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone
from tqdm import tqdm

from conventions.commands import OperatorCommand
from conventions.errors import DomainError
from payments import mirror, stripe_gateway
from payments.models import MirrorCursor, MirrorGap

PAGE = 100
MOST = 10_000
# Payment methods and customers come along with what names them; balance transactions of other things do not.
KINDS = ("checkout.session", "payment_intent", "charge", "refund", "dispute", "payout", "balance_transaction")
PAGE_MAY_TAKE = timedelta(minutes=4)  # less than the lease
WAIT_FOR_LEASE_S = 60


class Command(OperatorCommand):
    help = (
        "Writes Stripe's objects into dj-stripe's tables, a list at a time from the newest object on. It goes on where the "
        "last run stopped, so interrupting it loses nothing; --again starts anew. What happens later is mirrored by the "
        "sweep. Our own books are neither read nor changed.\n\n"
        "Exit status: 0 everything was read, 1 some is left (run it again) or could not be mirrored, 2 it could not run.\n\n"
        "Example: manage.py stripe_mirror --most 50000"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind (may be repeated)")
        parser.add_argument("--most", type=int, default=MOST, metavar="N", help=f"stop after so many objects ({MOST})")
        parser.add_argument("--again", action="store_true", help="read the lists from their beginning")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.STRIPE_MIRROR:
            raise CommandError("STRIPE_MIRROR=0 switches the mirror off. Set STRIPE_MIRROR=1 to use it.", returncode=2)
        kinds = options["kind"] or list(KINDS)
        names = [_cursor_name(kind) for kind in kinds]
        if options["again"]:
            MirrorCursor.objects.filter(name__in=names).delete()
        done = dict.fromkeys(kinds, 0)
        with tqdm(total=options["most"], unit=" objects", disable=None, file=sys.stderr) as bar:
            for kind in kinds:
                bar.set_description(kind)
                try:
                    self._read_list(kind, done, options["most"], bar)
                except (DomainError, mirror.Busy, mirror.TimeIsUp) as error:
                    raise CommandError(f"{kind}: {error} Run it again to go on.", returncode=2) from error
        left = [kind for kind in kinds if not MirrorCursor.objects.filter(name=_cursor_name(kind), is_done=True).exists()]
        gaps = list(MirrorGap.objects.order_by("pk").values_list("pk", "last_error")[:20])
        self._tell(done, left, gaps, as_json=options["json"])
        if left or gaps:
            sys.exit(1)

    def _read_list(self, kind: str, done: dict[str, int], most: int, bar: Any) -> None:
        cursor, _ = MirrorCursor.objects.get_or_create(name=_cursor_name(kind))
        while not cursor.is_done and sum(done.values()) < most:
            with mirror.lease(patience_s=WAIT_FOR_LEASE_S):
                limit = min(PAGE, most - sum(done.values()))
                page, has_more = stripe_gateway.list_page(kind, after=cursor.position, expand=mirror.EXPAND[kind], limit=limit)
                mirror.Mirror(until=timezone.now() + PAGE_MAY_TAKE).write_all(kind, page)
            cursor.position = page[-1]["id"] if page else cursor.position
            cursor.is_done = not has_more
            cursor.save(update_fields=["position", "is_done"])
            done[kind] += len(page)
            bar.update(len(page))

    def _tell(self, done: dict[str, int], left: list[str], gaps: list[tuple[str, str]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"mirrored": done, "left": left, "gaps": dict(gaps)}))
            return
        for kind, count in done.items():
            self.stdout.write(f"{kind}: {count}{' (more is left: run it again)' if kind in left else ''}")
        for object_id, error in gaps:
            self.stdout.write(f"  ✗ {object_id}: {error}")


def _cursor_name(kind: str) -> str:
    return f"list:{kind}"
