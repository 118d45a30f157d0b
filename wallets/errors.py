"""What wallets may refuse."""

from __future__ import annotations

from conventions.errors import Conflict


class InsufficientFunds(Conflict):
    code = "insufficient_funds"


class WalletBlocked(Conflict):
    """By staff, or because the organization owes money."""

    code = "wallet_blocked"


class HoldEnded(Conflict):
    """Captured, released or expired already."""

    code = "hold_ended"


class MoreThanHeld(Conflict):
    code = "more_than_held"


class MoreThanSpent(Conflict):
    code = "more_than_spent"


class NoPaymentMethod(Conflict):
    code = "no_payment_method"


class NothingToPay(Conflict):
    """A payment that is paid, was given up, or was never opened at Stripe."""

    code = "nothing_to_pay"


class AdjustmentDecided(Conflict):
    """Approved or rejected already."""

    code = "adjustment_decided"


class SecondPersonNeeded(Conflict):
    """Whoever proposed an adjustment does not decide on it."""

    code = "second_person_needed"
