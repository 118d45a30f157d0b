"""Logging in and out by Django's session, and the pages around an account."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.forms import LogInForm
from accounts.models import User
from donations.persons import donor_of


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
    return render(request, "website/account.html", {"person": request.user, "donor": donor_of(request.user)})
