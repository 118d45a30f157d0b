from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Invitation, Membership, Organization, Role, User
from accounts.person_data import check_person_data
from accounts.tests.factories import InvitationFactory, MembershipFactory, OrganizationFactory, UserFactory
from conventions.public_ids import is_public_id

pytestmark = pytest.mark.django_db


def violates(name: str):
    """SQLite names unique columns, PostgreSQL the constraint; both name a check constraint."""
    return pytest.raises(IntegrityError, match=name)


def test_ids_say_what_they_are_ids_of():
    membership = MembershipFactory.create()

    assert is_public_id(membership.user_id, "user")
    assert is_public_id(membership.organization_id, "org")
    assert is_public_id(membership.pk, "member")


def test_addresses_are_stored_in_lower_case_by_every_way_of_saving():
    made = User.objects.create_user(" Ada@Example.ORG ", "secret")
    saved = User(email="Bob@Example.org")
    saved.save()

    assert made.email == "ada@example.org"
    assert User.objects.get(pk=saved.pk).email == "bob@example.org"
    assert User.objects.get_by_natural_key("ADA@example.org") == made
    assert not saved.check_password("")


def test_a_user_needs_an_address():
    with pytest.raises(ValueError, match="needs an e-mail address"):
        User.objects.create_user("  ")


def test_a_superuser_has_every_permission_and_a_proved_address():
    root = User.objects.create_superuser("root@example.org", "secret")

    assert (root.is_staff, root.is_superuser, root.email_proved_at is not None) == (True, True, True)


@pytest.mark.parametrize(("email", "constraint"), [("Ada@example.org", "lower_case"), ("", "not_empty")])
def test_the_database_refuses_an_address_that_is_not_normal(email, constraint):
    user = UserFactory.create()

    with violates(f"user_email_is_{constraint}"), transaction.atomic():
        User.objects.filter(pk=user.pk).update(email=email)
    with violates(f"user_email_is_{constraint}"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET email = %s", [email])


def test_the_database_refuses_the_same_address_twice():
    UserFactory.create(email="ada@example.org")

    with violates("(?i)unique"), transaction.atomic():
        User.objects.bulk_create([User(email="ada@example.org")])
    with violates("(?i)unique"), transaction.atomic():
        User(email="ADA@example.org").save()
    assert User.objects.count() == 1


def test_the_database_refuses_a_second_membership_and_an_unknown_role():
    membership = MembershipFactory.create()

    with violates("(?i)unique"), transaction.atomic():
        Membership.objects.bulk_create([Membership(organization=membership.organization, user=membership.user)])
    with violates("membership_role_is_known"), transaction.atomic():
        Membership.objects.update(role="emperor")


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("email = 'Ada@example.org'", "invitation_email_is_lower_case"),
        ("email = ''", "invitation_email_is_not_empty"),
        ("role = 'emperor'", "invitation_role_is_known"),
        ("accepted_at = CURRENT_TIMESTAMP", "invitation_accepted_by_somebody"),
        ("accepted_by_id = invited_by_id", "invitation_accepted_by_somebody"),
        (
            "accepted_at = CURRENT_TIMESTAMP, accepted_by_id = invited_by_id, withdrawn_at = CURRENT_TIMESTAMP",
            "invitation_not_accepted_and_withdrawn",
        ),
    ],
)
def test_the_database_refuses_an_invitation_that_cannot_be(change, constraint):
    InvitationFactory.create()

    with violates(constraint), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE accounts_invitation SET {change}")


def test_the_database_refuses_a_second_open_invitation_of_an_address():
    first = InvitationFactory.create(email="ada@example.org")
    InvitationFactory.create(email="ada@example.org")

    with violates("(?i)unique"), transaction.atomic():
        InvitationFactory.create(email="ada@example.org", organization=first.organization)
    Invitation.objects.filter(pk=first.pk).update(withdrawn_at=timezone.now())
    InvitationFactory.create(email="ada@example.org", organization=first.organization)
    assert Invitation.objects.count() == 3


def test_the_database_refuses_one_stripe_customer_for_two_organizations():
    OrganizationFactory.create(stripe_customer="cus_1")
    OrganizationFactory.create(stripe_customer=None)
    OrganizationFactory.create(stripe_customer=None)

    with violates("(?i)unique"), transaction.atomic():
        OrganizationFactory.create(stripe_customer="cus_1")
    with violates("organization_stripe_customer_is_not_empty"), transaction.atomic():
        OrganizationFactory.create(stripe_customer="")


def test_people_see_their_own_organizations_only():
    mine, other = MembershipFactory.create(role=Role.MEMBER), MembershipFactory.create(role=Role.OWNER)

    assert list(Organization.objects.for_user(mine.user)) == [mine.organization]
    assert list(Organization.objects.administered_by(mine.user)) == []
    assert list(Organization.objects.administered_by(other.user)) == [other.organization]
    assert list(Membership.objects.for_user(mine.user)) == [mine]
    for queryset in (Organization.objects, Membership.objects):
        assert list(queryset.for_user(AnonymousUser())) == []
    assert list(Organization.objects.administered_by(AnonymousUser())) == []


@pytest.mark.parametrize(
    ("modules", "problems"),
    [
        (["accounts.tests.holdings"], []),
        (["accounts.tests.no_such_module"], ["accounts.E001"]),
        (["accounts.models"], ["accounts.E002"] * 3),
        (["accounts.tests.holdings", "accounts.tests.refusing_holdings"], ["accounts.E003"]),
    ],
)
def test_the_system_check_proves_every_module_that_holds_personal_data(settings, modules, problems):
    settings.PERSON_DATA = modules

    assert [problem.id for problem in check_person_data(None)] == problems
