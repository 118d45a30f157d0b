"""Stripe.js on the pages that need it, and on no other: what their content security policy lets in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpResponse

STRIPE_JS = "https://js.stripe.com"
# Stripe's own script loads, frames and calls more than its origin. Of the hosts that Stripe lists
# (https://docs.stripe.com/security/guide#content-security-policy), those of Elements, of Embedded Checkout and of Link, which
# the Payment Element offers by itself; not those of the Address Element (maps.googleapis.com), which no page here shows.
# Images (*.stripe.com, *.link.com) every page may load from anywhere.
LINK = ["https://link.com", "https://*.link.com"]
BESIDES = {
    "script-src": ["https://*.js.stripe.com", "https://checkout.stripe.com"],
    "frame-src": ["https://*.js.stripe.com", "https://hooks.stripe.com", "https://checkout.stripe.com", *LINK],
    "connect-src": ["https://api.stripe.com", "https://checkout.stripe.com", *LINK],
}

View = Callable[..., HttpResponse]


def with_stripe_js(view: View) -> View:
    """The view's pages may load Stripe.js from where settings say, and frame and call that origin."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> HttpResponse:
        return csp_update(let_in(settings.STRIPE_JS_URL))(view)(*args, **kwargs)  # type: ignore[return-value]

    return answer


def let_in(address: str) -> dict[str, list[str]]:
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    return {directive: ["'self'", origin, *(more if origin == STRIPE_JS else [])] for directive, more in BESIDES.items()}


def stripe_context() -> dict[str, str]:
    """What a page tells its script: the key that is meant for browsers, and where Stripe.js is."""
    return {"stripe_key": settings.STRIPE_PUBLISHABLE_KEY, "stripe_js": settings.STRIPE_JS_URL}
