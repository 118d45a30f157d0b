"""A user as the back office's page of their hours shows them."""

from __future__ import annotations

from accounts.models import User


class Student(User):
    """No table of its own: it carries the permission to see a person's hours."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = "student's balance"
        verbose_name_plural = "students' balances"
