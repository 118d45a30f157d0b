"""Back from paying: the purchase that an intent pays, settled with what Stripe says now.

Webhooks tell the same, perhaps later; whoever comes first wins and the other changes nothing.
"""

from __future__ import annotations

import logging
import re

from django.db import transaction
from django.utils.crypto import constant_time_compare

from accounts.models import User
from conventions.errors import NotFound
from payments import stripe_gateway
from payments.errors import StripeBusy, StripeRefused, StripeUnavailable
from payments.settlement import settle_objects
from payments.states import FINAL
from pricing.following import learn
from pricing.models import PurchaseTransaction

logger = logging.getLogger(__name__)

INTENT_ID = re.compile(r"pi_[A-Za-z0-9]{1,200}")


def purchase_paid_by(*, intent: str, client_secret: str, user: User | None) -> PurchaseTransaction:
    """For its owner, or for whoever holds the intent's client secret, which only the buyer's browser was given.

    Raises NotFound for anybody else and for an intent that is not ours; to a guest the errors of Stripe, without which
    nothing says who is asking.
    """
    purchases = PurchaseTransaction.objects.select_related("payment", "plan", "subscription")
    purchase = purchases.filter(payment__payment_intent=intent).first() if INTENT_ID.fullmatch(intent) else None
    if purchase is None:
        raise NotFound("There is no such payment.")
    is_owner = user is not None and purchase.user_id == user.pk
    if is_owner and purchase.payment.status in FINAL:
        return purchase
    try:
        fetched = stripe_gateway.retrieve_intent(intent)
    except (StripeUnavailable, StripeBusy, StripeRefused) as error:
        if not is_owner:
            raise
        logger.warning("payment intent %s is answered from our database: %s", intent, error)
        return purchase
    if not (is_owner or constant_time_compare(str(fetched.get("client_secret") or ""), client_secret)):
        raise NotFound("There is no such payment.")
    _settle(purchase, fetched)
    return purchases.get(pk=purchase.pk)


def _settle(purchase: PurchaseTransaction, intent: stripe_gateway.Json) -> None:
    """A subscription's first payment also tells what time it bought, and that the subscription is active now."""
    subscription, invoice = purchase.subscription, purchase.payment.invoice
    if subscription is None or not subscription.stripe_id or not invoice:
        settle_objects([intent])
        return
    paid_invoice = stripe_gateway.retrieve_invoice(invoice)
    theirs = stripe_gateway.retrieve_subscription(subscription.stripe_id)
    settle_objects([intent, paid_invoice])
    with transaction.atomic():
        learn(subscription.pk, theirs)
