"""The test cards and bank accounts, and what each does: data, no logic.

Source: docs.stripe.com/testing, and the names that the Stripe CLI's own triggers use.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Decline:
    code: str
    decline_code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A card or bank account: how it looks, and how it behaves."""

    number: str
    name: str  # pm_card_<name>, tok_<name>
    brand: str = "visa"
    country: str = "US"
    funding: str = "credit"
    decline: Decline | None = None
    decline_on_attach: bool = False
    challenge: str = "none"  # none | unless_set_up | always
    dispute: str | None = None  # a dispute's reason, or "inquiry"
    refund: str = "succeeded"  # succeeded | fails_later | pending
    available_at_once: bool = False
    settles: str = "at_once"  # at_once | soon | late
    settles_as: str = "succeeded"  # succeeded | failed | disputed

    @property
    def kind(self) -> str:
        return "card" if self.number.isdigit() else "sepa_debit"


def declined(decline_code: str, code: str = "card_declined", message: str = "Your card was declined.") -> Decline:
    return Decline(code=code, decline_code=decline_code, message=message)


INSUFFICIENT = declined("insufficient_funds", message="Your card has insufficient funds.")
EXPIRED = declined("expired_card", "expired_card", "Your card has expired.")
WRONG_CVC = declined("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
PROCESSING = declined(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
)
VELOCITY = declined(
    "card_velocity_exceeded",
    message="Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
)

CARDS = (
    Instrument(number="4242424242424242", name="visa"),
    Instrument(number="4000056655665556", name="visa_debit", funding="debit"),
    Instrument(number="5555555555554444", name="mastercard", brand="mastercard"),
    Instrument(number="5200828282828210", name="mastercard_debit", brand="mastercard", funding="debit"),
    Instrument(number="378282246310005", name="amex", brand="amex"),
    Instrument(number="6011111111111117", name="discover", brand="discover"),
    Instrument(number="3056930009020004", name="diners", brand="diners"),
    Instrument(number="3566002020360505", name="jcb", brand="jcb"),
    Instrument(number="4000002760000016", name="de", country="DE"),
    Instrument(number="4000008260000000", name="gb", country="GB"),
    Instrument(number="4000000000000002", name="visa_chargeDeclined", decline=declined("generic_decline")),
    Instrument(number="4000000000009995", name="visa_chargeDeclinedInsufficientFunds", decline=INSUFFICIENT),
    Instrument(number="4000000000009987", name="visa_chargeDeclinedLostCard", decline=declined("lost_card")),
    Instrument(number="4000000000009979", name="visa_chargeDeclinedStolenCard", decline=declined("stolen_card")),
    Instrument(number="4000000000000069", name="chargeDeclinedExpiredCard", decline=EXPIRED),
    Instrument(number="4000000000000127", name="chargeDeclinedIncorrectCvc", decline=WRONG_CVC),
    Instrument(number="4000000000000119", name="chargeDeclinedProcessingError", decline=PROCESSING),
    Instrument(number="4000000000006975", name="visa_chargeDeclinedVelocityLimitExceeded", decline=VELOCITY),
    Instrument(number="4100000000000019", name="radarBlock", decline=declined("fraudulent")),
    Instrument(number="4000000000000341", name="chargeCustomerFail", decline=declined("generic_decline")),
    Instrument(number="4000002500003155", name="authenticationRequiredOnSetup", challenge="unless_set_up"),
    Instrument(number="4000002760003184", name="authenticationRequired", challenge="always"),
    Instrument(number="4000000000003220", name="threeDSecure2Required", challenge="always"),
    Instrument(
        number="4000008400001629",
        name="threeDSecureRequiredChargeDeclined",
        challenge="always",
        decline=declined("generic_decline"),
    ),
    Instrument(
        number="4000008260003178",
        name="authenticationRequiredChargeDeclinedInsufficientFunds",
        challenge="always",
        decline=INSUFFICIENT,
    ),
    Instrument(number="4000000000000259", name="createDispute", dispute="fraudulent"),
    Instrument(number="4000000000002685", name="createDisputeProductNotReceived", dispute="product_not_received"),
    Instrument(number="4000000000001976", name="createDisputeInquiry", dispute="inquiry"),
    Instrument(number="4000000000005126", name="refundFail", refund="fails_later"),
    Instrument(number="4000000000007726", name="pendingRefund", refund="pending"),
    Instrument(number="4000000000000077", name="bypassPending", available_at_once=True),
)

ACCOUNTS = (
    Instrument(number="AT611904300234573201", name="success", country="AT", settles="soon"),
    Instrument(number="AT321904300235473204", name="successDelayed", country="AT", settles="late"),
    Instrument(number="DE89370400440532013000", name="successGermany", country="DE", settles="soon"),
    Instrument(number="AT861904300235473202", name="fail", country="AT", settles="soon", settles_as="failed"),
    Instrument(number="AT051904300235473205", name="failDelayed", country="AT", settles="late", settles_as="failed"),
    Instrument(number="DE62370400440532013001", name="failGermany", country="DE", settles="soon", settles_as="failed"),
    Instrument(number="IT60X0542811101000000123456", name="failItaly", country="IT", settles="soon", settles_as="failed"),
    Instrument(number="AT591904300235473203", name="dispute", country="AT", settles="soon", settles_as="disputed"),
)

BY_NUMBER = {one.number: one for one in (*CARDS, *ACCOUNTS)}
ALIASES = {"chargeDeclined": "visa_chargeDeclined",
           "chargeDeclinedInsufficientFunds": "visa_chargeDeclinedInsufficientFunds",
           "visa_debit": "visa_debit", "us": "visa", "threeDSecureRequired": "threeDSecure2Required"}  # fmt: skip
BY_NAME = {one.name: one for one in CARDS}
BY_NAME.update({alias: BY_NAME[name] for alias, name in ALIASES.items()})


def luhn_holds(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
