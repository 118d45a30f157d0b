"""Every route of the API in one place. Each answers with and without its trailing slash, for every method."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path

from accounts import invitation_views as invitations
from accounts import organization_views as organizations
from accounts import views as accounts
from campaigns import views as campaigns
from donations import views as donations
from payments.webhooks import stripe_webhook
from pricing import views as pricing
from wallets.views import methods, reading, spending, telegram, topping_up

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


# Every address that a front end's document names for Stripe's webhook. `config/webhook_door.py` takes these first.
WEBHOOK_ROUTES = {
    "api/payments/stripe/webhook": "stripe-webhook",
    "api/payments/webhook": "webhook-wallets",
    "api/finances/webhooks/stripe/": "webhook-finances",
    "webhook": "webhook",
}

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
    # wallets
    *both("api/payments/create-intent", topping_up.CreateIntent.as_view(), "create-intent"),
    *both("api/payments/<slug:payment_id>/client-secret", topping_up.ClientSecret.as_view(), "payment-client-secret"),
    *both("api/payments/methods", methods.Methods.as_view(), "payment-methods"),
    *both("api/payments/methods/setup-intent", methods.SetupIntent.as_view(), "payment-method-setup"),
    *both("api/payments/methods/<slug:method_id>", methods.MethodDetail.as_view(), "payment-method"),
    *both("api/payments/methods/<slug:method_id>/set-default", methods.SetDefault.as_view(), "payment-method-default"),
    *both("api/payments", reading.Payments.as_view(), "payments"),
    *both("api/payments/statistics", reading.PaymentStatistics.as_view(), "payments-statistics"),
    *both("api/wallets/<slug:organization_id>", reading.WalletDetail.as_view(), "wallet"),
    *both("api/wallets/<slug:organization_id>/transactions", reading.Statement.as_view(), "wallet-transactions"),
    *both("api/wallets/<slug:organization_id>/spend", spending.Spend.as_view(), "wallet-spend"),
    *both("api/wallets/<slug:organization_id>/holds", spending.Holds.as_view(), "wallet-holds"),
    *both(
        "api/wallets/<slug:organization_id>/holds/<slug:hold_id>/capture", spending.CaptureHold.as_view(), "wallet-hold-capture"
    ),
    *both("api/wallets/spends/<slug:spend_id>/reverse", spending.ReverseSpend.as_view(), "wallet-spend-reverse"),
    *both("api/wallets/holds/<slug:hold_id>/release", spending.ReleaseHold.as_view(), "wallet-hold-release"),
    # organizations
    *both("api/organizations", organizations.Organizations.as_view(), "organizations"),
    *both("api/organizations/telegram-code", telegram.TelegramCodeView.as_view(), "telegram-code"),
    *both("api/organizations/invitations/accept", invitations.AcceptInvitation.as_view(), "invitation-accept"),
    *both("api/organizations/<slug:organization_id>", organizations.OrganizationDetail.as_view(), "organization"),
    *both("api/organizations/<slug:organization_id>/members", organizations.Members.as_view(), "organization-members"),
    *both(
        "api/organizations/<slug:organization_id>/members/<slug:member_id>",
        organizations.MemberDetail.as_view(),
        "organization-member",
    ),
    *both("api/organizations/<slug:organization_id>/invitations", invitations.Invitations.as_view(), "organization-invitations"),
    *both(
        "api/organizations/<slug:organization_id>/invitations/<slug:invitation_id>",
        invitations.InvitationDetail.as_view(),
        "organization-invitation",
    ),
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
    # plans, hours and products
    *both("api/finances/api/pricing-plans/", pricing.PricingPlans.as_view(), "pricing-plans"),
    *both("api/finances/api/stripe/config/", pricing.StripeConfig.as_view(), "stripe-config"),
    *both("api/finances/api/purchase/initiate/", pricing.InitiatePurchase.as_view(), "purchase-initiate"),
    *both("api/finances/api/student-balance/", pricing.StudentBalance.as_view(), "student-balance"),
    *both("api/finances/api/purchases/", pricing.Purchases.as_view(), "purchases"),
    *both("api/finances/api/consumption/", pricing.Consumptions.as_view(), "consumption"),
    *both("api/finances/api/hours/consume/", pricing.ConsumeHours.as_view(), "hours-consume"),
    *both(
        "api/finances/api/hours/consumptions/<slug:consumption_id>/reverse/",
        pricing.ReverseConsumption.as_view(),
        "hours-reverse",
    ),
    *both("api/finances/api/subscription/", pricing.Subscriptions.as_view(), "subscription"),
    *both("api/finances/api/subscription/portal/", pricing.SubscriptionPortal.as_view(), "subscription-portal"),
    *both("api/checkout/embedded-session", pricing.EmbeddedSession.as_view(), "embedded-session"),
    *both("api/checkout/session-status", pricing.SessionStatus.as_view(), "session-status"),
    # Stripe's webhook: one front door
    *(pattern for route, name in WEBHOOK_ROUTES.items() for pattern in both(route, stripe_webhook, name)),
    # Behind every other word that may follow `payments/`.
    *both("api/payments/<slug:payment_id>", reading.PaymentDetail.as_view(), "payment"),
]
