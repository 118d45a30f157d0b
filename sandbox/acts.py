"""What the clock can be asked to do later, by name (names are what survives a restart)."""

from collections.abc import Callable

from sandbox import balance, charges, checkout_payment, checkout_sessions, disputes, refunds
from sandbox.box import Box
from sandbox.deliveries import attempt_delivery

ACTS: dict[str, Callable[[Box, str], None]] = {
    "attempt_delivery": attempt_delivery,
    "book_charge": charges.book_later,
    "decide_dispute": disputes.decide,
    "expire_session": checkout_sessions.expire_in_time,
    "make_available": balance.make_available,
    "open_dispute": disputes.open_from_card,
    "settle_debit": checkout_payment.settle_debit,
    "settle_refund": refunds.settle_refund,
}
