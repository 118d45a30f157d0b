"""Middleware: Stripe's deliveries go straight to their view.

What comes after it (sessions, log-in, CSRF, CORS, CSP, messages) is for browsers, and was an eighth of the CPU of a
delivery (docs/benchmarks.md). What comes before it, request ids and TLS, holds for deliveries too.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from config.api import WEBHOOK_ROUTES
from payments.webhooks import stripe_webhook

PATHS = frozenset(f"/{route.rstrip('/')}{end}" for route in WEBHOOK_ROUTES for end in ("", "/"))


def webhook_door(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST" or request.path_info not in PATHS:
            return get_response(request)
        response = stripe_webhook(request)
        response.headers["Content-Length"] = str(len(response.content))  # else the server answers in chunks
        return response

    return middleware
