"""Asking Stripe once a day which methods an organization has: what no webhook told is settled, and Stripe told our default.

Registered in `settings.ALSO_SWEPT`.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization
from conventions.errors import DomainError
from conventions.trying_again import in_transaction
from payments import stripe_gateway
from payments.errors import StripeBusy, StripeUnavailable
from wallets import lost_customers, method_facts
from wallets.models import PaymentMethod, SavedMethods

logger = logging.getLogger(__name__)

ASK_AGAIN_AFTER, RETRY_AFTER = timedelta(days=1), timedelta(minutes=10)
MOST_A_SWEEP = 50
MOST_SILENT = 3  # without an answer this often in a row Stripe is down


def sweep() -> dict[str, int]:
    """Ask about those organizations that were asked about longest ago; one that fails holds up no other."""
    refreshed = silent = 0
    for organization in due():
        try:
            refresh(organization)
        except (StripeBusy, StripeUnavailable) as error:
            logger.warning("the methods of %s wait for a later sweep: %s", organization.pk, error)
            silent += 1
            if silent == MOST_SILENT:
                break
            continue
        except DomainError as error:  # a customer that Stripe has never heard of, say
            logger.warning("Stripe does not show the methods of %s: %s", organization.pk, error)
        else:
            refreshed += 1
        silent = 0
    return {"methods_refreshed": refreshed}


def due() -> list[Organization]:
    """Organizations that are customers and were not asked about for a day."""
    customers = Organization.objects.filter(stripe_customer__isnull=False)
    never = Q(saved_methods=None) | Q(saved_methods__asked_at=None)
    found = customers.filter(never | Q(saved_methods__asked_at__lt=timezone.now() - ASK_AGAIN_AFTER))
    return list(found.order_by(F("saved_methods__asked_at").asc(nulls_first=True), "pk")[:MOST_A_SWEEP])


def refresh(organization: Organization) -> None:
    """Bring our rows in line with Stripe's list, and Stripe's default with ours; forget a customer that was deleted there.
    Raises the errors of Stripe."""
    asked_at = timezone.now()
    book = in_transaction(lambda: _begin(organization, asked_at), what="asking for payment methods")
    # Known before the list was asked for: what is attached meanwhile is not missing from it.
    attached = PaymentMethod.objects.filter(organization=organization, detached_at=None)
    known = set(attached.values_list("stripe_id", flat=True))
    customer = str(organization.stripe_customer)
    shown = stripe_gateway.retrieve("customer", customer)
    if shown.get("deleted"):
        in_transaction(lambda: lost_customers.forget(customer), what=f"forgetting {customer}")
        return
    listed = stripe_gateway.list_methods(customer=customer)
    theirs = (shown.get("invoice_settings") or {}).get("default_payment_method")

    def settle() -> PaymentMethod | None:
        locked = method_facts.lock([organization.pk])[organization.pk]
        if not Organization.objects.filter(pk=organization.pk, stripe_customer=customer).exists():
            return None  # forgotten meanwhile, and its methods with it
        for method in listed:
            method_facts.learn(organization.pk, method)
        for gone in attached.filter(stripe_id__in=known - {method["id"] for method in listed}):
            method_facts.forget(locked, gone)
        is_news = theirs and theirs != locked.chosen and locked.chosen_at == book.chosen_at
        chosen = attached.filter(stripe_id=theirs).first() if is_news else None
        if chosen is not None:
            method_facts.choose_now(locked, chosen)
        locked.asked_at = asked_at
        locked.save(update_fields=["asked_at"])
        return method_facts.settle_default(locked)

    default = in_transaction(settle, what="settling payment methods")
    if default is not None and default.stripe_id != theirs:
        stripe_gateway.set_default_method(default.stripe_id, customer=customer)


def _begin(organization: Organization, asked_at: datetime) -> SavedMethods:
    """Should this try come to nothing, the next one is not in the next minute."""
    book = method_facts.lock([organization.pk])[organization.pk]
    SavedMethods.objects.filter(pk=book.pk).update(asked_at=asked_at - ASK_AGAIN_AFTER + RETRY_AFTER)
    return book
