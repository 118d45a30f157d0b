"""Roles that change, and members who leave, are removed or are erased."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.errors import LastOwner, NotAnAdmin
from accounts.models import ADMINISTERING, Invitation, Membership, Organization, Role, User
from accounts.organizations import membership_locked, refuse_without_power_over
from conventions.errors import NotFound
from conventions.trying_again import in_transaction


def change_role(*, actor: User, organization_id: str, member_id: str, role: str) -> Membership:
    """Give a member another role. Raises NotAnAdmin, OwnerNeeded, LastOwner, NotFound."""

    def change() -> Membership:
        acting = membership_locked(actor, organization_id, administering=True)
        member = _member(acting, member_id)
        refuse_without_power_over(member.role, of=acting)
        refuse_without_power_over(role, of=acting)
        if member.role == role:
            return member
        if role != Role.OWNER:
            _refuse_last_owner(member)
        before, member.role = member.role, role
        member.save(update_fields=["role"])
        _withdraw_invitations_of(member, still=role)
        told = {"user": member.user_id}
        audit.record(
            actor=actor,
            action="organization.role_changed",
            target=acting.organization,
            before=told | {"role": before},
            after=told | {"role": role},
        )
        return member

    return in_transaction(change, what=f"changing {member_id}")


def remove_member(*, actor: User, organization_id: str, member_id: str) -> None:
    """Remove a member, or leave. Raises NotAnAdmin, OwnerNeeded, LastOwner, NotFound."""

    def remove() -> None:
        acting = membership_locked(actor, organization_id)
        leaves = member_id == acting.pk
        if not leaves and acting.role not in ADMINISTERING:
            raise NotAnAdmin
        member = _member(acting, member_id)
        if not leaves:
            refuse_without_power_over(member.role, of=acting)
        _refuse_last_owner(member)
        _withdraw_invitations_of(member)
        told = {"user": member.user_id, "role": member.role}
        action = "organization.left" if leaves else "organization.member_removed"
        audit.record(actor=actor, action=action, target=acting.organization, before=told, after={})
        member.delete()

    in_transaction(remove, what=f"removing {member_id}")


def _member(acting: Membership, member_id: str) -> Membership:
    """A member of the organization for which somebody acts, as the database has them under the lock."""
    found = Membership.objects.filter(organization=acting.organization_id, pk=member_id.replace("\x00", ""))
    member = found.select_related("user").first()
    if member is None:
        raise NotFound("There is no such member.")
    return member


def _refuse_last_owner(member: Membership) -> None:
    others = Membership.objects.filter(organization=member.organization_id, role=Role.OWNER).exclude(pk=member.pk)
    if member.role == Role.OWNER and not others.exists():
        raise LastOwner


def _withdraw_invitations_of(member: Membership, *, still: str = "") -> None:
    """Nobody has an invitation on its way that they could not send any more, by which they or theirs could come back; `still`
    is the role that the member keeps or gets."""
    theirs = Invitation.objects.open().filter(organization=member.organization_id, invited_by=member.user_id)
    if still == Role.OWNER:
        return
    _withdraw(theirs.exclude(role=Role.MEMBER) if still in ADMINISTERING else theirs)


def _withdraw(invitations: QuerySet[Invitation]) -> None:
    invitations.update(withdrawn_at=timezone.now(), token_hash=None, mail_due_at=None)


# -- erasure: called by leaving.py, with every organization of the person locked -------------------------
def alone_in(user: User) -> QuerySet[Organization]:
    """Organizations without another member: what such a one holds would be nobody's."""
    return Organization.objects.filter(memberships__user=user).exclude(
        pk__in=Membership.objects.exclude(user=user).values("organization")
    )


def leave_all(user: User) -> None:
    """Every membership goes; what was to become of it, leaving.py has asked. Nobody joins an organization of nobody."""
    _withdraw(Invitation.objects.open().filter(organization__in=list(alone_in(user).values_list("pk", flat=True))))
    for member in user.memberships.select_related("organization"):
        _withdraw_invitations_of(member)
        told = {"user": user.pk, "role": member.role}
        audit.record(actor=user, action="organization.left", target=member.organization, before=told, after={})
        member.delete()
