"""Saved payment methods of an organization: showing, saving, choosing and removing them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from accounts import audit
from accounts.models import Organization, User
from conventions.errors import DomainError, NotFound
from conventions.public_ids import new_public_id
from conventions.trying_again import in_transaction
from payments import checkout, customers, stripe_gateway
from payments.checkout import Idempotency
from payments.customers import stripe_customer_of
from payments.errors import IdempotencyKeyReused, StripeRefused
from payments.models import StripeCall
from wallets import lost_customers, method_facts
from wallets.models import PaymentMethod, SavedMethods

logger = logging.getLogger(__name__)

SETUP = "setup_intents.create"
MOST_SHOWN = 100
NO_SUCH_METHOD = "There is no such payment method."


def saved_methods(organization: Organization) -> list[PaymentMethod]:
    """The default first, then the newest; of a card that was saved several times, only the first of these."""
    shown: dict[tuple[str, str], PaymentMethod] = {}
    for method in PaymentMethod.objects.filter(organization=organization, detached_at=None)[:MOST_SHOWN]:
        shown.setdefault(method.means, method)
    return list(shown.values())


# -- saving -----------------------------------------------------------------------------------------
def set_up(*, organization: Organization, idempotency: Idempotency | None) -> Mapping[str, Any]:
    """A SetupIntent with its client secret, by which a page saves a method for when nobody is there. Calls Stripe.

    Raises IdempotencyKeyReused and the errors of Stripe; after those, the same Idempotency-Key makes no second intent.
    """
    customer = stripe_customer_of(organization)
    params = {
        "customer": customer,
        "usage": "off_session",
        "automatic_payment_methods": {"enabled": True},
        "metadata": {"organization": organization.pk},
    }
    subject = _subject_of(idempotency)
    known = StripeCall.objects.filter(subject_id=subject, operation=SETUP).order_by("attempt").first()
    if known is not None and known.params["metadata"] != params["metadata"]:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request. Use a new one.")
    answer = lost_customers.send(organization, checkout.plan_once(subject, SETUP, params))
    # The client secret is never stored: on a repeated request Stripe is asked.
    return answer if "client_secret" in answer else stripe_gateway.retrieve_setup_intent(answer["id"])


def _subject_of(idempotency: Idempotency | None) -> str:
    """What the call is written down under: a new id, or for a client's key always the same."""
    if idempotency is None:
        return new_public_id("setup")
    return "setup_" + sha256(f"{idempotency.scope}\n{idempotency.key}".encode()).hexdigest()[:34]


# -- choosing ---------------------------------------------------------------------------------------
def set_default(*, method: PaymentMethod, actor: User) -> PaymentMethod:
    """Make it what is charged from now on, at Stripe first. Raises NotFound for one that is gone, and Stripe's errors."""
    if method.detached_at:
        raise NotFound(NO_SUCH_METHOD)
    customer = stripe_customer_of(method.organization)
    try:
        stripe_gateway.set_default_method(method.stripe_id, customer=customer)
    except StripeRefused as refused:
        if customers.was_deleted(customer, refused):
            in_transaction(lambda: lost_customers.forget(customer), what=f"forgetting {customer}")
        elif _is_gone(method):
            in_transaction(lambda: _note_detached(method), what="forgetting a payment method")
        else:
            raise
        raise NotFound(NO_SUCH_METHOD) from refused

    def choose() -> PaymentMethod:
        book = method_facts.lock([method.organization_id])[method.organization_id]
        before = _default(method.organization_id)
        chosen = PaymentMethod.objects.get(pk=method.pk)
        if chosen.detached_at:  # meanwhile
            raise NotFound(NO_SUCH_METHOD)
        method_facts.choose_now(book, chosen)
        method_facts.settle_default(book)
        if before != chosen:
            replaced = {"default": before and before.pk}
            told = {"default": chosen.pk}
            audit.record(actor=actor, action="payment_method.made_default", target=chosen, before=replaced, after=told)
        chosen.refresh_from_db()
        return chosen

    return in_transaction(choose, what="choosing a payment method")


def _default(organization: str) -> PaymentMethod | None:
    return PaymentMethod.objects.filter(organization=organization, is_default=True).first()


# -- removing ---------------------------------------------------------------------------------------
def remove(*, method: PaymentMethod, actor: User) -> None:
    """Detach it and whatever else saved the same card, at Stripe first. The newest other one becomes the default.

    Raises the errors of Stripe; the same call again goes on where it stopped, and finds what is detached already done.
    """
    if method.detached_at:
        return
    attached = PaymentMethod.objects.filter(organization=method.organization_id, detached_at=None).exclude(pk=method.pk)
    # The one that was asked for last: as long as it is shown, something is left to do.
    twins = [one for one in attached if one.means == method.means]
    before = _default(method.organization_id)
    for one in [*twins, method]:
        detach(one, actor=actor)
    if before is not None and before.pk in {method.pk, *(one.pk for one in twins)}:
        _tell_stripe(method.organization)


def detach(method: PaymentMethod, *, actor: User | None = None) -> None:
    """At Stripe first; there it may be detached already. Without `actor` it is nobody's act. Raises the errors of Stripe."""
    try:
        stripe_gateway.detach_method(method.stripe_id)
    except StripeRefused:
        if not _is_gone(method):
            raise
    in_transaction(lambda: _note_detached(method, actor), what="removing a payment method")


def _note_detached(method: PaymentMethod, actor: User | None = None) -> None:
    book = method_facts.lock([method.organization_id])[method.organization_id]
    locked = PaymentMethod.objects.get(pk=method.pk)
    if locked.detached_at is None and actor is not None:
        audit.record(actor=actor, action="payment_method.removed", target=locked, before={"method": str(locked)}, after={})
    method_facts.forget(book, locked)
    method_facts.settle_default(book)


def _is_gone(method: PaymentMethod) -> bool:
    """Whether Stripe knows it as nobody's, or not at all."""
    try:
        theirs = stripe_gateway.retrieve("payment_method", method.stripe_id)
    except StripeRefused as refused:
        return refused.code == "resource_missing"
    return not theirs.get("customer") or theirs["customer"] != method.organization.stripe_customer


def _tell_stripe(organization: Organization) -> None:
    """What is the default here shall be it at Stripe. Nothing is charged by that, so a failure is left to the sweep."""
    default = _default(organization.pk)
    if default is None:
        return
    try:
        stripe_gateway.set_default_method(default.stripe_id, customer=stripe_customer_of(organization))
    except DomainError as error:
        logger.warning("Stripe was not told that %s is the default now: %s", default.pk, error)
        SavedMethods.objects.filter(pk=organization.pk).update(asked_at=None)
