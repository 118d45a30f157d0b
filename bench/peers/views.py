"""The webhook view that most projects have: verified by the SDK, one donation and one counter in a transaction."""

from __future__ import annotations

from typing import Any

import stripe
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from bench.peers.models import Campaign, Donation


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    try:
        event = stripe.Webhook.construct_event(
            request.body, request.headers.get("Stripe-Signature", ""), settings.STRIPE_WEBHOOK_SECRET
        )
    except (ValueError, stripe.SignatureVerificationError):
        return HttpResponse(status=400)
    if event["type"] == "checkout.session.completed":
        record_donation(event["data"]["object"])
    return HttpResponse(status=200)


def record_donation(session: Any) -> None:
    """Once only: of a donation that is paid already nothing is changed."""
    with transaction.atomic():
        donation, _ = Donation.objects.select_for_update().get_or_create(
            stripe_session=session["id"],
            defaults={"campaign_id": session["metadata"]["campaign"], "amount_minor": session["amount_total"]},
        )
        if donation.status == "paid" or session["payment_status"] != "paid":
            return
        donation.status = "paid"
        donation.stripe_intent = session["payment_intent"] or ""
        donation.email = session["customer_details"]["email"] or ""
        donation.name = session["customer_details"]["name"] or ""
        donation.paid_at = timezone.now()
        donation.save()
        Campaign.objects.filter(pk=donation.campaign_id).update(raised_minor=F("raised_minor") + donation.amount_minor)
