"""Reading the window that an operator asks for: `30d`, `12h`, `2026-11-01`, `2026-11-01T08:00`, `now`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from payments.reconciliation.running import Window

AGO = re.compile(r"(\d{1,5})([dhm])")
UNITS = {"d": "days", "h": "hours", "m": "minutes"}


class NotAMoment(ValueError):
    """The message says what would be understood."""


def read_moment(text: str, *, now: datetime) -> datetime:
    """A moment in UTC. A date is its first moment."""
    if text == "now":
        return now
    if ago := AGO.fullmatch(text):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotAMoment(f"{text!r} is no moment: write 30d, 12h, 90m (ago), 2026-11-01, 2026-11-01T08:00 or now.") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_window(*, since: str, until: str, now: datetime) -> Window:
    """Raises NotAMoment, also where the window ends before it begins."""
    window = Window(since=read_moment(since, now=now), until=read_moment(until, now=now), asked=f"{since} .. {until}"[:120])
    if window.since >= window.until:
        raise NotAMoment(f"the window ends ({window.until:%Y-%m-%d %H:%M}) before it begins ({window.since:%Y-%m-%d %H:%M}).")
    return window
