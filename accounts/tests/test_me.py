from __future__ import annotations

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from accounts.models import Membership, Role, User
from accounts.signing_in import issue_tokens
from accounts.tests import holdings
from accounts.tests.factories import PASSWORD, MembershipFactory, OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return UserFactory.create(email="ada@example.org")


@pytest.mark.parametrize(
    ("method", "path"), [("get", "me"), ("patch", "me"), ("delete", "me"), ("get", "me/export"), ("get", "me/export/")]
)
def test_a_stranger_is_nobody(api, method, path):
    answer = getattr(api, method)(f"/api/auth/{path}")

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_name_and_language_can_be_changed(api_of, ada):
    answer = api_of(ada).patch("/api/auth/me", {"name": "Ada Lovelace", "locale": "de-AT"})

    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["locale"]) == ("Ada Lovelace", "de-AT")
    ada.refresh_from_db()
    assert (ada.name, ada.locale) == ("Ada Lovelace", "de-AT")


def test_an_empty_change_changes_nothing(api_of, ada):
    answer = api_of(ada).patch("/api/auth/me", {})

    assert (answer.status_code, answer.json()["name"]) == (200, "Ada Example")


@pytest.mark.parametrize(
    "change",
    [
        {"email": "other@example.org"},
        {"is_staff": True},
        {"name": None},
        {"name": 5},
        {"name": "x" * 101},
        {"locale": "nonsense!"},
        {"locale": "en\nde"},
        {"locale": ""},
        {"locale": None},
        {"locale": ["en"]},
    ],
)
def test_nothing_else_can_be_changed(api_of, ada, change):
    answer = api_of(ada).patch("/api/auth/me", change)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == list(change)
    ada.refresh_from_db()
    assert (ada.email, ada.name, ada.locale, ada.is_staff) == ("ada@example.org", "Ada Example", "en", False)


def test_the_export_holds_everything_of_this_person_only(api_of, ada):
    membership = MembershipFactory.create(user=ada, role=Role.OWNER)
    MembershipFactory.create()

    answer = api_of(ada).get("/api/auth/me/export")

    assert answer.status_code == 200
    assert sorted(answer.json()) == ["account", "invitations", "organizations", "records"]
    assert answer.json()["account"]["email"] == "ada@example.org"
    assert "password" not in answer.json()["account"]
    assert [(o["id"], o["role"]) for o in answer.json()["organizations"]] == [(membership.organization_id, "owner")]
    assert answer.json()["records"] == {"accounts": {"gifts": [{"from": "ada@example.org"}]}}


def test_erasure_empties_the_row_and_ends_every_log_in(api, api_of, ada):
    ada.groups.add(Group.objects.create(name="tutors"))
    MembershipFactory.create(user=ada)
    other = UserFactory.create(email="other@example.org")
    LogEntry.objects.create(
        user=other,
        content_type=ContentType.objects.get_for_model(User),
        object_id=ada.pk,
        object_repr="ada@example.org",
        action_flag=CHANGE,
    )
    refresh = issue_tokens(user=ada).refresh
    client = api_of(ada)

    answer = client.delete("/api/auth/me", {"password": PASSWORD})

    assert (answer.status_code, answer.content) == (204, b"")
    ada.refresh_from_db()
    assert (ada.email, ada.name) == (f"{ada.pk}@erased.invalid", "")
    assert (ada.is_active, ada.is_staff, ada.is_superuser, ada.has_usable_password()) == (False, False, False, False)
    assert (ada.email_proved_at, ada.last_login, ada.groups.count()) == (None, None, 0)
    assert Membership.objects.count() == 0
    assert LogEntry.objects.get().object_repr == ada.pk
    assert holdings.calls == [("erase", "ada@example.org")]
    assert client.get("/api/auth/me").status_code == 401
    assert BlacklistedToken.objects.count() == 2
    assert api.post("/api/auth/refresh", {"refresh": refresh}).status_code == 401
    assert api.post("/api/auth/login", {"email": "ada@example.org", "password": PASSWORD}).status_code == 401
    other.refresh_from_db()
    assert (other.email, other.is_active) == ("other@example.org", True)


def test_the_address_of_an_erased_account_is_free_again(api, api_of, ada):
    api_of(ada).delete("/api/auth/me", {"password": PASSWORD})

    api.post("/api/auth/register", {"email": "ada@example.org", "password": PASSWORD})

    assert User.objects.get(email="ada@example.org").pk != ada.pk


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [({"password": "not-the-password"}, 403, "wrong_password"), ({}, 400, "required"), ({"password": None}, 400, "null")],
)
def test_erasure_without_the_password_does_nothing(api_of, ada, body, status, code):
    answer = api_of(ada).delete("/api/auth/me", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(answer.json()["fields"]) == ["password"]
    ada.refresh_from_db()
    assert (ada.email, ada.is_active) == ("ada@example.org", True)
    assert holdings.calls == []


def test_guessing_the_password_by_erasure_is_limited_and_reading_is_not(api_of, ada):
    client = api_of(ada)
    answers = [client.delete("/api/auth/me", {"password": "guess"}).status_code for _ in range(6)]

    assert answers == [403] * 5 + [429]
    assert client.get("/api/auth/me").status_code == 200


def test_the_only_owner_of_other_people_must_hand_over_first(api_of, ada):
    shared, alone = OrganizationFactory.create(name="Shared"), OrganizationFactory.create()
    MembershipFactory.create(user=ada, organization=alone, role=Role.OWNER)
    MembershipFactory.create(user=ada, organization=shared, role=Role.OWNER)
    second = MembershipFactory.create(organization=shared, role=Role.ADMIN)
    client = api_of(ada)

    refused = client.delete("/api/auth/me", {"password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (409, "sole_owner")
    assert "Shared" in refused.json()["error"]
    assert holdings.calls == []
    second.role = Role.OWNER
    second.save()
    assert client.delete("/api/auth/me", {"password": PASSWORD}).status_code == 204


def test_if_one_app_cannot_erase_nothing_is_erased(api_of, ada, settings):
    settings.PERSON_DATA = ["accounts.tests.refusing_holdings"]

    with pytest.raises(RuntimeError, match="cannot erase"):
        api_of(ada).delete("/api/auth/me", {"password": PASSWORD})

    ada.refresh_from_db()
    assert (ada.email, ada.is_active) == ("ada@example.org", True)
