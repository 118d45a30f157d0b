"""Who may act for an organization. Every view and operation that touches one asks here, and nowhere else."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils.text import slugify

from accounts import audit
from accounts.errors import NotAnAdmin, OwnerNeeded, TooMany
from accounts.models import ADMINISTERING, Membership, Organization, Role, User
from conventions import tenancy
from conventions.errors import NotFound
from conventions.insert_or_add import insert_or_add
from conventions.public_ids import is_public_id

MOST_ORGANIZATIONS = 50  # of one person
MOST_MEMBERS = 200  # of one organization, open invitations included
LONGEST_SLUG = 60
SLUG_TRIES = 5


def organization_for(user: User | AnonymousUser, organization_id: str, *, administering: bool = False) -> Organization:
    """The organization, for its members; with `administering`, for its owners and admins.

    To everybody else it does not exist (NotFound, 404), so that nobody learns which organizations there are. A member
    without the role gets NotAnAdmin (403). Only after it has answered may a caller enter the organization's scope:
    `with tenancy.only(user=user.pk, organization=organization.pk)`, as OrganizationView does.
    """
    return membership_for(user, organization_id, administering=administering).organization


def membership_for(user: User | AnonymousUser, organization_id: str, *, administering: bool = False) -> Membership:
    """As organization_for, but the membership itself, which holds the role; its organization is loaded."""
    found = None
    if isinstance(user, User) and is_public_id(organization_id, "org"):
        own = Membership.objects.select_related("organization").filter(user=user, organization=organization_id)
        with tenancy.only(user=user.pk):
            found = own.first()
    if found is None:
        raise NotFound("There is no such organization.")
    if administering and found.role not in ADMINISTERING:
        raise NotAnAdmin
    return found


def membership_locked(user: User, organization_id: str, *, administering: bool = False) -> Membership:
    """As membership_for, with the organization's row locked: no role in it changes before the transaction ends.

    Everything that changes members or invitations begins here, so that two of them never run at once.
    """
    lock_organizations([membership_for(user, organization_id).organization_id])
    return membership_for(user, organization_id, administering=administering)


def lock_organizations(ids: list[str]) -> None:
    """Those rows that others refer to go on being referred to: a payment need not wait for a change of roles."""
    list(Organization.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk", flat=True))


def refuse_without_power_over(role: str, *, of: Membership) -> None:
    """Admins make, change and remove members; owners everybody. Raises OwnerNeeded."""
    if role != Role.MEMBER and of.role != Role.OWNER:
        raise OwnerNeeded


def create_organization(*, owner: User, name: str) -> Membership:
    """A new organization with `owner` as its first member. Raises TooMany."""
    # Nobody is a member of it yet, and whether a slug is taken is to be known of all.
    with tenancy.everything(), transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # two requests at once are counted one after the other
        refuse_too_many_organizations(owner)
        organization = _with_free_slug(name)
        membership = Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
        told = {"slug": organization.slug}
        audit.record(actor=owner, action="organization.created", target=organization, before={}, after=told)
        return membership


def refuse_too_many_organizations(user: User) -> None:
    if Membership.objects.filter(user=user).count() >= MOST_ORGANIZATIONS:
        raise TooMany(f"One person can be in {MOST_ORGANIZATIONS} organizations at most.", code="too_many_organizations")


def rename_organization(*, actor: User, organization_id: str, name: str) -> Membership:
    """Another name; the slug stays, since addresses hold it. Raises NotAnAdmin."""
    with transaction.atomic():
        membership = membership_locked(actor, organization_id, administering=True)
        organization = membership.organization
        if organization.name != name:
            before, organization.name = organization.name, name
            organization.save(update_fields=["name"])
            audit.record(
                actor=actor, action="organization.renamed", target=organization, before={"name": before}, after={"name": name}
            )
        return membership


def _with_free_slug(name: str) -> Organization:
    """Saved under its name as an address has it, with a few letters and digits behind where that is taken."""
    stem = slugify(name)[: LONGEST_SLUG - 9].strip("-_") or "organization"
    for slug in (stem, *(f"{stem}-{secrets.token_hex(4)}" for _ in range(SLUG_TRIES))):
        made = Organization(name=name, slug=slug)
        row = {"id": made.pk, "name": name, "slug": slug, "stripe_customer": None, "created_at": made.created_at}
        if insert_or_add(Organization, [row], key=["slug"], returning=["id"]):
            return Organization.objects.get(pk=made.pk)
    raise RuntimeError(f"{SLUG_TRIES} random slugs of {stem} are taken")
