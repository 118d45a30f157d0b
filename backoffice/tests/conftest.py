from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User


@pytest.fixture(autouse=True)
def export_dir(tmp_path: Path, settings: Any) -> Path:
    """Files of exports go to a directory of the test's own."""
    exports = {**settings.STORAGES["exports"], "OPTIONS": {"location": tmp_path / "exports", "file_permissions_mode": 0o600}}
    settings.STORAGES = {**settings.STORAGES, "exports": exports}
    return tmp_path / "exports"


def staff(*permissions: str, email: str = "finance@example.org") -> User:
    """Staff with these permissions (`app.codename`) and no other."""
    user = User.objects.create_user(email, is_staff=True)
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
