"""Changes of one organization at the same moment: it keeps an owner, and an invitation makes one member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from accounts import inviting, leaving, members, organizations
from accounts.errors import InvitedJustNow, LastOwner, SoleOwner, TooMany
from accounts.invitation_mail import send_invitation
from accounts.models import AuditEntry, Invitation, Membership, Organization, Role, User
from accounts.tests.factories import MembershipFactory, OrganizationFactory, UserFactory
from conventions import tenancy
from conventions.errors import DomainError

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs real row locks"),
]


def at_once(acts: Sequence[Callable[[], object]]) -> list[str]:
    """Do all at the same moment, each in a thread of its own; what each came to: "done" or the name of its refusal."""
    barrier = Barrier(len(acts))

    def one(act: Callable[[], object]) -> str:
        barrier.wait(timeout=20)
        try:
            with tenancy.everything():
                act()
        except DomainError as refused:
            return type(refused).__name__
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(one, acts))


def owners_of(organization: Organization, count: int) -> list[Membership]:
    users = [UserFactory.create(email_proved_at=timezone.now()) for _ in range(count)]
    return [MembershipFactory.create(organization=organization, user=user, role=Role.OWNER) for user in users]


def owners(organization: Organization) -> int:
    return Membership.objects.filter(organization=organization, role=Role.OWNER).count()


def lowering(actor: Membership, member: Membership) -> Callable[[], object]:
    return lambda: members.change_role(
        actor=actor.user, organization_id=actor.organization_id, member_id=member.pk, role="member"
    )


def leaving_it(member: Membership) -> Callable[[], object]:
    return lambda: members.remove_member(actor=member.user, organization_id=member.organization_id, member_id=member.pk)


@pytest.mark.parametrize("again", range(5))
def test_two_last_owners_who_lower_each_other_leave_one(again):
    organization = OrganizationFactory.create()
    first, second = owners_of(organization, 2)

    outcome = at_once([lowering(first, second), lowering(second, first)])

    assert outcome == ["NotAnAdmin", "done"]  # the second finds itself lowered
    assert owners(organization) == 1
    assert AuditEntry.objects.filter(action="organization.role_changed").count() == 1


def test_owners_who_all_leave_at_once_leave_one():
    organization = OrganizationFactory.create()

    outcome = at_once([leaving_it(member) for member in owners_of(organization, 6)])

    assert outcome == [LastOwner.__name__] + ["done"] * 5
    assert owners(organization) == Membership.objects.count() == 1


def test_an_owner_who_is_erased_while_the_other_leaves_does_not_strand_the_rest():
    organization = OrganizationFactory.create()
    first, second = owners_of(organization, 2)
    MembershipFactory.create(organization=organization)

    outcome = at_once([leaving_it(first), lambda: leaving.erase_person(user=second.user)])

    assert outcome in ([LastOwner.__name__, "done"], [SoleOwner.__name__, "done"])
    assert owners(organization) == 1


def invited(organization: Organization, owner: Membership, email: str) -> str:
    """The token that was mailed."""
    invitation = inviting.invite(actor=owner.user, organization_id=organization.pk, email=email, role="member")
    send_invitation.func(invitation.pk)
    return str(mail.outbox[-1].body).split("?token=")[1].split()[0]


def test_one_invitation_accepted_many_times_at_once_makes_one_member():
    organization = OrganizationFactory.create()
    (owner,) = owners_of(organization, 1)
    ada = UserFactory.create(email="ada@example.org", email_proved_at=timezone.now())
    token = invited(organization, owner, "ada@example.org")

    outcome = at_once([lambda: inviting.accept(user=ada, token=token)] * 8)

    assert outcome == ["done"] * 8
    assert Membership.objects.filter(organization=organization, user=ada).count() == 1
    assert AuditEntry.objects.filter(action="organization.joined").count() == 1


def test_accepting_and_being_erased_at_once_leaves_no_member_without_a_person():
    organization = OrganizationFactory.create()
    (owner,) = owners_of(organization, 1)
    ada = UserFactory.create(email="ada@example.org", email_proved_at=timezone.now())
    token = invited(organization, owner, "ada@example.org")

    at_once([lambda: inviting.accept(user=ada, token=token), lambda: leaving.erase_person(user=User.objects.get(pk=ada.pk))])

    left = Membership.objects.filter(user=ada)
    assert (left.count(), User.objects.get(pk=ada.pk).is_active) == (0, False)
    assert Invitation.objects.get().email.endswith("@erased.invalid")


def test_the_last_free_place_goes_to_one(monkeypatch):
    organization = OrganizationFactory.create()
    (owner,) = owners_of(organization, 1)
    monkeypatch.setattr(inviting, "MOST_MEMBERS", 2)

    outcome = at_once(
        [
            lambda email=email: inviting.invite(actor=owner.user, organization_id=organization.pk, email=email, role="member")
            for email in ("a@example.org", "b@example.org", "c@example.org")
        ]
    )

    assert outcome == [TooMany.__name__] * 2 + ["done"]
    assert Invitation.objects.count() == 1


def test_one_address_invited_twice_at_once_gets_one_mail():
    organization = OrganizationFactory.create()
    first, second = owners_of(organization, 2)

    outcome = at_once(
        [
            lambda owner=owner: inviting.invite(
                actor=owner.user, organization_id=organization.pk, email="ada@example.org", role="member"
            )
            for owner in (first, second)
        ]
    )

    assert outcome == [InvitedJustNow.__name__, "done"]
    assert Invitation.objects.count() == 1


def test_one_name_taken_many_times_at_once_makes_as_many_slugs():
    users = UserFactory.create_batch(6)

    outcome = at_once([lambda user=user: organizations.create_organization(owner=user, name="Food bank") for user in users])

    assert outcome == ["done"] * 6
    assert len(set(Organization.objects.values_list("slug", flat=True))) == 6
