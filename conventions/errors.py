"""One shape for every error the API answers.

`{"success": false, "error": "One sentence for a person.", "code": "amount_too_small", "fields": {...}}`,
where `fields` stands only for validation. Operations raise a DomainError; this module alone renders.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

logger = logging.getLogger(__name__)


class DomainError(Exception):
    """A refusal that a person can act on. Subclasses set `code` and `status`; the message is a sentence."""

    code = "refused"
    status = HTTPStatus.BAD_REQUEST
    retry_after_s: int | None = None

    def __init__(self, message: str, *, fields: dict[str, list[str]] | None = None, extra: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        self.extra = extra or {}


class InvalidInput(DomainError):
    """400: a field holds what cannot be accepted; `code` may be made more exact by the raiser."""

    code = "invalid"

    def __init__(self, message: str, *, field: str, code: str = "invalid") -> None:
        super().__init__(message, fields={field: [message]})
        self.code = code


class NotFound(DomainError):
    code = "not_found"
    status = HTTPStatus.NOT_FOUND


class Conflict(DomainError):
    code = "conflict"
    status = HTTPStatus.CONFLICT


def error_body(
    message: str, code: str, fields: dict[str, list[str]] | None = None, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    body: dict[str, Any] = {"success": False, "error": _writable(message), "code": code, **(extra or {})}
    if fields is not None:
        body["fields"] = {_writable(name): [_writable(said) for said in problems] for name, problems in fields.items()}
    return body


def _writable(text: str) -> str:
    """What is refused is often repeated, and half of a character ("\\ud800" in JSON) could not be written."""
    return text.encode(errors="replace").decode()


def render_exception(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Django REST framework's EXCEPTION_HANDLER: None means a 500, which Django's handler500 answers."""
    headers: dict[str, str] = {}
    if isinstance(exc, DomainError):
        set_rollback()
        if exc.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 asks for it with every 401
        if exc.retry_after_s is not None:
            headers["Retry-After"] = str(exc.retry_after_s)
        return Response(error_body(exc.message, exc.code, exc.fields, exc.extra), status=exc.status, headers=headers)
    if isinstance(exc, RequestDataTooBig):
        return Response(error_body("The body is too large.", "body_too_large"), status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if not isinstance(exc, exceptions.APIException):
        return None
    set_rollback()
    if getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = exc.auth_header  # type: ignore[attr-defined]
    if isinstance(exc, exceptions.Throttled):
        headers["Retry-After"] = str(int(getattr(exc, "wait", None) or 1))
        body = error_body("Too many requests. Please wait a moment and try again.", "rate_limited")
    elif isinstance(exc, exceptions.ValidationError):
        body = _validation_body(exc)
    else:
        code = exc.get_codes()
        body = error_body(str(_first(exc.detail)), code if isinstance(code, str) else "invalid")
    return Response(body, status=exc.status_code, headers=headers)


def _validation_body(exc: exceptions.ValidationError) -> dict[str, Any]:
    detail = exc.detail if isinstance(exc.detail, dict) else {"non_field_errors": exc.detail}
    fields = _plain(detail)
    name = next(iter(fields), "")
    sentence = str(_first(detail))
    message = sentence if name in {"", "non_field_errors"} else f"{name}: {sentence}"
    code = _first(exc.get_codes())
    return error_body(message, str(code or "invalid"), fields)


def _plain(detail: Any) -> dict[str, list[str]]:
    """DRF's nested details as plain lists and strings; a nested field reads `dedication.name`."""
    flat: dict[str, list[str]] = {}

    def visit(prefix: str, node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                visit(f"{prefix}.{key}" if prefix else str(key), value)
        elif isinstance(node, list) and any(isinstance(item, dict | list) for item in node):
            for index, value in enumerate(node):
                visit(f"{prefix}.{index}", value)
        elif isinstance(node, list):
            flat[prefix] = [str(item) for item in node]
        else:
            flat[prefix] = [str(node)]

    visit("", detail)
    return flat


def _first(node: Any) -> Any:
    while isinstance(node, dict | list):
        node = next(iter(node.values() if isinstance(node, dict) else node), "")
    return node


# -- outside Django REST framework ---------------------------------------------------------------------
PAGES = {
    400: ("bad_request", "Bad request", "Your browser sent something that this site could not read."),
    403: ("permission_denied", "Not allowed", "You may not see or do this. Log in with an account that may."),
    404: ("not_found", "Not found", "There is nothing at this address."),
    500: ("server_error", "Something went wrong", "The mistake is on our side and has been recorded. Please try again."),
}


def answer_error(request: HttpRequest, status: int) -> HttpResponse:
    """JSON below /api and /webhook, a page elsewhere; never anything from inside."""
    code, title, sentence = PAGES[status]
    if request.path.startswith(("/api", "/webhook")):
        return JsonResponse(error_body(sentence, code), status=status)
    # Who has a session is shown the ways to their account; whose it is nobody asks where anything may be broken.
    asker = {"is_authenticated": settings.SESSION_COOKIE_NAME in request.COOKIES}
    context = {"title": title, "sentence": sentence, "status": status, "user": asker}
    response = render(request, "error.html", context, status=status)
    patch_vary_headers(response, ["Cookie"])
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer_error(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer_error(request, 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer_error(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return answer_error(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    logger.warning("csrf failure on %s: %s", request.path, reason)
    return answer_error(request, 403)
