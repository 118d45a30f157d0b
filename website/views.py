"""The public pages. Totals are in the page as served; forms, walls and polls call the public API (static/js/)."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.http import require_safe

from accounts.models import User
from campaigns.models import Campaign
from campaigns.tallying import prove
from conventions.snapshot import one_snapshot
from donations.models import Donation, Donor
from payments.money import Money
from website import sponsoring
from website.presets import presets
from website.showing import campaign_or_404, show

CARDS_PER_PAGE = 12
MOST_PAGES = 500


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Where programs look that have read no page: the pages themselves name the file."""
    return redirect(static("favicon.svg"))


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Live campaigns, the newest first. One card more than a page holds is asked for, instead of counting them all."""
    page = _page_number(request, MOST_PAGES)
    start = (page - 1) * CARDS_PER_PAGE
    live = Campaign.objects.public().filter(state=Campaign.State.LIVE, is_general_fund=False)
    found = live.with_totals().order_by("-created_at", "-id")[start : start + CARDS_PER_PAGE + 1]
    cards = [show(campaign) for campaign in found]
    context = {"cards": cards[:CARDS_PER_PAGE], "page": page, "more": len(cards) > CARDS_PER_PAGE}
    return render(request, "website/home.html", context)


@require_safe
def campaign(request: HttpRequest, campaign: str) -> HttpResponse:
    found = campaign_or_404(request, campaign)
    return render(request, "website/campaign.html", {"shown": show(found), **_giving_form(request, found)})


@require_safe
def proof(request: HttpRequest, campaign: str) -> HttpResponse:
    """The campaign's total as the books say it, in words."""
    with one_snapshot():
        shown = show(campaign_or_404(request, campaign))
        found = prove(shown.campaign)
    lines = {
        name: Money(amount, shown.campaign.currency)
        for name, amount in (
            ("gross", found.gross_minor),
            ("refunds", -found.refunds_minor),
            ("disputes", -found.disputes_minor),
            ("net", found.net_minor),
        )
    }
    context = {"shown": shown, **lines, "transfers": found.transfers, "proved": lines["net"] == shown.raised}
    return render(request, "website/proof.html", context)


@require_safe
def donate(request: HttpRequest) -> HttpResponse:
    """A gift to `?campaign=` (slug or id), or to the general fund, which may have no row before its first gift."""
    asked = request.GET.get("campaign", "")
    if not asked:
        return render(request, "website/donate.html", {"shown": None, **_giving_form(request, _general_fund())})
    if not re.fullmatch(r"[-\w]{1,100}", asked, re.ASCII):
        raise Http404("There is no such campaign.")
    found = campaign_or_404(request, asked)
    return render(request, "website/donate.html", {"shown": show(found), **_giving_form(request, found)})


@require_safe
def success(request: HttpRequest) -> HttpResponse:
    return render(request, "website/success.html")


@require_safe
def cancel(request: HttpRequest) -> HttpResponse:
    return render(request, "website/cancel.html")


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    return render(request, "website/documentation.html", {"site": settings.FRONTEND_URL})


@require_safe
def sponsors(request: HttpRequest) -> HttpResponse:
    """Who gave publicly, by level, in one currency at a time."""
    currencies = sponsoring.currencies()
    currency = request.GET.get("currency", "").lower()
    if currency not in currencies:
        currency = settings.DEFAULT_CURRENCY if settings.DEFAULT_CURRENCY in currencies or not currencies else currencies[0]
    pages = Paginator(sponsoring.ranking(currency), sponsoring.PER_PAGE)
    page = pages.get_page(_page_number(request, pages.num_pages))
    shown = sponsoring.sponsors(list(page.object_list), currency)
    groups = [(level, [s for s in shown if s.level == level]) for level in sponsoring.levels(currency)]
    context = {
        "groups": [(level, members) for level, members in groups if members],
        "page": page,
        "currency": currency,
        "currencies": currencies,
    }
    return render(request, "website/sponsors.html", context)


def _general_fund() -> Campaign:
    found = Campaign.objects.filter(is_general_fund=True).first()
    return found or Campaign(title="General fund", currency=settings.DEFAULT_CURRENCY, state=Campaign.State.LIVE)


def _giving_form(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """What the form needs; for people who are logged in, filled with what is known of them."""
    user = request.user
    giver: dict[str, Any] = {"name": "", "email": "", "anonymous": False}
    if isinstance(user, User):
        habit = Donor.objects.filter(user=user, anonymous_by_default=True).exists()
        giver = {"name": user.name, "email": user.email, "anonymous": habit}
    return {
        "campaign": campaign,
        "giver": giver,
        "presets": presets(campaign.currency, least_minor=campaign.minimum_minor),
        "dedications": Donation.Dedication.choices,
    }


def _page_number(request: HttpRequest, last: int) -> int:
    """`?page=`, kept within 1 and `last`; what is no number counts as 1."""
    asked = request.GET.get("page", "1")
    return min(max(int(asked), 1), last) if re.fullmatch(r"[0-9]{1,6}", asked) else 1
