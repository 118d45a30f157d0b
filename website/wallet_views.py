"""The page of an organization's wallet. What is done on it goes by the API (static/js/), as from any other front end."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import Membership
from conventions.public_ids import is_public_id
from conventions.rate_limits import seconds_over_limit
from payments.money import Money
from wallets.history import can_be_finished
from wallets.models import TopUp
from website import wallet_showing
from website.organization_views import for_members, shown_membership
from website.presets import presets
from website.stripe_in_page import stripe_context, with_stripe_js


@with_stripe_js
@for_members
def wallet(request: HttpRequest, membership: Membership) -> HttpResponse:
    """`?currency=` says which wallet, `?top_up=` how much to begin with; `?pay=` names a payment to go on with, and
    `?payment=` one that was just made, perhaps by way of the bank's own page."""
    organization = membership.organization
    named = request.GET.get("pay") or request.GET.get("payment") or ""
    within_limit = bool(named) and not seconds_over_limit(request, "session")
    made = wallet_showing.top_up_paid_by(organization, named, ask_stripe=within_limit)
    balances = wallet_showing.balances(organization)  # after the payment, which may have changed them
    asked = request.GET.get("currency", "")
    currency = made.currency if made else wallet_showing.chosen_currency(asked, balances)
    chosen = next((one for one in balances if one.wallet.currency == currency), None)
    before = request.GET.get("before", "")
    before = before if is_public_id(before, "transfer") else ""
    entries, older = wallet_showing.statement(chosen.wallet if chosen else None, before=before)
    context: dict[str, Any] = {
        **shown_membership(membership),
        **stripe_context(),
        **_payment(made, wants_to_pay="pay" in request.GET),
        "balances": balances,
        "currency": currency,
        "balance": chosen,
        "no_money": Money(0, currency),
        "other_currencies": wallet_showing.other_currencies(balances),
        "paused": wallet_showing.to_finish(chosen.wallet) if chosen else None,
        "entries": entries,
        "before": before,
        "older": older,
        "methods": wallet_showing.methods(organization),
        "presets": presets(currency, steps=wallet_showing.TOP_UP_STEPS),
        "top_up_amount": wallet_showing.amount_asked(request.GET.get("top_up", "")),
        "rule": wallet_showing.rule_of(chosen.wallet) if chosen else None,
    }
    return render(request, "website/wallet.html", context)


def _payment(made: TopUp | None, *, wants_to_pay: bool) -> dict[str, Any]:
    """What became of the payment that the address names, and whether the page is to go on with it."""
    if made is None:
        return {"made": None, "payment_state": "", "finishing": False}
    payable = can_be_finished(made.payment)
    return {"made": made, "payment_state": str(made.payment.status), "payable": payable, "finishing": wants_to_pay and payable}
