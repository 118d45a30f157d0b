"""What payments may refuse, and how Stripe's refusals are told."""

from __future__ import annotations

from http import HTTPStatus

from conventions.errors import Conflict, DomainError


class IdempotencyKeyReused(DomainError):
    """https://docs.stripe.com/api/idempotent_requests: the same rule, for our own keys."""

    code = "idempotency_key_reused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class IdempotencyKeyExpired(Conflict):
    code = "idempotency_key_expired"


class RefundTooLarge(Conflict):
    code = "refund_too_large"


class NotRefundable(Conflict):
    code = "not_refundable"


class PaymentDisputed(NotRefundable):
    """A dispute, open or lost, has withdrawn all that was left: Stripe would refuse the refund."""

    code = "payment_disputed"


class RefundableChanged(Conflict):
    """Somebody else refunded meanwhile: whoever asked has not seen what is left."""

    code = "refundable_changed"


class NotAssignable(Conflict):
    code = "not_assignable"


class OtherCurrency(Conflict):
    code = "other_currency"


class CardDeclined(DomainError):
    code = "card_declined"
    status = HTTPStatus.PAYMENT_REQUIRED
    intent: str | None = None  # the intent that was made all the same, where one was


class StripeRefused(DomainError):
    """Stripe calls our request wrong; `code` is Stripe's where it has one (amount_too_small, …)."""

    code = "stripe_refused"
    status = HTTPStatus.BAD_REQUEST


class CustomerGone(StripeRefused):
    """The customer was deleted at Stripe, and with it the payment method that was to be charged."""

    code = "customer_gone"
    status = HTTPStatus.CONFLICT


class StripeBusy(DomainError):
    code = "stripe_busy"
    status = HTTPStatus.TOO_MANY_REQUESTS
    retry_after_s = 2


class StripeUnavailable(DomainError):
    """No answer, or one that says nothing of our request: the call may or may not have been carried out."""

    code = "stripe_unavailable"
    status = HTTPStatus.BAD_GATEWAY
    # Stripe's own status where it answered: a 500 is stored under the idempotency key and would be replayed for ever.
    stripe_status: int | None = None
    # Our key may not do this: restricted keys may not read everything. Nothing was carried out.
    is_forbidden = False


class StripeTimeout(StripeUnavailable):
    code = "stripe_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
