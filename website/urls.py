"""The built-in pages. Each answers with and without its trailing slash, as the API does."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponseBase
from django.urls import URLPattern, path

from website import account_views, buying_views, invitation_views, organization_views, views, wallet_views


def both(route: str, view: Callable[..., HttpResponseBase], name: str) -> list[URLPattern]:
    return [path(route, view, name=name), path(f"{route}/", view)]


urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("favicon.ico", views.favicon),
    *both("campaigns/<slug:campaign>", views.campaign, "campaign-page"),
    *both("campaigns/<slug:campaign>/proof", views.proof, "proof-page"),
    *both("donate", views.donate, "donate"),
    *both("success", views.success, "success"),
    *both("cancel", views.cancel, "cancel"),
    *both("documentation", views.documentation, "documentation"),
    *both("sponsors", views.sponsors, "sponsors"),
    *both("pricing", buying_views.pricing, "pricing"),
    *both("pricing/<int:plan>", buying_views.buy, "buy"),
    *both("purchase", buying_views.purchase, "purchase"),
    *both("hero-me", buying_views.hero_me, "hero-me"),
    *both("login", account_views.LogIn.as_view(), "login"),
    *both("logout", account_views.LogOut.as_view(), "logout"),
    *both("register", account_views.register, "register"),
    *both("verify-email", account_views.verify_email, "verify-email"),
    *both("password-reset", account_views.password_reset, "password-reset"),
    *both("invitations", invitation_views.invitation, "invitation"),
    *both("organizations", organization_views.organizations, "organizations-page"),
    *both("organizations/<slug:organization>/wallet", wallet_views.wallet, "wallet-page"),
    *both("organizations/<slug:organization>/members", organization_views.members, "members-page"),
    *both("account", account_views.account, "account"),
    *both("account/subscriptions/<slug:subscription>", account_views.change_subscription, "change-subscription"),
]
