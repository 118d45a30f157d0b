"""Fresh rows for tests, of every app; a later state is reached by the real operation."""

from __future__ import annotations

from functools import cache

import factory
from django.contrib.auth.hashers import make_password
from factory.django import DjangoModelFactory

from accounts.models import Membership, Organization, Role, User

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
