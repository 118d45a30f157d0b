"""The page that the link of an invitation's mail opens."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import inviting
from accounts.errors import InvitationNotFound
from accounts.models import User
from conventions.errors import DomainError
from conventions.rate_limits import seconds_over_limit

INCOMPLETE = "This is only a part of an invitation's address. Please open the whole link of the mail."


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    """Says to the holder of the token who invites to what; only a click accepts, since mail scanners open links."""
    token = (request.POST if request.method == "POST" else request.GET).get("token", "")
    here = f"{reverse('invitation')}?{urlencode({'token': token})}"
    user = request.user if isinstance(request.user, User) else None
    log_in = f"{reverse('login')}?{urlencode({'next': here})}"
    if request.method == "POST":
        return _accept(request, user, token, here) if user else redirect(log_in)
    if not token:
        return render(request, "website/invitation.html", {"refusal": INCOMPLETE}, status=HTTPStatus.NOT_FOUND)
    try:
        found = inviting.invitation_of(token)
        if found.accepted_at and (user is None or found.accepted_by_id != user.pk):
            raise InvitationNotFound
    except InvitationNotFound as error:
        return render(request, "website/invitation.html", {"refusal": error.message}, status=HTTPStatus.NOT_FOUND)
    is_for_another = user is not None and user.email != found.email
    context = {"invitation": found, "person": user, "token": token, "log_in": log_in, "is_for_another": is_for_another}
    return render(request, "website/invitation.html", context)


def _accept(request: HttpRequest, user: User, token: str, here: str) -> HttpResponse:
    if seconds_over_limit(request, "session"):
        messages.error(request, "That was too often. Please wait a minute and try again.")
        return redirect(here)
    try:
        membership = inviting.accept(user=user, token=token)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect(here)
    messages.success(request, f"You are now in {membership.organization.name}, as {membership.get_role_display().lower()}.")
    return redirect("wallet-page", membership.organization_id)
