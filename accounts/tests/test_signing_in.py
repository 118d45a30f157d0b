from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts.authentication import BearerAuthentication
from accounts.errors import InvalidCredentials
from accounts.models import User
from accounts.signing_in import authenticate_by_password, issue_tokens
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


def log_in(api, email="ada@example.org", password=PASSWORD):
    return api.post("/api/auth/login", {"email": email, "password": password})


@pytest.fixture
def ada() -> User:
    return UserFactory.create(email="ada@example.org")


def test_logging_in_answers_tokens_and_the_user(api, ada):
    answer = log_in(api, email=" ADA@example.org ")

    assert answer.status_code == 200
    assert sorted(answer.json()) == ["access", "refresh", "user"]
    ada.refresh_from_db()
    assert answer.json()["user"] == {
        "id": ada.pk,
        "email": "ada@example.org",
        "name": "Ada Example",
        "locale": "en",
        "email_proved_at": None,
        "is_staff": False,
        "created_at": ada.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert ada.last_login is not None
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
    assert api.get("/api/auth/me").json()["id"] == ada.pk


@pytest.mark.parametrize("closed", [True, False])
def test_unknown_closed_and_wrong_get_one_answer_and_cost_one_hash_each(api, ada, closed):
    User.objects.update(is_active=not closed)
    hash_password = Argon2PasswordHasher.encode
    check = Argon2PasswordHasher.verify
    with (
        patch.object(Argon2PasswordHasher, "encode", autospec=True, side_effect=hash_password) as encoded,
        patch.object(Argon2PasswordHasher, "verify", autospec=True, side_effect=check) as verified,
    ):
        known = log_in(api, password=PASSWORD if closed else "not-the-password")
        assert (encoded.call_count, verified.call_count) == (0, 1)
        unknown = log_in(api, email="nobody@example.org")
        assert (encoded.call_count, verified.call_count) == (1, 1)

    assert known.status_code == unknown.status_code == 401
    assert known.content == unknown.content
    assert known.json() == {
        "success": False,
        "error": "The e-mail address or the password is not right.",
        "code": "invalid_credentials",
    }
    assert not OutstandingToken.objects.exists()


@pytest.mark.parametrize("value", [1, True, None, [], {}, "a\0b", "x" * 255, ""])
@pytest.mark.parametrize("field", ["email", "password"])
def test_wrong_types_are_refused_by_name(api, field, value):
    answer = api.post("/api/auth/login", {"email": "a@example.org", "password": "b", field: value})

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]


def test_pages_authenticate_by_the_same_operation(ada):
    request = RequestFactory().post("/login")

    assert authenticate_by_password(request=request, email="Ada@Example.org", password=PASSWORD) == ada
    with pytest.raises(InvalidCredentials):
        authenticate_by_password(request=request, email="ada@example.org", password=PASSWORD + " ")


def test_refreshing_rotates(api, ada):
    first = log_in(api).json()

    answer = api.post("/api/auth/refresh", {"refresh": first["refresh"]})

    assert answer.status_code == 200
    assert sorted(answer.json()) == ["access", "refresh"]
    assert answer.json()["refresh"] != first["refresh"]
    again = api.post("/api/auth/refresh/", {"refresh": first["refresh"]})
    assert (again.status_code, again.json()["code"]) == (401, "token_invalid")
    assert OutstandingToken.objects.count() == 2
    assert BlacklistedToken.objects.count() == 1
    assert api.post("/api/auth/refresh", {"refresh": answer.json()["refresh"]}).status_code == 200


def test_an_expired_refresh_token_buys_nothing(api, ada):
    refresh = issue_tokens(user=ada).refresh

    with time_machine.travel(timezone.now() + timedelta(days=14, seconds=5)):
        answer = api.post("/api/auth/refresh", {"refresh": refresh})

    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert OutstandingToken.objects.count() == 1


def test_an_access_token_is_no_refresh_token_and_the_reverse(api, ada):
    tokens = issue_tokens(user=ada)

    assert api.post("/api/auth/refresh", {"refresh": tokens.access}).status_code == 401
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.refresh}")
    assert api.get("/api/auth/me").status_code == 401


def test_a_closed_account_gets_no_new_tokens(api, ada):
    refresh = issue_tokens(user=ada).refresh
    User.objects.update(is_active=False)

    answer = api.post("/api/auth/refresh", {"refresh": refresh})

    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert not BlacklistedToken.objects.exists()


def test_logging_out_ends_the_refresh_token_and_may_be_repeated(api, ada):
    refresh = issue_tokens(user=ada).refresh
    other = issue_tokens(user=ada).refresh

    answers = [api.post("/api/auth/logout", {"refresh": refresh}) for _ in range(2)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
    assert BlacklistedToken.objects.count() == 1
    assert api.post("/api/auth/refresh", {"refresh": refresh}).status_code == 401
    assert api.post("/api/auth/refresh", {"refresh": other}).status_code == 200


def test_logging_out_with_nonsense_is_no_error_and_does_nothing(api, ada):
    assert api.post("/api/auth/logout", {"refresh": "nonsense"}).status_code == 204
    assert api.post("/api/auth/logout", {"refresh": 5}).status_code == 400
    assert not BlacklistedToken.objects.exists()


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer nonsense",
        "Bearer a.b.c",
        "bearer x",
        "Bearer \xe9",
        "Bearer ..",
        "Bearer null",
    ],
)
def test_a_token_that_is_none_is_refused_where_one_is_needed(api, header):
    answer = api.get("/api/auth/me", HTTP_AUTHORIZATION=header)

    assert answer.status_code == 401
    assert answer.json()["code"] == "token_invalid"
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("headers", [{}, {"HTTP_AUTHORIZATION": ""}, {"HTTP_AUTHORIZATION": "Basic YTpi"}])
def test_no_token_is_told_so(api, headers):
    answer = api.get("/api/auth/me", **headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_an_expired_access_token_says_so(api, ada):
    access = issue_tokens(user=ada).access

    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=5)):
        answer = api.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {access}")

    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


def test_a_closed_or_vanished_account_has_no_valid_token(api, ada):
    access = issue_tokens(user=ada).access
    User.objects.update(is_active=False)
    closed = api.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {access}")
    ada.delete()
    vanished = api.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {access}")

    assert closed.status_code == vanished.status_code == 401
    assert closed.content == vanished.content
    assert closed.json()["code"] == "token_invalid"


def test_another_password_ends_access_tokens_at_once(api, ada):
    access = issue_tokens(user=ada).access
    ada.set_password("another-fine-secret")
    ada.save()

    answer = api.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {access}")

    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


class PublicView(APIView):
    permission_classes = (AllowAny,)

    def get(self, request):
        return Response({"user": str(request.user)})


def ask_public_view(header: str) -> Response:
    request = RequestFactory().get("/", HTTP_AUTHORIZATION=header)
    return PublicView.as_view(authentication_classes=[BearerAuthentication])(request)


def test_where_anonymous_people_may_go_a_useless_token_counts_as_none(ada):
    access = issue_tokens(user=ada).access

    assert ask_public_view(f"Bearer {access}").data == {"user": "ada@example.org"}
    assert ask_public_view("Bearer nonsense").data == {"user": "AnonymousUser"}
    assert ask_public_view("Bearer").data == {"user": "AnonymousUser"}
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert ask_public_view(f"Bearer {access}").data == {"user": "AnonymousUser"}
    User.objects.update(is_active=False)
    assert ask_public_view(f"Bearer {access}").data == {"user": "AnonymousUser"}
