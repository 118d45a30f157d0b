"""What can be asked for by name: of the clock, for later (names are what survives a restart), or, where a module must not
know the one that answers, at once."""

from collections.abc import Callable

from sandbox import (
    balance,
    charges,
    checkout_payment,
    checkout_sessions,
    disputes,
    invoices,
    payouts,
    refunds,
    subscription_life,
)
from sandbox.box import Box
from sandbox.deliveries import attempt_delivery

ACTS: dict[str, Callable[[Box, str], None]] = {
    "arrive_payout": payouts.arrive,
    "attempt_delivery": attempt_delivery,
    "book_charge": charges.book_later,
    "cancel_subscription": subscription_life.cancel_in_time,
    "decide_dispute": disputes.decide,
    "expire_incomplete": subscription_life.expire_incomplete,
    "expire_session": checkout_sessions.expire_in_time,
    "finalize_invoice": invoices.finalize_in_time,
    "follow_payment": invoices.follow_payment,
    "invoice_was_not_paid": subscription_life.invoice_was_not_paid,
    "invoice_was_paid": subscription_life.invoice_was_paid,
    "invoice_was_voided": subscription_life.invoice_was_voided,
    "make_available": balance.make_available,
    "open_dispute": disputes.open_from_card,
    "renew_subscription": subscription_life.renew,
    "retry_invoice": invoices.retry_in_time,
    "schedule_retry": subscription_life.schedule_retry,
    "settle_debit": checkout_payment.settle_debit,
    "settle_refund": refunds.settle_refund,
}
