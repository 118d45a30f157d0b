from payments.models.calls import StripeCall
from payments.models.events import StripeEvent
from payments.models.ledger import LedgerAccount, Transfer
from payments.models.payment import Dispute, Payment, Refund

__all__ = ["Dispute", "LedgerAccount", "Payment", "Refund", "StripeCall", "StripeEvent", "Transfer"]
