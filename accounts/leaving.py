"""What a person may ask of us: everything held about them, and its erasure."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from accounts import person_data
from accounts.errors import SoleOwner, WrongPassword
from accounts.models import Membership, Organization, Role, User
from accounts.signing_in import revoke_all_tokens


def export_person(*, user: User) -> dict[str, Any]:
    """All that is held about `user`, ready for JSON; `records` maps each app to what it holds."""
    memberships = Membership.objects.for_user(user).select_related("organization")
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
        "records": person_data.export(user),
    }


def erase_on_request(*, user: User, password: str) -> None:
    """What the person does themselves: their password proves that it is not somebody at their open computer."""
    if not user.check_password(password):
        raise WrongPassword
    erase_person(user=user)


def erase_person(*, user: User) -> None:
    """Personal fields go and nobody can log in again; the empty row stays, since amounts and transfers point to it."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        _refuse_sole_owner(user)
        person_data.erase(user)  # first, while the address can still be matched
        revoke_all_tokens(user=user)
        user.memberships.all().delete()
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
    """An organization of several people must not lose its only owner; one without other people may."""
    owners = Membership.objects.filter(role=Role.OWNER).exclude(user=user)
    stranded = (
        Organization.objects.filter(memberships__user=user, memberships__role=Role.OWNER)
        .filter(pk__in=Membership.objects.exclude(user=user).values("organization"))
        .exclude(pk__in=owners.values("organization"))
        .first()
    )
    if stranded is not None:
        raise SoleOwner(stranded.name)
