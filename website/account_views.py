"""Logging in and out by Django's session, and the pages around an account."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.forms import LogInForm
from accounts.models import User
from conventions.errors import DomainError, InvalidInput
from conventions.rate_limits import seconds_over_limit
from donations.persons import donor_of
from pricing import subscribing
from pricing.hours import balance_of
from pricing.models import PricingPlan, Subscription
from pricing.purchasing import plan_on_sale
from website import offering
from website.organization_views import telegram_of
from website.presets import whole

MOST_LOTS, MOST_SUBSCRIPTIONS = 50, 10
CHANGEABLE = frozenset({"trialing", "active", "past_due"})


class LogIn(LoginView):
    """Counts towards the same limit as the API's log-in (accounts/forms.py)."""

    authentication_form = LogInForm
    template_name = "website/login.html"
    redirect_authenticated_user = True

    def get_success_url_allowed_hosts(self, request: HttpRequest | None = None) -> set[str]:
        """No host at all: `next=` leads to paths of this site only."""
        return set()

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        if form.has_error("__all__", "rate_limited"):
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"came_to_log_in": bool(self.get_redirect_url())}


class LogOut(LogoutView):
    """By POST only, and from there to paths of this site only."""

    def get_success_url_allowed_hosts(self, request: HttpRequest | None = None) -> set[str]:
        return set()


@require_safe
def register(request: HttpRequest) -> HttpResponse:
    return render(request, "website/register.html")


@require_safe
@never_cache
def verify_email(request: HttpRequest) -> HttpResponse:
    """Asks for a click: mail scanners open links, and must not prove an address that nobody looked at."""
    return render(request, "website/verify_email.html", {"has_token": bool(request.GET.get("token"))})


@require_safe
@never_cache
def password_reset(request: HttpRequest) -> HttpResponse:
    """Without a token asks where to send the link, with one asks for the new password."""
    template = "password_reset_set" if request.GET.get("token") else "password_reset_ask"
    return render(request, f"website/{template}.html")


@require_safe
@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    context = {"person": request.user, "donor": donor_of(request.user), "telegram": telegram_of(request.user)}
    return render(request, "website/account.html", context | _hours(request.user))


def _hours(user: User) -> dict[str, Any]:
    """Hours in the lots they are in, and subscriptions with what each may be changed to."""
    now = timezone.now()
    balance = balance_of(user, now=now)
    live = [lot for lot in balance.lots if lot.remaining_hundredths and (lot.expires_at is None or lot.expires_at > now)]
    shown = Subscription.objects.filter(user=user).exclude(state=Subscription.State.INCOMPLETE_EXPIRED)
    subscriptions = list(
        shown.select_related("plan", "paid_plan").prefetch_related("plan__prices").order_by("-created_at")[:MOST_SUBSCRIPTIONS]
    )
    taken = {one.plan_id for one in subscriptions if one.is_running}
    plans = [plan for plan in offering.plans_on_sale() if plan.pk not in taken] if subscriptions else []
    return {
        "balance": balance,
        "figures": {
            name: offering.short_hours(amount)
            for name, amount in (
                ("remaining", balance.remaining),
                ("purchased", balance.purchased),
                ("consumed", balance.consumed),
                ("expired", balance.expired),
                ("returned", balance.taken_back + balance.withdrawn),
            )
        },
        "lots": [
            (lot, offering.short_hours(lot.remaining_hundredths), offering.short_hours(lot.granted_hundredths))
            for lot in live[:MOST_LOTS]
        ],
        "subscriptions": [
            (
                one,
                offering.short_hours(one.agreed_hundredths),
                whole(one.agreed_price or offering.offer(one.plan, one.currency).price),
                _others(one, plans) if one.state in CHANGEABLE else [],
            )
            for one in subscriptions
        ],
    }


def _others(subscription: Subscription, plans: list[PricingPlan]) -> list[offering.Offer]:
    """The plans that a subscription may be changed to: those sold by the month in its currency, and not taken yet."""
    offers = [offering.offer(plan, subscription.currency) for plan in plans]
    return [one for one in offers if one.is_subscription and one.price.currency == subscription.currency]


@require_POST
@login_required
def change_subscription(request: HttpRequest, subscription: str) -> HttpResponse:
    """End it with the paid month, go on after all, or change to another plan; then the account again."""
    assert isinstance(request.user, User)
    account_page = redirect(f"{reverse('account')}#subscriptions")
    if seconds_over_limit(request, "checkout"):
        messages.error(request, "That was too often. Please wait a minute and try again.")
        return account_page
    try:
        messages.success(request, _change(request.user, subscription, request.POST.get("act", ""), request.POST.get("plan", "")))
    except DomainError as error:
        messages.error(request, error.message)
    return account_page


def _change(user: User, subscription_id: str, act: str, plan_id: str) -> str:
    """What was done, in a sentence. Raises DomainError."""
    subscription = subscribing.own(user, subscription_id)
    if act == "cancel":
        subscription = subscribing.cancel_at_period_end(subscription, cancel=True)
        return f"{subscription.plan.name} ends with the paid month. Until then nothing changes."
    if act == "resume":
        subscription = subscribing.cancel_at_period_end(subscription, cancel=False)
        return f"{subscription.plan.name} goes on."
    if act != "change" or not re.fullmatch("[0-9]{1,9}", plan_id, re.ASCII):
        raise InvalidInput("Choose what to change the subscription to.", field="plan", code="required")
    plan = plan_on_sale(int(plan_id))
    changed = subscribing.change_plan(subscription, plan)
    if not changed.is_changing:
        return f"You have {plan.name}."
    return f"From the next payment on you have {plan.name}. Until then you have {changed.plan_now.name}, as paid."
