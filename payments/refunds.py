"""Giving money back: request_refund() writes it down, send_refund() asks Stripe."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from conventions.failures import told
from conventions.log_context import about
from payments import checkout, stripe_gateway
from payments.errors import CardDeclined, NotRefundable, PaymentDisputed, RefundableChanged, RefundTooLarge, StripeRefused
from payments.models import Payment, Refund
from payments.money import Money
from payments.settlement import settle_objects
from payments.states import ProductState, product_state

# https://docs.stripe.com/api/refunds/create#create_refund-reason
REASONS = ("requested_by_customer", "duplicate", "fraudulent")


def why_nothing_is_left(payment: Payment) -> str:
    """The sentence for a payment of which nothing can be refunded (any more)."""
    if product_state(payment) == ProductState.DISPUTED:
        held = Money(payment.disputed_minor, payment.currency).display()
        return f"Nothing of this payment can be refunded: a dispute has withdrawn {held}. Only if it is won does that come back."
    return "Nothing of this payment can be refunded."


def request_refund(
    *,
    payment_id: str,
    amount_minor: int | None,
    reason: str = "",
    note: str = "",
    requested_by: User | None,
    seen_refundable_minor: int | None = None,
) -> Refund:
    """Commit a refund of `amount_minor` (None: all that is left) with its call to Stripe; `send_refund` comes next.

    Raises NotRefundable when the payment is not paid, PaymentDisputed when a dispute holds all that is left, RefundTooLarge
    when less than that is left, and RefundableChanged when what is left is no longer what the person saw who decided.
    """
    with transaction.atomic(durable=True):
        payment = Payment.objects.select_for_update().get(pk=payment_id)
        if not payment.paid_at or not payment.payment_intent:
            raise NotRefundable("Only a paid payment can be refunded.")
        left = payment.refundable_minor
        if left <= 0 and product_state(payment) == ProductState.DISPUTED:
            raise PaymentDisputed(why_nothing_is_left(payment))
        if seen_refundable_minor not in {None, left}:
            raise RefundableChanged(
                "What can be refunded has changed since this form was opened: now it is "
                f"{Money(left, payment.currency).display()}. Look again before you refund."
            )
        wanted = left if amount_minor is None else amount_minor
        if wanted <= 0 or wanted > left:
            raise RefundTooLarge(f"At most {Money(left, payment.currency).display()} of this payment can still be refunded.")
        refund = Refund.objects.create(
            payment=payment,
            amount_minor=wanted,
            currency=payment.currency,
            reason=reason,
            note=note,
            requested_by=requested_by,
            created_at=timezone.now(),
        )
        params = {
            "payment_intent": payment.payment_intent,
            "amount": wanted,
            "metadata": {"refund": refund.pk, "payment": payment.pk},
        }
        if reason:
            params["reason"] = reason
        checkout.plan_call(refund.pk, checkout.REFUND, params)
        audit.record(
            actor=requested_by,
            action="payment.refund_requested",
            target=payment,
            before={"refundable": str(Money(left, payment.currency))},
            after={"refundable": str(Money(left - wanted, payment.currency)), "refund": refund.pk, "told_to_stripe": reason},
            reason=note,
        )
    return refund


def send_again(*, refund: Refund, actor: User) -> Refund:
    """Send a refund that was committed and never reached Stripe, because staff say so; never twice. See `send_refund`."""
    with transaction.atomic(durable=True):
        after = {"refund": refund.pk}
        audit.record(actor=actor, action="payment.refund_sent_again", target=refund.payment, before={}, after=after)
    return send_refund(refund)


def send_refund(refund: Refund) -> Refund:
    """Send a refund to Stripe and settle its answer. Network: never inside a transaction.

    When Stripe refuses it for good (already refunded, disputed) the refund is canceled and StripeRefused raised;
    after StripeUnavailable or StripeTimeout it stays unsent, and sending it again makes no second one.
    """
    call = checkout.latest_call(refund.pk, checkout.REFUND)
    if refund.stripe_id is None:
        try:
            # An answer that was kept but not settled (the process died in between) names the refund: look at it.
            with about(payment_id=refund.payment_id):
                answer = stripe_gateway.retrieve_refund(call.answer["id"]) if call.answer else checkout.send(call)
        except (StripeRefused, CardDeclined) as error:
            if call.answer or error.code == "resource_missing":
                raise  # made already, or of another account than the key's: no word on the refund itself
            Refund.objects.filter(pk=refund.pk, stripe_id=None).update(
                canceled_at=timezone.now(), status="canceled", failure_reason=told(error, longest=200)
            )
            raise
        settle_objects([answer])
    refund.refresh_from_db()
    return refund
