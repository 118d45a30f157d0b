"""Who of the staff may do what outside the admin, by the same permissions as within it."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser

from accounts.models import User


def staff_may(user: User | AnonymousUser | None, *permissions: str) -> bool:
    """Whether this is staff with one of the permissions. Being staff opens the door of the admin, and nothing else."""
    return user is not None and user.is_staff and any(user.has_perm(permission) for permission in permissions)
