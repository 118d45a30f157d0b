"""The first page of the admin: what came in, what went back, and what waits for somebody.

Money stands in one currency at a time; nothing is ever added up over two. Whoever may not see gifts, refunds, disputes,
top-ups or events sees no sum of them either.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse

from backoffice.attention import attention
from backoffice.figures import HOURS, WINDOWS, Figures, Sums, figures
from campaigns.models import Campaign
from conventions import charts
from conventions.admin_showing import counted, day_of_month, list_url, share
from conventions.charts import Chart, Series
from donations.models import Donation
from payments.models import Dispute, Refund, StripeEvent
from payments.money import Money
from wallets.charting import top_up_charts
from wallets.models import TopUp

MOST_CAMPAIGNS = 6
MOST_CURRENCIES = 12
PERIODS = (("Today", 1), ("7 days", 7), ("30 days", 30))

GIFTS, REFUNDS, DISPUTES, TOP_UPS, EVENTS = (
    "donations.view_donation",
    "payments.view_refund",
    "payments.view_dispute",
    "wallets.view_topup",
    "payments.view_stripeevent",
)


class Site(admin.AdminSite):
    """Django's admin site; its index has figures above the lists."""

    index_template = "admin/front_page.html"
    enable_nav_sidebar = False  # the front page lists everything, and wide tables need the room

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {**front_page(request), **(extra_context or {})})


def front_page(request: HttpRequest) -> dict[str, Any]:
    """What the template needs, as far as the person may see it."""
    may = {name: request.user.has_perm(name) for name in (GIFTS, REFUNDS, DISPUTES, TOP_UPS, EVENTS)}
    found = attention(request.user)
    if not any(may.values()):
        return {"attention": found, "charts": [], "totals": []}
    length = 90 if request.GET.get("days") == "90" else 30
    shown = figures(length)
    of_gifts = shown.currencies[:MOST_CURRENCIES]
    of_wallets = shown.currencies_of_wallets[:MOST_CURRENCIES] if may[TOP_UPS] else []
    currencies = list(dict.fromkeys([*of_gifts, *of_wallets])) or [settings.DEFAULT_CURRENCY]
    wanted = request.GET.get("currency", "")
    currency = wanted if wanted in currencies else currencies[0]
    drawn: list[Chart] = []
    if may[GIFTS]:
        drawn += [_raised(shown, currency), _by_campaign(shown, currency), _conversion(shown)]
    if may[REFUNDS]:
        drawn.append(_went_back("refunded", shown, shown.window.refunded, currency, list_url(Refund)))
    if may[DISPUTES]:
        drawn.append(_went_back("disputed", shown, shown.window.disputed, currency, list_url(Dispute)))
    if may[EVENTS]:
        drawn.append(_delays(shown))
    if may[TOP_UPS]:
        drawn += top_up_charts(shown.days, shown.topped_up(currency), currency, url=list_url(TopUp, currency=currency))
    return {
        "attention": found,
        "charts": drawn,
        "totals": _totals(shown, of_gifts or [settings.DEFAULT_CURRENCY], may) if may[GIFTS] else [],
        "periods": [name for name, _ in PERIODS],
        "length": length,
        "lengths": WINDOWS,
        "currency": currency,
        "currencies": currencies,
        "at": shown.at,
    }


def _totals(shown: Figures, currencies: Sequence[str], may: dict[str, bool]) -> list[dict[str, Any]]:
    """For each currency and period: gifts, their sum, and what went back."""
    return [
        {
            "currency": currency.upper(),
            "cells": [_total(shown, currency, shown.days[-length:], may) for _, length in PERIODS],
        }
        for currency in currencies
    ]


def _total(shown: Figures, currency: str, days: Sequence[date], may: dict[str, bool]) -> dict[str, str]:
    number, minor = shown.window.raised.of(currency, days)
    cell = {"raised": Money(minor, currency).display(), "gifts": counted(number, "gift")}
    for name, permission, sums in (
        ("refunded", REFUNDS, shown.window.refunded),
        ("disputed", DISPUTES, shown.window.disputed),
    ):
        times, back = sums.of(currency, days)
        if times and may[permission]:
            cell[name] = Money(back, currency).display()
    return cell


def _raised(shown: Figures, currency: str) -> Chart:
    sums = shown.window.raised
    values = [sums.minor[day, currency] for day in shown.days]
    number, minor = sums.of(currency, shown.days)
    total = Money(minor, currency).display()
    best = max(range(len(values)), key=values.__getitem__)
    note = f"{counted(number, 'gift')} in {len(values)} days"
    if minor:
        note += f"; most on {day_of_month(shown.days[best])}: {Money(values[best], currency).display()}"
    picture = charts.bars(
        title="Gifts raised per day",
        told=f"{total}: {note}",
        labels=[day_of_month(day) for day in shown.days],
        series=[Series(name="raised", values=values)],
        show=lambda minor: Money(minor, currency).display_short(),
    )
    rows = [
        (day.isoformat(), f"{sums.count[day, currency]:,}", Money(value, currency).display())
        for day, value in zip(shown.days, values, strict=True)
    ]
    return Chart(
        title="Gifts raised per day",
        sum=total,
        note=note,
        picture=picture,
        head=("day", "gifts", "raised, before refunds"),
        rows=rows[::-1],
        url=list_url(Donation, currency=currency),
    )


def _by_campaign(shown: Figures, currency: str) -> Chart:
    ours = [(minor, campaign) for (one, campaign), minor in shown.window.by_campaign.items() if one == currency]
    most = sorted(ours, reverse=True)[:MOST_CAMPAIGNS]
    titles = dict(Campaign.objects.filter(pk__in=[pk for _, pk in most]).values_list("pk", "title"))
    labels, values = [titles.get(pk, pk) for _, pk in most], [minor for minor, _ in most]
    note = f"the first {len(most)} of {len(ours)}" if len(ours) > len(most) else f"over {len(shown.days)} days"
    told = ", ".join(f"{label} {Money(value, currency).display()}" for label, value in zip(labels, values, strict=True))
    return Chart(
        title="Gifts by campaign",
        sum=counted(len(ours), "campaign"),
        note=note,
        picture=charts.ranking(
            title="Gifts by campaign",
            told=told or "no gifts",
            labels=labels,
            values=values,
            show=lambda minor: Money(minor, currency).display(),
        ),
        head=("campaign", "raised, before refunds"),
        rows=[(label, Money(value, currency).display()) for label, value in zip(labels, values, strict=True)],
        url=list_url(Campaign),
    )


def _conversion(shown: Figures) -> Chart:
    started = [shown.window.started[day] for day in shown.days]
    paid = [shown.window.of_them_paid[day] for day in shown.days]
    percent = share(sum(paid), sum(started))
    note = f"{sum(paid):,} of {counted(sum(started), 'gift')} started, all currencies"
    series = [Series(name="started", values=started, look="second"), Series(name="paid", values=paid)]
    return Chart(
        title="Gifts from started to paid",
        sum=percent,
        note=note,
        picture=charts.bars(
            title="Gifts from started to paid",
            told=f"{percent}: {note}",
            labels=[day_of_month(day) for day in shown.days],
            series=series,
            show=lambda number: f"{number:,}",
        ),
        head=("day started", "started", "paid by now", "share"),
        rows=[
            (day.isoformat(), f"{of:,}", f"{did:,}", share(did, of))
            for day, of, did in zip(shown.days, started, paid, strict=True)
        ][::-1],
        url=list_url(Donation, state__exact="pending"),
        key=series,
    )


def _went_back(what: str, shown: Figures, sums: Sums, currency: str, url: str) -> Chart:
    values = [sums.minor[day, currency] for day in shown.days]
    number, minor = sums.of(currency, shown.days)
    _, raised = shown.window.raised.of(currency, shown.days)
    total = Money(minor, currency).display()
    note = counted(number, "time") + (f", {share(minor, raised, digits=2)} of what came in" if raised else "")
    return Chart(
        title=f"Gifts {what} per day",
        sum=total,
        note=note,
        picture=charts.bars(
            title=f"Gifts {what} per day",
            told=f"{total}: {note}",
            labels=[day_of_month(day) for day in shown.days],
            series=[Series(name=what, values=values, look="bad")],
            show=lambda minor: Money(minor, currency).display_short(),
        ),
        head=("day", "times", what),
        rows=[
            (day.isoformat(), f"{sums.count[day, currency]:,}", Money(value, currency).display())
            for day, value in zip(shown.days, values, strict=True)
            if value
        ][::-1],
        url=url,
    )


def _delays(shown: Figures) -> Chart:
    """Milliseconds; a clock that is behind Stripe's would tell of less than nothing."""
    now = shown.at.replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=n) for n in range(HOURS - 1, -1, -1)]
    told = {hour: (number, _ms(average), _ms(longest)) for hour, (number, average, longest) in shown.delays.items()}
    known = [told[hour] for hour in hours if hour in told]
    number = sum(one[0] for one in known)
    average = sum(one[0] * one[1] for one in known) // number if number else 0
    longest = max((one[2] for one in known), default=0)
    note = f"on average, {_seconds(longest)} at most; {counted(number, 'webhook')} in {HOURS} hours" if number else "none came"
    labels = [f"{hour:%H}:00" for hour in hours]
    series = [
        Series(name="average", values=[told[hour][1] if hour in told else None for hour in hours]),
        Series(name="longest", values=[told[hour][2] if hour in told else None for hour in hours], look="second"),
    ]
    return Chart(
        title="Webhooks on their way",
        sum=_seconds(average) if number else "–",
        note=note,
        picture=charts.lines(
            title="Webhooks on their way",
            told=note,
            labels=labels,
            series=series,
            show=_seconds,
        ),
        head=("hour, UTC", "webhooks", "average", "longest"),
        rows=[
            (f"{hour:%Y-%m-%d %H}:00", f"{told[hour][0]:,}", _seconds(told[hour][1]), _seconds(told[hour][2]))
            for hour in hours
            if hour in told
        ][::-1],
        url=list_url(StripeEvent),
    )


# -- words -----------------------------------------------------------------------------------------------
def _ms(took: timedelta) -> int:
    return max(0, took // timedelta(milliseconds=1))


def _seconds(milliseconds: int) -> str:
    """Exact to a tenth below a minute."""
    if milliseconds < 60_000:
        return f"{milliseconds // 1000}.{milliseconds % 1000 // 100} s"
    return f"{milliseconds // 60_000} min" if milliseconds < 3_600_000 else f"{milliseconds // 3_600_000} h"
