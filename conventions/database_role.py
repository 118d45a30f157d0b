"""The system check of the role that the application works as on PostgreSQL (docs/operations.md says how to make one)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning
from django.db import connections


def check_role(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Run by `migrate` and by `check --database default`, as it asks the database."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        if connections[alias].vendor != "postgresql":
            continue
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
            role, is_superuser, bypasses = cursor.fetchone()
        if is_superuser or bypasses:
            why = "is a superuser" if is_superuser else "has BYPASSRLS"
            found.append(
                Warning(
                    f"The database role {role} {why}, so that row-level security does not keep organizations apart.",
                    hint="Work as a role that is neither: docs/operations.md, The database role.",
                    id="conventions.W001",
                )
            )
    return found
