"""The Stripe customer of a person or organization: made on first need, once, and anew after it was deleted at Stripe.

That it was deleted is told by an event, or found out by a call that Stripe refuses. A customer that Stripe has never heard of
was not deleted: then our key is another account's, and nothing may be forgotten because of that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from accounts.models import Organization, User
from conventions.trying_again import in_transaction
from payments import checkout, stripe_gateway
from payments.errors import CustomerGone, StripeRefused
from payments.models import StripeCall

logger = logging.getLogger(__name__)

CUSTOMER = "customers.create"
DELETED = "deleted"  # of the answer that is kept of a call: the customer that it made is no more
UNKNOWN = "resource_missing"  # https://docs.stripe.com/error-codes
Owner = User | Organization
Result = TypeVar("Result")


def stripe_customer_of(owner: Owner) -> str:
    """The id (cus_…), made at Stripe where there is none. Calls Stripe: never inside a transaction.

    Of two at once, both send the same call under the same idempotency key, so that Stripe makes one customer.
    Raises the errors of Stripe.
    """
    if owner.stripe_customer:
        return str(owner.stripe_customer)
    answer = checkout.send(_call_that_makes_it(owner))
    # Not type(owner): the user of a session is a wrapper around the row.
    owner.__class__.objects.filter(pk=owner.pk, stripe_customer=None).update(stripe_customer=answer["id"])
    owner.refresh_from_db(fields=["stripe_customer"])
    return str(owner.stripe_customer)


def _call_that_makes_it(owner: Owner) -> StripeCall:
    """Under the key of the customer before, Stripe would answer with that one again: after it comes the next attempt."""
    params = {"name": owner.name, "metadata": {"owner": owner.pk}}
    if isinstance(owner, User):
        params["email"] = owner.email
    last = StripeCall.objects.filter(subject_id=owner.pk, operation=CUSTOMER).order_by("-attempt").first()
    if last is None:
        return checkout.plan_once(owner.pk, CUSTOMER, params)
    if (last.answer or {}).get(DELETED):
        return checkout.plan_once(owner.pk, CUSTOMER, params, attempt=last.attempt + 1)
    return last


def forget(customer: str) -> Owner | None:
    """Stripe has deleted it: whoever it was of has none, and their next need makes another. Returns who, locked; None where
    it is nobody's any more. Call it in a transaction."""
    for model in (Organization, User):
        owner: Owner | None = model._default_manager.select_for_update(no_key=True).filter(stripe_customer=customer).first()
        if owner is None:
            continue
        logger.warning("%s of %s was deleted at Stripe; the next need makes another customer", customer, owner.pk)
        for call in StripeCall.objects.filter(subject_id=owner.pk, operation=CUSTOMER, answered_at__isnull=False):
            if call.answer and call.answer.get("id") == customer:
                call.answer = {**call.answer, DELETED: True}
                call.save(update_fields=["answer"])
        owner.stripe_customer = None
        owner.save(update_fields=["stripe_customer"])
        return owner
    return None


def was_deleted(customer: str, refused: StripeRefused) -> bool:
    """Whether Stripe refused because this customer was deleted. Calls Stripe."""
    if refused.code != UNKNOWN:
        return False
    try:
        return bool(stripe_gateway.retrieve("customer", customer).get("deleted"))
    except StripeRefused as error:
        logger.error("Stripe does not know %s: %s. Is STRIPE_SECRET_KEY of the account that has it?", customer, error)
        return False


# -- calls that go on with a new customer ----------------------------------------------------------------
def send(owner: Owner, call: StripeCall, *, forgetting: Callable[[str], object] = forget) -> dict[str, Any]:
    """`checkout.send` of a call for the owner's customer. Where that was deleted it is forgotten (`forgetting`, in a
    transaction of its own), and the call made for a new one.

    Raises the errors of Stripe, among them CustomerGone for a call that names a payment method: that went too.
    """
    try:
        return checkout.send(call)
    except StripeRefused as refused:
        gone = str(call.params["customer"])
        if not was_deleted(gone, refused):
            raise
        _forget_now(owner, gone, forgetting)
        if "payment_method" in call.params:
            raise CustomerGone("This payment method is gone: it was removed at Stripe. Please save one again.") from refused
    customer, latest = stripe_customer_of(owner), checkout.latest_call(call.subject_id, call.operation)
    if latest.params["customer"] == gone:  # else somebody else has planned it meanwhile
        params = {**latest.params, "customer": customer}
        latest = checkout.plan_once(call.subject_id, call.operation, params, attempt=latest.attempt + 1)
    return checkout.send(latest)


def with_customer(owner: Owner, work: Callable[[str], Result]) -> Result:
    """What `work` makes of the owner's customer; should that have been deleted, it is done once more with a new one."""
    customer = stripe_customer_of(owner)
    try:
        return work(customer)
    except StripeRefused as refused:
        if not was_deleted(customer, refused):
            raise
    _forget_now(owner, customer, forget)
    return work(stripe_customer_of(owner))


def _forget_now(owner: Owner, customer: str, forgetting: Callable[[str], object]) -> None:
    in_transaction(lambda: forgetting(customer), what=f"forgetting {customer}")
    owner.refresh_from_db(fields=["stripe_customer"])  # it may have a new one already
