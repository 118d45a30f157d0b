from payments.models.alerts import Alert
from payments.models.balance import BalanceTransaction, Payout, Reconciliation
from payments.models.calls import StripeCall
from payments.models.events import StripeEvent
from payments.models.ledger import LedgerAccount, Transfer
from payments.models.payment import Dispute, Payment, Refund
from payments.models.running import LastRun, MirrorCursor, MirrorGap, StripeCallTally

__all__ = [
    "Alert",
    "BalanceTransaction",
    "Dispute",
    "LastRun",
    "LedgerAccount",
    "MirrorCursor",
    "MirrorGap",
    "Payment",
    "Payout",
    "Reconciliation",
    "Refund",
    "StripeCall",
    "StripeCallTally",
    "StripeEvent",
    "Transfer",
]
