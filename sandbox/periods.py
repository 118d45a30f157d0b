"""Billing periods: days, weeks, months and years counted from an anchor, so that the 31st comes back after February."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from sandbox.state import Json

DAYS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "year": 12}


def boundary(anchor: int, recurring: Json, number: int) -> int:
    """The end of the period of this number (0: the anchor itself)."""
    start = datetime.fromtimestamp(anchor, tz=UTC)
    steps = recurring["interval_count"] * number
    if recurring["interval"] in DAYS:
        return int((start + timedelta(days=DAYS[recurring["interval"]] * steps)).timestamp())
    month = start.year * 12 + start.month - 1 + MONTHS[recurring["interval"]] * steps
    year, month = divmod(month, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def end_after(anchor: int, recurring: Json, start: int) -> int:
    """The first boundary after `start`, which lies on one."""
    return next(end for number in range(1, 100_000) if (end := boundary(anchor, recurring, number)) > start)


def same_length(one: Json, other: Json) -> bool:
    return all(one[name] == other[name] for name in ("interval", "interval_count"))


def share(amount: int, *, part_s: int, whole_s: int) -> int:
    """The part of an amount that a part of its period stands for, in integers, half away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) * part_s + whole_s) // (2 * whole_s))


def in_words(recurring: Json) -> str:
    count, interval = recurring["interval_count"], recurring["interval"]
    return str(interval) if count == 1 else f"{count} {interval}s"


def day(moment: int) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%d %b %Y")
