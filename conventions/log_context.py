"""What a log line is about: the ids that every line carries, kept beside the code instead of in each message.

`RequestIds` opens a scope for a request, settlement one for an event; what is learned on the way (the payment) is
noted in the innermost scope. A scope that ends by an error leaves its ids to the one around it, where the line about
the error is written. Without a scope a note is lost: a worker's thread must not carry one payment's id into the next
one's lines.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType

from django.conf import settings
from django.http import HttpRequest, HttpResponse

ACCEPTABLE = re.compile(r"[A-Za-z0-9._:/+=@-]{8,128}", re.ASCII)

_scope: ContextVar[dict[str, str] | None] = ContextVar("log_scope", default=None)


class about:
    """A scope whose lines carry these ids, besides those of the scope around it."""

    __slots__ = ("_ids", "_outer", "_token")

    def __init__(self, **ids: str) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        self._outer = _scope.get()
        if self._outer:
            self._ids = {**self._outer, **self._ids}
        self._token: Token[dict[str, str] | None] = _scope.set(self._ids)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _scope.reset(self._token)
        if error is not None and self._outer is not None:
            self._outer.update(self._ids)


def note(**ids: str) -> None:
    """Add ids to the innermost scope."""
    scope = _scope.get()
    if scope is not None:
        scope.update(ids)


def ids() -> dict[str, str]:
    """The ids of the lines written now."""
    return dict(_scope.get() or {})


class RequestIds:
    """Middleware: each request has an id, which its log lines and its answer (X-Request-ID) carry.

    A trusted proxy's own id is taken over, so that its log and ours name a request alike; anybody else's is not.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = (settings.TRUSTED_PROXIES and request.META.get("HTTP_X_REQUEST_ID")) or ""
        if not ACCEPTABLE.fullmatch(request_id):
            request_id = secrets.token_hex(8)
        with about(request_id=request_id):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response
