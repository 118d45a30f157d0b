"""Inviting people into an organization, and what becomes of an invitation.

An address is invited, never an account: nothing here looks up whether it has one, so that nobody learns it.
"""

from __future__ import annotations

import math
from datetime import timedelta

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from accounts import audit, invitation_mail
from accounts.errors import (
    AddressNotProved,
    AlreadyMember,
    InvitationForAnother,
    InvitationNotFound,
    InvitedJustNow,
    TooMany,
)
from accounts.models import Invitation, Membership, User, UserManager
from accounts.organizations import (
    MOST_MEMBERS,
    lock_organizations,
    membership_locked,
    refuse_too_many_organizations,
    refuse_without_power_over,
)
from conventions import tenancy
from conventions.errors import NotFound
from conventions.trying_again import in_transaction

LIFETIME = timedelta(days=7)
AGAIN_AFTER = timedelta(minutes=1)


def invite(*, actor: User, organization_id: str, email: str, role: str) -> Invitation:
    """Ask an address to join; the mail goes out after the commit. Inviting again renews the invitation under a new token.

    Raises NotAnAdmin, OwnerNeeded, AddressNotProved, AlreadyMember, InvitedJustNow, TooMany.
    """
    if actor.email_proved_at is None:
        raise AddressNotProved  # the mail names who invites: an address that they have
    email = UserManager.normalize_email(email)

    def record() -> Invitation:
        acting = membership_locked(actor, organization_id, administering=True)
        refuse_without_power_over(role, of=acting)
        if Membership.objects.filter(organization=acting.organization_id, user__email=email).exists():
            raise AlreadyMember
        invitation = Invitation.objects.open().filter(organization=acting.organization_id, email=email).first()
        if invitation is not None:
            refuse_without_power_over(invitation.role, of=acting)
            _refuse_so_soon(invitation)
        if invitation is None or invitation.is_expired:
            _refuse_too_many_members(acting.organization_id, coming=1)
        invitation = invitation or Invitation(organization=acting.organization, email=email)
        now = timezone.now()
        invitation.role, invitation.invited_by, invitation.expires_at = role, actor, now + LIFETIME
        invitation.token_hash = None  # what an earlier mail said is over, the role perhaps with it
        invitation.mail_due_at, invitation.mail_sent_at = now + invitation_mail.NUDGE_LOST_AFTER, None
        invitation.mail_attempts, invitation.mail_error = 0, ""
        invitation.save()
        told = {"invitation": invitation.pk, "address": audit.masked(email), "role": role}
        audit.record(actor=actor, action="organization.invited", target=acting.organization, before={}, after=told)
        invitation_mail.send_invitation.enqueue(invitation.pk)
        return invitation

    return in_transaction(record, what=f"inviting into {organization_id}")


def withdraw(*, actor: User, organization_id: str, invitation_id: str) -> None:
    """The mailed link works no more. Raises NotAnAdmin, OwnerNeeded, NotFound (also for one accepted or withdrawn)."""

    def end() -> None:
        acting = membership_locked(actor, organization_id, administering=True)
        found = Invitation.objects.open().filter(organization=acting.organization_id, pk=invitation_id.replace("\x00", ""))
        invitation = found.first()
        if invitation is None:
            raise NotFound("There is no such open invitation.")
        refuse_without_power_over(invitation.role, of=acting)
        invitation.withdrawn_at, invitation.token_hash, invitation.mail_due_at = timezone.now(), None, None
        invitation.save(update_fields=["withdrawn_at", "token_hash", "mail_due_at"])
        told = {"invitation": invitation.pk, "address": audit.masked(invitation.email), "role": invitation.role}
        audit.record(actor=actor, action="organization.invitation_withdrawn", target=acting.organization, before=told, after={})

    in_transaction(end, what=f"withdrawing {invitation_id}")


def invitation_of(token: str) -> Invitation:
    """What the holder of a mailed token may see of it: organization, role, who invites. Raises InvitationNotFound."""
    with tenancy.everything():  # the token says who may look: its holder is no member yet
        rows = Invitation.objects.select_related("organization", "invited_by")
        invitation = rows.filter(token_hash=invitation_mail.hashed(token), withdrawn_at=None).first()
    if invitation is None or (invitation.accepted_at is None and invitation.is_expired):
        raise InvitationNotFound
    return invitation


def accept(*, user: User, token: str) -> Membership:
    """Become a member; the same person may say so again. Whoever is a member already keeps the role they have.

    Raises InvitationNotFound, InvitationForAnother, AddressNotProved, TooMany.
    """

    def join() -> Membership:
        organization_id = invitation_of(token).organization_id
        lock_organizations([organization_id])
        person = User.objects.select_for_update(no_key=True).get(pk=user.pk)  # erased in the meantime, it is nobody's address
        invitation = invitation_of(token)
        if invitation.accepted_at is not None:
            return _accepted_before(invitation, person)
        if person.email != invitation.email or not person.is_active:
            raise InvitationForAnother
        if person.email_proved_at is None:
            raise AddressNotProved
        membership = _membership(invitation, person)
        invitation.accepted_at, invitation.accepted_by, invitation.mail_due_at = timezone.now(), person, None
        invitation.save(update_fields=["accepted_at", "accepted_by", "mail_due_at"])
        told = {"user": person.pk, "role": membership.role, "invitation": invitation.pk}
        audit.record(actor=person, action="organization.joined", target=invitation.organization, before={}, after=told)
        return membership

    with tenancy.everything():  # whoever comes is no member before this has committed
        return in_transaction(join, what="accepting an invitation")


# -- what a person may ask of us: called by leaving.py ---------------------------------------------------
def invitations_to(user: User) -> QuerySet[Invitation]:
    """Those that the person accepted, and once they have proved their address, all that were sent to it: whoever only
    typed an address at registration neither learns of its invitations nor ends them."""
    theirs = Q(accepted_by=user)
    if user.email_proved_at is not None:
        theirs |= Q(email=user.email)
    return Invitation.objects.filter(theirs)


def forget_address(user: User) -> None:
    """The address goes from every invitation; those still open are over. Call it while the address can be matched."""
    theirs = invitations_to(user)
    theirs.filter(accepted_at=None, withdrawn_at=None).update(withdrawn_at=timezone.now(), token_hash=None, mail_due_at=None)
    theirs.update(email=Concat(F("id"), Value("@erased.invalid")))


# -- joining ---------------------------------------------------------------------------------------------
def _membership(invitation: Invitation, person: User) -> Membership:
    rows = Membership.objects.select_related("organization")
    existing = rows.filter(organization=invitation.organization_id, user=person).first()
    if existing is not None:
        return existing
    refuse_too_many_organizations(person)
    _refuse_too_many_members(invitation.organization_id, coming=0)
    return Membership.objects.create(organization=invitation.organization, user=person, role=invitation.role)


def _accepted_before(invitation: Invitation, person: User) -> Membership:
    """Said twice by the same person; to everybody else, and to one who has left since, the invitation is over."""
    rows = Membership.objects.select_related("organization")
    found = rows.filter(organization=invitation.organization_id, user=person).first()
    if found is None or invitation.accepted_by_id != person.pk:
        raise InvitationNotFound
    return found


def _refuse_too_many_members(organization_id: str, *, coming: int) -> None:
    """Open invitations count with the members, those that expired not; one that is accepted was counted before."""
    members = Membership.objects.filter(organization=organization_id).count()
    invited = Invitation.objects.acceptable().filter(organization=organization_id).count()
    if members + invited + coming > MOST_MEMBERS:
        raise TooMany(f"An organization has {MOST_MEMBERS} members at most, open invitations included.", code="too_many_members")


def _refuse_so_soon(invitation: Invitation) -> None:
    last = invitation.expires_at - LIFETIME
    wait = (last + AGAIN_AFTER - timezone.now()).total_seconds()
    if wait > 0:
        raise InvitedJustNow(retry_after_s=math.ceil(wait))
