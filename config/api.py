"""Every route of the API in one place. Each answers with and without its trailing slash, for every method."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path

from accounts import views as accounts
from campaigns import views as campaigns
from donations import views as donations
from payments.webhooks import stripe_webhook

Endpoint = tuple[str, str, str, Callable[..., Any]]
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


def both(route: str, view: Callable[..., Any], name: str) -> list[URLPattern]:
    """The route as documented, and its other form; no redirect, which would lose a POST body."""
    other = route.removesuffix("/") if route.endswith("/") else f"{route}/"
    return [path(route, view, name=name), path(other, view)]


def without_alternate_slashes(endpoints: list[Endpoint]) -> list[Endpoint]:
    """For the OpenAPI document: of the two forms of a route, the one that is named."""
    documented = {"/" + CONVERTER.sub(r"{\1}", str(pattern.pattern)) for pattern in urlpatterns if pattern.name}
    return [endpoint for endpoint in endpoints if endpoint[0] in documented]


urlpatterns: list[URLPattern] = [
    # accounts
    *both("api/auth/register", accounts.RegisterView.as_view(), "auth-register"),
    *both("api/auth/login", accounts.LoginView.as_view(), "auth-login"),
    *both("api/auth/refresh", accounts.RefreshView.as_view(), "auth-refresh"),
    *both("api/auth/logout", accounts.LogoutView.as_view(), "auth-logout"),
    *both("api/auth/verify-email", accounts.VerifyEmailView.as_view(), "auth-verify-email"),
    *both("api/auth/verify-email/resend", accounts.ResendVerificationView.as_view(), "auth-verify-email-resend"),
    *both("api/auth/password/reset", accounts.PasswordResetView.as_view(), "auth-password-reset"),
    *both("api/auth/password/reset/confirm", accounts.PasswordResetConfirmView.as_view(), "auth-password-reset-confirm"),
    *both("api/auth/me", accounts.MeView.as_view(), "auth-me"),
    *both("api/auth/me/export", accounts.ExportView.as_view(), "auth-me-export"),
    # campaigns
    *both("api/campaigns", campaigns.CampaignList.as_view(), "campaigns"),
    *both("api/campaigns/<slug:campaign>", campaigns.CampaignDetail.as_view(), "campaign"),
    *both("api/campaigns/<slug:campaign>/proof", campaigns.CampaignProof.as_view(), "campaign-proof"),
    # donations
    *both("api/donations/create-checkout-session/", donations.CreateCheckoutSession.as_view(), "create-checkout-session"),
    *both("api/donations", donations.Wall.as_view(), "donations"),
    *both("api/donations/mine", donations.MyDonations.as_view(), "my-donations"),
    *both("api/donations/<slug:donation_id>", donations.DonationDetail.as_view(), "donation"),
    *both("api/donors/me", donations.DonorMe.as_view(), "donor-me"),
    *both("api/payments/stripe/session/<str:session_id>", donations.SessionDetail.as_view(), "stripe-session"),
    # Stripe's webhook: one front door under every address that a front end's document names
    *both("api/payments/stripe/webhook", stripe_webhook, "stripe-webhook"),
    *both("api/payments/webhook", stripe_webhook, "webhook-wallets"),
    *both("api/finances/webhooks/stripe/", stripe_webhook, "webhook-finances"),
    *both("webhook", stripe_webhook, "webhook"),
]
