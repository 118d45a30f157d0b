from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django_tasks_db.models import DBTaskResult
from rest_framework.test import APIClient

from accounts.models import User
from accounts.signing_in import issue_tokens
from accounts.tests import holdings


@pytest.fixture(autouse=True)
def _fresh_counts_and_holdings(settings) -> Iterator[None]:
    """Rate limits start at zero, and other apps' data of persons is a stand-in."""
    settings.PERSON_DATA = ["accounts.tests.holdings"]
    cache.clear()
    holdings.calls.clear()
    yield
    cache.clear()


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def api_of() -> Callable[[User], APIClient]:
    """A client that sends a real access token of this user."""

    def client(user: User) -> APIClient:
        made = APIClient()
        made.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=user).access}")
        return made

    return client


@pytest.fixture
def run_tasks(db, mailoutbox) -> Callable[[], list[EmailMultiAlternatives]]:
    """Run what was enqueued, as the worker would; gives the mails that were sent by it."""

    def run() -> list[EmailMultiAlternatives]:
        before = len(mailoutbox)
        for row in DBTaskResult.objects.order_by("enqueued_at"):
            row.task.call(*row.args_kwargs["args"], **row.args_kwargs["kwargs"])
            row.delete()
        return mailoutbox[before:]

    return run


@pytest.fixture
def token_in() -> Callable[[EmailMultiAlternatives, str], str]:
    """The token of the link to `path` in a mail."""

    def find(mail: EmailMultiAlternatives, path: str) -> str:
        start = f"http://127.0.0.1:8000{path}?token="
        (line,) = [line for line in mail.body.splitlines() if line.startswith(start)]
        return line.removeprefix(start).replace("%3A", ":")

    return find
