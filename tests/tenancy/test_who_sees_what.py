"""Which scope holds where: requests begin with nothing, people see their own, staff in the admin and commands everything."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from accounts.authentication import PagesOfWhoAsks
from accounts.models import Membership
from accounts.signing_in import issue_tokens
from accounts.tests.factories import MembershipFactory, UserFactory
from conventions import tenancy
from conventions.database_role import check_role
from conventions.tenancy import EVERYTHING, NOTHING, Scope
from tests.live import ROOT

pytestmark = pytest.mark.django_db


def scope_of_page(path: str, user: Any, *, has_session: bool = True) -> Scope:
    """What a page's view would see."""
    seen: list[Scope] = []

    def page(request: Any) -> HttpResponse:
        PagesOfWhoAsks(page).process_view(request, page, (), {})  # as Django does ahead of a view
        seen.append(tenancy.current())
        return HttpResponse()

    request = RequestFactory().get(path)
    request.user = user
    request.COOKIES = {"sessionid": "some"} if has_session else {}
    tenancy.each_request_alone(page)(request)
    return seen[0]


# -- scopes ----------------------------------------------------------------------------------------------
def test_scopes_nest_and_end_with_their_blocks_also_by_an_error() -> None:
    with tenancy.nothing():
        with pytest.raises(ZeroDivisionError), tenancy.everything(), tenancy.only(user="user_1"):
            1 / 0  # noqa: B018
        assert tenancy.current() == NOTHING


def test_whom_a_request_finds_to_ask_is_forgotten_with_the_request_and_never_lowers_the_system() -> None:
    def finds(request: Any) -> HttpResponse:
        tenancy.from_here_only(user="user_1")
        return HttpResponse(tenancy.current().user)

    with tenancy.nothing():
        assert tenancy.each_request_alone(finds)(RequestFactory().get("/")).content == b"user_1"  # type: ignore[attr-defined]
        assert tenancy.current() == NOTHING
    with tenancy.everything():
        tenancy.from_here_only(user="user_1")
        assert tenancy.current() == EVERYTHING


# -- pages and the admin ---------------------------------------------------------------------------------
def test_pages_show_people_their_own_and_the_admin_shows_staff_everything() -> None:
    user, staff = UserFactory.create(), UserFactory.create(is_staff=True)
    assert scope_of_page("/account", user) == Scope(user=user.pk)
    assert scope_of_page("/account", staff) == Scope(user=staff.pk)
    assert scope_of_page("/admin/", staff) == EVERYTHING
    assert scope_of_page("/admin/", user) == Scope(user=user.pk)
    assert scope_of_page("/admin/", UserFactory.create(is_staff=True, is_active=False)) != EVERYTHING
    assert scope_of_page("/administer/", staff) != EVERYTHING


def test_without_a_session_or_in_the_api_nobody_is_looked_up() -> None:
    staff = UserFactory.create(is_staff=True)
    assert scope_of_page("/admin/", staff, has_session=False) == NOTHING
    assert scope_of_page("/api/auth/me", staff) == NOTHING


def test_staff_find_every_organization_in_the_admin_and_others_are_sent_to_log_in() -> None:
    membership = MembershipFactory.create()
    path = f"/admin/accounts/organization/{membership.organization_id}/change/"
    staff, other = Client(), Client()
    staff.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    other.force_login(membership.user)
    assert membership.organization.name in staff.get(path).content.decode()
    assert [client.get(path).status_code for client in (other, Client())] == [302, 302]


# -- the API ---------------------------------------------------------------------------------------------
class Looking(APIView):
    def get(self, request: Any) -> Response:
        scope = tenancy.current()
        return Response([scope.access, scope.user, scope.organization, Membership.objects.count()])


def test_the_api_sees_as_the_person_that_the_token_or_session_names() -> None:
    mine = MembershipFactory.create()
    MembershipFactory.create()
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user=mine.user).access}")
    with tenancy.nothing():
        found = Looking.as_view()(request).data
    assert found == ["", mine.user_id, "", 1 if connection.vendor == "postgresql" else 2]
    with_cookie = APIRequestFactory().get("/")
    with_cookie.user = mine.user
    with tenancy.nothing():
        assert Looking.as_view()(with_cookie).data[:3] == ["", mine.user_id, ""]


def test_a_token_that_is_wrong_leaves_the_request_with_nothing() -> None:
    with tenancy.nothing():
        assert Looking.as_view()(APIRequestFactory().get("/", HTTP_AUTHORIZATION="Bearer made.up.one")).status_code == 401
        assert tenancy.current() == NOTHING


def test_a_persons_api_and_pages_go_on_showing_their_own_organizations() -> None:
    membership = MembershipFactory.create()
    MembershipFactory.create()
    client = APIClient()
    client.force_login(membership.user)
    assert [row["id"] for row in client.get("/api/organizations").json()["results"]] == [membership.organization_id]
    told = client.get("/api/auth/me/export").json()
    assert [row["id"] for row in told["organizations"]] == [membership.organization_id]


# -- processes -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("program", "scope"),
    [
        (["manage.py", "shell", "-c", "from conventions import tenancy; print(tenancy.current())"], EVERYTHING),
        (["-c", "import config.wsgi; from conventions import tenancy; print(tenancy.current())"], NOTHING),
    ],
)
def test_commands_see_everything_and_a_web_server_nothing(program: list[str], scope: Scope) -> None:
    ran = subprocess.run([sys.executable, *program], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == str(scope)


# -- the role --------------------------------------------------------------------------------------------
def test_the_tests_own_role_raises_no_warning() -> None:
    assert check_role(None, databases=["default"]) == []
    assert check_role(None) == []


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no roles")
@pytest.mark.parametrize(("row", "why"), [(("root", True, False), "is a superuser"), (("ops", False, True), "has BYPASSRLS")])
def test_a_role_that_is_let_past_the_policies_is_warned_of(row: Any, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cursor:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def execute(self, sql: str) -> None:
            pass

        def fetchone(self) -> Any:
            return row

    monkeypatch.setattr(connection, "cursor", Cursor)
    (warning,) = check_role(None, databases=["default"])
    assert warning.id == "conventions.W001"
    assert warning.msg.startswith(f"The database role {row[0]} {why}")
