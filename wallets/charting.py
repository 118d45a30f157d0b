"""Charts of top-ups: of one wallet on its page, of all on the admin's front page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from conventions import charts
from conventions.admin_showing import counted, day_of_month, share
from conventions.charts import Chart, Series
from payments.money import Money
from wallets.statistics import TopUpDay


def top_up_charts(days: Sequence[date], told: Mapping[date, TopUpDay], currency: str, *, url: str) -> list[Chart]:
    """What came in per day, and what became of the top-ups begun. `told` has no entry where nothing happened; `url` is the
    list behind both."""
    each = [told.get(day, TopUpDay()) for day in days]
    return [_volume(days, each, currency, url), _outcomes(days, each, url)]


def _volume(days: Sequence[date], each: Sequence[TopUpDay], currency: str, url: str) -> Chart:
    title = "Topped up per day"
    values = [one.volume_minor for one in each]
    total, refunded_minor = Money(sum(values), currency).display(), sum(one.refunded_minor for one in each)
    note = f"in {len(days)} days"
    if refunded_minor:
        note += f", before {Money(refunded_minor, currency).display()} of refunds"
    if any(values):
        best = max(range(len(values)), key=values.__getitem__)
        note += f"; most on {day_of_month(days[best])}: {Money(values[best], currency).display()}"
    picture = charts.bars(
        title=title,
        told=f"{total} {note}",
        labels=[day_of_month(day) for day in days],
        series=[Series(name="topped up", values=values)],
        show=lambda minor: Money(minor, currency).display_short(),
    )
    rows = [
        (day.isoformat(), Money(one.volume_minor, currency).display(), Money(one.refunded_minor, currency).display())
        for day, one in zip(days, each, strict=True)
    ]
    head = ("day", "topped up, before refunds", "refunded")
    return Chart(title=title, sum=total, note=note, picture=picture, head=head, rows=rows[::-1], url=url)


def _outcomes(days: Sequence[date], each: Sequence[TopUpDay], url: str) -> Chart:
    """Of the top-ups begun on a day: the last days still grow, and what failed may still be paid."""
    title = "Top-ups paid and failed"
    attempts, paid, failed = (sum(getattr(one, name) for one in each) for name in ("attempts", "paid", "failed"))
    converted = share(paid, attempts)
    note = f"{paid:,} of {counted(attempts, 'top-up')} started; {failed:,} failed"
    series = [
        Series(name="paid", values=[one.paid for one in each]),
        Series(name="failed", values=[one.failed for one in each], look="bad"),
        Series(name="neither", values=[one.attempts - one.paid - one.failed for one in each], look="second"),
    ]
    picture = charts.stacks(
        title=title,
        told=f"{converted} paid: {note}",
        labels=[day_of_month(day) for day in days],
        series=series,
        show=lambda number: f"{number:,}",
    )
    rows = [
        (day.isoformat(), f"{one.attempts:,}", f"{one.paid:,}", f"{one.failed:,}", share(one.paid, one.attempts))
        for day, one in zip(days, each, strict=True)
    ]
    return Chart(
        title=title,
        sum=converted,
        note=note,
        picture=picture,
        head=("day started", "started", "paid by now", "failed", "share paid"),
        rows=rows[::-1],
        url=url,
        key=series,
    )
