"""The front door: verify, store, apply, answer. All webhook paths are this one view.

A stranger learns nothing and stores nothing; a genuine event is never lost: our own failure keeps the event and
answers 500, so that Stripe sends it again and `sweep` tries it meanwhile.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from djstripe.models import WebhookEndpoint

from conventions.errors import error_body
from conventions.log_context import about
from payments import inbox
from payments.models import StripeEvent
from payments.settlement import settle_events

logger = logging.getLogger(__name__)
WEBHOOK = StripeEvent.Source.WEBHOOK


class BadSignature(ValueError):
    """The message is for whoever sets the endpoint up; it holds nothing secret."""


def verify_signature(body: bytes, header: str, *, secrets: tuple[str, ...], tolerance_s: int, now: float) -> None:
    """Raise BadSignature unless one of the secrets signed `<t>.<body>` within the tolerance.

    https://docs.stripe.com/webhooks#verify-manually. The SDK's construct_event does the same and then builds
    objects from the JSON, which costs seventy times as much as the check. A time ahead of ours is accepted, as
    Stripe's SDKs do: a clock that is behind must not turn genuine events away.
    """
    parts = [part.split("=", 1) for part in header.split(",") if "=" in part]
    stamps = [value for name, value in parts if name.strip() == "t"]
    signatures = [value.strip() for name, value in parts if name.strip() == "v1"]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or not signatures or len(stamps[0]) > 12:
        raise BadSignature("the Stripe-Signature header is missing or malformed")
    signed = stamps[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    genuine = False
    for signature in signatures[:16]:
        for candidate in expected:
            genuine |= hmac.compare_digest(candidate.encode(), signature.encode("utf-8", "replace"))
    if not genuine:
        raise BadSignature("no signature matches the endpoint's secret")
    if now - int(stamps[0]) > tolerance_s:
        raise BadSignature("the timestamp is outside the tolerance")


@csrf_exempt
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    return _take(request, settings.STRIPE_WEBHOOK_SECRETS)


@csrf_exempt
def djstripe_webhook(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The address that dj-stripe gives to the endpoints it makes, with its uuid: the same door, and none of dj-stripe's
    own processing. The secret that dj-stripe keeps for that endpoint counts besides ours."""
    secrets = settings.STRIPE_WEBHOOK_SECRETS
    if request.method == "POST" and "Stripe-Signature" in request.headers:
        own = WebhookEndpoint.objects.filter(djstripe_uuid=uuid).exclude(secret="").values_list("secret", flat=True)
        secrets = (*secrets, *own[:1])
    return _take(request, secrets)


def _take(request: HttpRequest, secrets: tuple[str, ...]) -> HttpResponse:
    if request.method != "POST":
        refusal = error_body("Stripe delivers its events here by POST.", "method_not_allowed")
        return JsonResponse(refusal, status=405, headers={"Allow": "POST"})
    declared = str(request.META.get("CONTENT_LENGTH") or "")
    is_length = declared.isascii() and declared.isdigit() and len(declared) <= 12
    if not is_length or int(declared) > settings.WEBHOOK_MAX_BODY_BYTES:
        return _refuse("the body is too large", status=413)
    body = request.body
    try:
        verify_signature(
            body,
            request.META.get("HTTP_STRIPE_SIGNATURE", ""),
            secrets=secrets,
            tolerance_s=settings.WEBHOOK_TOLERANCE_S,
            now=time.time(),
        )
        envelope = inbox.open_envelope(body.decode())
    except (BadSignature, inbox.NotAnEvent, UnicodeDecodeError) as error:
        return _refuse(str(error) if not isinstance(error, UnicodeDecodeError) else "not UTF-8")
    if envelope.livemode != settings.STRIPE_LIVE_MODE:
        mode = "live" if settings.STRIPE_LIVE_MODE else "test"
        return _refuse(f"this endpoint takes events of {mode} mode only")
    with about(event_id=envelope.id):
        return _apply(envelope)


def _apply(envelope: inbox.Envelope) -> HttpResponse:
    try:
        settle_events([envelope], source=WEBHOOK)
    except Exception as error:  # whatever it is, the event must be kept and Stripe told to send it again
        logger.exception("%s %s could not be applied", envelope.type, envelope.id)
        try:
            inbox.record_failure(envelope, error, source=WEBHOOK)
        except DatabaseError:
            logger.exception("%s could not be stored either; Stripe will send it again", envelope.id)
        return JsonResponse({"received": False}, status=500)
    return JsonResponse({"received": True})


def _refuse(reason: str, *, status: int = 400) -> HttpResponse:
    logger.warning("webhook refused: %s", reason)
    return HttpResponse(f"Webhook Error: {reason}", status=status, content_type="text/plain")
