"""Fresh rows for tests, of every app; a later state is reached by the real operation."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import factory
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import Invitation, Membership, Organization, Role, User

PASSWORD = "violet-harbour-1987"


@cache
def hashed(password: str) -> str:
    """Hashing is slow on purpose; every factory user shares one hash."""
    return make_password(password)


class UserFactory(DjangoModelFactory[User]):
    """An active user with an unproved address and the password PASSWORD."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person{n}@example.org")
    name = "Ada Example"
    password = factory.LazyFunction(lambda: hashed(PASSWORD))


def proved(email: str) -> User:
    """Somebody who has opened the link that was sent to the address."""
    return UserFactory.create(email=email, email_proved_at=timezone.now())


def staff_with(*permissions: str) -> User:
    """Staff who may do exactly this ("donations.view_donation"); without any, staff whom nobody gave a role."""
    user = UserFactory.create(is_staff=True)
    for permission in permissions:
        app, _, codename = permission.partition(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


class OrganizationFactory(DjangoModelFactory[Organization]):
    class Meta:
        model = Organization

    name = factory.Sequence(lambda n: f"Organization {n}")
    slug = factory.Sequence(lambda n: f"organization-{n}")


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    organization = factory.SubFactory(OrganizationFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.MEMBER


class InvitationFactory(DjangoModelFactory[Invitation]):
    """Open, and its mail not sent; one that can be accepted is made by inviting.invite."""

    class Meta:
        model = Invitation

    organization = factory.SubFactory(OrganizationFactory)
    email = factory.Sequence(lambda n: f"invited{n}@example.org")
    invited_by = factory.SubFactory(UserFactory)
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=7))
