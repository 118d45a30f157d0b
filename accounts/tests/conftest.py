from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django_tasks_db.models import DBTaskResult
from rest_framework.test import APIClient

from accounts.models import Organization, Role, User
from accounts.signing_in import issue_tokens
from accounts.tests import holdings
from accounts.tests.factories import MembershipFactory, OrganizationFactory, proved


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


# -- an organization, its owner, and whom she invites ----------------------------------------------------
@pytest.fixture
def food_bank() -> Organization:
    return OrganizationFactory.create(name="Food bank", slug="food-bank")


@pytest.fixture
def owner(food_bank) -> User:
    user = proved("grace@example.org")
    MembershipFactory.create(organization=food_bank, user=user, role=Role.OWNER)
    return user


@pytest.fixture
def invitations_path(food_bank) -> str:
    return f"/api/organizations/{food_bank.pk}/invitations"


@pytest.fixture
def invite(api_of, owner, invitations_path):
    """What the owner does; the answer."""

    def ask(email: str = "ada@example.org", **more: str):
        return api_of(owner).post(invitations_path, {"email": email, **more})

    return ask


@pytest.fixture
def mailed(invite, run_tasks, token_in):
    """Somebody is invited, and their mail's token is given."""

    def send(email: str = "ada@example.org", **more: str) -> str:
        assert invite(email, **more).status_code == 201
        (sent,) = run_tasks()
        return token_in(sent, "/invitations")

    return send
