"""Finding the student whom an operator means."""

from __future__ import annotations

from accounts.models import User


def student_named(name: str) -> User | None:
    """By a whole id or a whole e-mail address."""
    words = name.strip().replace("\x00", "")
    return User.objects.filter(**({"email": words.lower()} if "@" in words else {"pk": words})).first()
