"""What a person may ask of us: everything held about them, and its erasure."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from accounts import inviting, members, person_data
from accounts.errors import SoleOwner, WrongPassword
from accounts.models import Invitation, Membership, Organization, Role, User
from accounts.organizations import lock_organizations
from accounts.signing_in import revoke_all_tokens
from conventions import tenancy
from conventions.trying_again import in_transaction


def export_person(*, user: User) -> dict[str, Any]:
    """All that is held about `user`, ready for JSON; `records` maps each app to what it holds."""
    with tenancy.everything():  # also of organizations that the person is no member of
        return _held(user)


def _held(user: User) -> dict[str, Any]:
    memberships = Membership.objects.for_user(user).select_related("organization")
    received = inviting.invitations_to(user).select_related("organization").order_by("created_at")
    sent = Invitation.objects.filter(invited_by=user).select_related("organization").order_by("created_at")
    return {
        "account": {
            "id": user.pk,
            "email": user.email,
            "name": user.name,
            "locale": user.locale,
            "email_proved_at": user.email_proved_at,
            "created_at": user.created_at,
            "last_login_at": user.last_login,
        },
        "organizations": [
            {"id": m.organization.pk, "name": m.organization.name, "role": m.role, "since": m.created_at} for m in memberships
        ],
        "invitations": {"received": [_told(one) for one in received], "sent": [_told(one) for one in sent]},
        "records": person_data.export(user),
    }


def _told(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.pk,
        "organization": invitation.organization.name,
        "email": invitation.email,
        "role": invitation.role,
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
        "accepted_at": invitation.accepted_at,
        "withdrawn_at": invitation.withdrawn_at,
    }


def erase_on_request(*, user: User, password: str) -> None:
    """What the person does themselves: their password proves that it is not somebody at their open computer."""
    if not user.check_password(password):
        raise WrongPassword
    erase_person(user=user)


def erase_person(*, user: User) -> None:
    """Personal fields go and nobody can log in again; the empty row stays, since amounts and transfers point to it."""
    with tenancy.everything():  # what is theirs lies in any organization, and so may its other owners
        in_transaction(lambda: _erase(user.pk), what=f"erasing {user.pk}")


def _erase(pk: str) -> None:
    # Before the person, as whoever accepts an invitation locks them; so no other owner leaves in the meantime.
    lock_organizations(list(Membership.objects.filter(user=pk).values_list("organization_id", flat=True)))
    user = User.objects.select_for_update().get(pk=pk)
    _refuse_sole_owner(user)
    person_data.erase(user)  # first, while the address can still be matched and memberships say who is alone
    inviting.forget_address(user)
    revoke_all_tokens(user=user)
    members.leave_all(user)
    user.groups.clear()
    user.user_permissions.clear()
    LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=user.pk).update(
        object_repr=user.pk, change_message=""
    )
    user.email = f"{user.pk}@erased.invalid"
    user.name = ""
    user.locale = "en"
    user.email_proved_at = user.last_login = None
    user.is_active = user.is_staff = user.is_superuser = False
    user.set_unusable_password()
    user.save()


def _refuse_sole_owner(user: User) -> None:
    """An organization of several people must not lose its only owner. One without other people may, unless an app holds
    something for it: its `erase` (person_data.py) raises SoleOwner then, having asked members.alone_in."""
    owners = Membership.objects.filter(role=Role.OWNER).exclude(user=user)
    stranded = (
        Organization.objects.filter(memberships__user=user, memberships__role=Role.OWNER)
        .filter(pk__in=Membership.objects.exclude(user=user).values("organization"))
        .exclude(pk__in=owners.values("organization"))
        .first()
    )
    if stranded is not None:
        raise SoleOwner(stranded.name)
