"""Organizations of the person who is signed in, and who belongs to one. Acts go by the API (static/js/acts.js)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import ADMINISTERING, Invitation, Membership, Role, User
from accounts.organizations import MOST_MEMBERS, MOST_ORGANIZATIONS, membership_for
from conventions import tenancy
from conventions.errors import NotFound
from wallets.models import TelegramLink

MOST_INVITATIONS = MOST_MEMBERS


def for_members(view: Callable[[HttpRequest, Membership], HttpResponse]) -> Callable[..., HttpResponse]:
    """For members of the organization that the address names, whose rows alone the view sees; a stranger gets 404."""

    @require_safe
    @never_cache
    @login_required
    @wraps(view)
    def answer(request: HttpRequest, organization: str) -> HttpResponse:
        assert isinstance(request.user, User)
        try:
            membership = membership_for(request.user, organization)
        except NotFound as error:
            raise Http404(error.message) from error
        with tenancy.only(user=request.user.pk, organization=membership.organization_id):
            return view(request, membership)

    return answer


def shown_membership(membership: Membership) -> dict[str, Any]:
    """What every page of an organization knows: which it is, and whether who looks may act for it."""
    return {
        "membership": membership,
        "organization": membership.organization,
        "is_admin": membership.role in ADMINISTERING,
        "is_owner": membership.role == Role.OWNER,
    }


@require_safe
@never_cache
@login_required
def organizations(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    own = Membership.objects.filter(user=request.user).select_related("organization")
    context = {
        "memberships": own.order_by("organization__name", "pk")[:MOST_ORGANIZATIONS],
        "telegram": telegram_of(request.user),
    }
    return render(request, "website/organizations.html", context)


def telegram_of(user: User) -> dict[str, Any] | None:
    """For the box that links a chat: since when one is linked, if one is; None where there is no bot."""
    if not settings.TELEGRAM_BOT_TOKEN:
        return None
    link = TelegramLink.objects.filter(user=user).first()
    return {"linked_at": link.linked_at if link else None}


@for_members
def members(request: HttpRequest, membership: Membership) -> HttpResponse:
    """Everybody in it; for those who may act, what they may change, and the invitations that nobody has answered."""
    organization = membership.organization_id
    people = Membership.objects.filter(organization=organization).select_related("user").order_by("created_at", "pk")
    shown = shown_membership(membership)
    context = {
        **shown,
        "people": [(one, may_change(membership, one.role)) for one in people[:MOST_MEMBERS]],
        "roles": Role.choices,
        "assignable": Role.choices if shown["is_owner"] else [(Role.MEMBER.value, Role.MEMBER.label)],
        "invitations": _invitations(membership) if shown["is_admin"] else [],
    }
    return render(request, "website/organization_members.html", context)


def may_change(membership: Membership, role: str) -> bool:
    """Owners everybody, admins members: as `accounts.organizations.refuse_without_power_over`, which has the last word."""
    return membership.role == Role.OWNER or (membership.role == Role.ADMIN and role == Role.MEMBER)


def _invitations(membership: Membership) -> list[tuple[Invitation, bool]]:
    found = Invitation.objects.open().filter(organization=membership.organization_id).select_related("invited_by")
    return [(one, may_change(membership, one.role)) for one in found.order_by("-created_at", "-pk")[:MOST_INVITATIONS]]
