"""Finish what was left over."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.db import close_old_connections

from conventions.commands import OperatorCommand
from payments.sweeping import sweep

logger = logging.getLogger(__name__)


class Command(OperatorCommand):
    help = (
        "Applies failed and parked events that are due, closes sessions that ended, sends refunds and receipts that were "
        "left behind, tells staff what is dead. Safe to run twice and to interrupt. Exit status: 0 done, 1 something in "
        "it failed (the log says what; the rest was done), 2 it could not run.\n\nExample: manage.py sweep --every 60"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--every", type=int, metavar="SECONDS", help="go on until stopped, with this pause")
        parser.add_argument("--json", action="store_true", help="one JSON object a run instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["every"]:
            done = sweep()
            self._tell(done, as_json=options["json"])
            if done["failed"]:
                sys.exit(1)
            return
        stopped = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopped.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        while not stopped.wait(options["every"]):
            close_old_connections()
            try:
                self._tell(sweep(), as_json=options["json"])
            except Exception:  # whatever it is, the next round may do better; a sweep that ended would heal nothing
                logger.exception("a sweep broke off; the next one comes in %s seconds", options["every"])

    def _tell(self, done: dict[str, int], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(done))
        else:
            parts = [f"{count} {what}" for what, count in done.items() if count]
            self.stdout.write("swept " + (", ".join(parts) or "nothing: all is done"))
