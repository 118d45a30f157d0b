"""How a log line looks: one JSON object, or a line for people. Both carry the ids of what they are about
(log_context), and both are scrubbed last, when message, arguments, extras and traceback are one text."""

from __future__ import annotations

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from conventions.log_context import ids
from conventions.scrubbing import scrubbed, scrubbed_value

# What every record has; besides, objects that Django hangs onto its records, full of what must not be logged.
RESERVED = (*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "request", "server_time")


class JsonLines(JsonFormatter):
    """{"at": …, "level": …, "logger": …, "message": …, "request_id": …, "event_id": …, "payment_id": …, "exc_info": …}"""

    def __init__(self) -> None:
        super().__init__(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
            timestamp="at",
            reserved_attrs=RESERVED,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data["at"] = log_data["at"].isoformat(timespec="milliseconds")
        return {**scrubbed_value(log_data), **ids()}

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        return _encodable(super().jsonify_log_record(log_data))


class PlainLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        about = " ".join(f"{name}={value}" for name, value in ids().items())
        line = scrubbed(super().format(record))
        return _encodable(f"{line} [{about}]" if about else line)


def _encodable(line: str) -> str:
    """A lone surrogate would fail the write, and lose the line."""
    return line.encode("utf-8", "backslashreplace").decode()
