"""Every error has one shape, a sentence and a code, and nothing from inside."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework import exceptions

from conventions import errors
from conventions.errors import Conflict, DomainError, InvalidInput, NotFound, render_exception


class NoKey(DomainError):
    code = "no_key"
    status = 401  # type: ignore[assignment]


def rendered(exc: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    answer = render_exception(exc, {})
    assert answer is not None
    return answer.status_code, answer.data, dict(answer.headers)


@pytest.mark.parametrize(
    ("exc", "status", "body"),
    [
        (DomainError("No."), 400, {"error": "No.", "code": "refused"}),
        (DomainError("No.", extra={"decline_code": "lost_card"}), 400,
         {"error": "No.", "code": "refused", "decline_code": "lost_card"}),
        (InvalidInput("Too small.", field="amount", code="amount_too_small"), 400,
         {"error": "Too small.", "code": "amount_too_small", "fields": {"amount": ["Too small."]}}),
        (NotFound("Gone."), 404, {"error": "Gone.", "code": "not_found"}),
        (Conflict("Busy."), 409, {"error": "Busy.", "code": "conflict"}),
        (Http404("the table accounts_user has no row 7"), 404, {"error": "Not found.", "code": "not_found"}),
        (PermissionDenied("secret"), 403,
         {"error": "You do not have permission to perform this action.", "code": "permission_denied"}),
        (exceptions.MethodNotAllowed("PUT"), 405, {"error": 'Method "PUT" not allowed.', "code": "method_not_allowed"}),
        (exceptions.UnsupportedMediaType("text/plain"), 415,
         {"error": 'Unsupported media type "text/plain" in request.', "code": "unsupported_media_type"}),
        (exceptions.Throttled(wait=7.9), 429,
         {"error": "Too many requests. Please wait a moment and try again.", "code": "rate_limited"}),
        (exceptions.ValidationError({"title": ["This field is required."]}), 400,
         {"error": "title: This field is required.", "code": "invalid", "fields": {"title": ["This field is required."]}}),
        (exceptions.ValidationError("Odd."), 400, {"error": "Odd.", "code": "invalid", "fields": {"non_field_errors": ["Odd."]}}),
        (exceptions.ValidationError({"a": {"b": ["x", "y"]}, "c": [{"d": ["z"]}, {}]}), 400,
         {"error": "a.b: x", "code": "invalid", "fields": {"a.b": ["x", "y"], "c.0.d": ["z"]}}),
    ],
)  # fmt: skip
def test_an_exception_becomes_one_shape(exc: Exception, status: int, body: dict[str, Any]) -> None:
    got, data, _ = rendered(exc)
    assert (got, data) == (status, {"success": False, **body})


def test_a_401_says_how_to_sign_in_and_a_429_when_to_come_back() -> None:
    assert rendered(NoKey("Who?"))[2]["WWW-Authenticate"] == "Bearer"
    assert rendered(exceptions.Throttled(wait=7.9))[2]["Retry-After"] == "8"
    assert rendered(exceptions.Throttled())[2]["Retry-After"] == "1"


@pytest.mark.parametrize("exc", [RuntimeError("password=hunter2"), KeyError("x"), ValueError()])
def test_our_own_mistakes_are_left_to_django(exc: Exception) -> None:
    assert render_exception(exc, {}) is None


@pytest.mark.parametrize("path", ["/api/nothing", "/webhooks", "/api/", "/api/campaigns/a/b/c"])
def test_an_unknown_address_of_the_api_answers_json(path: str, client: Client) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"], answer.json()["success"]) == (404, "not_found", False)


def test_an_unknown_page_answers_a_page(client: Client) -> None:
    answer = client.get("/nothing")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("view", "status", "code"),
    [
        (lambda r: errors.bad_request(r, ValueError("x")), 400, "bad_request"),
        (lambda r: errors.permission_denied(r, ValueError("x")), 403, "permission_denied"),
        (lambda r: errors.page_not_found(r, ValueError("x")), 404, "not_found"),
        (errors.server_error, 500, "server_error"),
        (lambda r: errors.csrf_failure(r, "no cookie"), 403, "permission_denied"),
    ],
)
def test_errors_outside_the_framework_have_the_same_shape(view: Any, status: int, code: str) -> None:
    answer = view(RequestFactory().get("/api/x"))
    assert answer.status_code == status
    assert f'"code": "{code}"' in answer.content.decode()
    page = view(RequestFactory().get("/x"))
    assert (page.status_code, page["Content-Type"]) == (status, "text/html; charset=utf-8")
