"""The Idempotency-Key header: read the same way by every route that starts a payment."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.models import User
from conventions.errors import InvalidInput
from conventions.rate_limits import client_fingerprint
from payments.checkout import Idempotency

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Up to 255 characters. The same key and body give the same answer and the same Stripe object.",
)


def idempotency_of(request: Request, *, purpose: str) -> Idempotency | None:
    """The client's key, good for that user, or for a guest at that address. Raises InvalidInput for an odd one."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        return None
    if len(key) > 255 or not key.isascii() or not key.isprintable():
        raise InvalidInput("An Idempotency-Key is up to 255 printable ASCII characters.", field="Idempotency-Key")
    owner = request.user.pk if isinstance(request.user, User) else f"guest:{client_fingerprint(request._request)}"
    return Idempotency(scope=f"{purpose}:{owner}", key=key)
