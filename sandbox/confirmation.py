"""What happens when somebody pays: a test card or account decides, the charge and the events follow.

States: requires_payment_method -> requires_action | processing | requires_capture | succeeded, or back again.
"""

from typing import Any

from sandbox import charges, payment_methods
from sandbox.box import Box
from sandbox.instruments import Decline, Instrument
from sandbox.problems import Problem
from sandbox.state import Json

NOT_AUTHENTICATED = "We are unable to authenticate your payment method. Please choose a different payment method and try again."
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


def confirm(
    box: Box,
    intent: Json,
    method: Json,
    *,
    challenged: bool = False,
    off_session: bool = False,
    return_url: str | None = None,
) -> None:
    """Try to take the money. Raises the card's decline as a 402 that carries the intent, after recording it."""
    instrument = payment_methods.instrument_of(box, method)
    if not challenged and needs_challenge(box, instrument, method, intent):
        if off_session:
            decline = Decline(
                code="authentication_required",
                decline_code="authentication_required",
                message="Your card was declined. This transaction requires authentication.",
            )
            raise fail(box, intent, method, decline)
        ask_for_challenge(box, intent, method, return_url)
        return
    refused = payment_methods.decline_of(box, method)
    if refused is not None:
        raise fail(box, intent, method, refused, challenged=challenged)
    if instrument.settles != "at_once":
        start_processing(box, intent, method, instrument)
        return
    succeed(box, intent, method, instrument, challenged=challenged)


def needs_challenge(box: Box, instrument: Instrument, method: Json, intent: Json) -> bool:
    wish = (intent["payment_method_options"] or {}).get("card", {}).get("request_three_d_secure")
    if method["type"] == "card" and wish in ("any", "challenge"):
        return True
    if instrument.challenge == "unless_set_up":
        return not box.state.secret(method).get("set_up", False)
    return instrument.challenge == "always"


def ask_for_challenge(box: Box, intent: Json, method: Json, return_url: str | None) -> None:
    page = f"{box.settings.public_url}/3ds/{intent['id']}"
    action: Json = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": page}}
    if return_url is None:
        sdk = {"type": "three_d_secure_redirect", "stripe_js": page, "source": box.ids.new("src_1")}
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    box.state.change(intent, status="requires_action", next_action=action, payment_method=method["id"], last_payment_error=None)
    box.emit("payment_intent.requires_action", intent)
    tell_invoice(box, intent, "waits")


def tell_invoice(box: Box, intent: Json, outcome: str) -> None:
    """An invoice that the intent pays follows it: succeeded, failed, or waits for the customer."""
    if "invoice" in box.state.secret(intent):
        box.do_now("follow_payment", f"{intent['id']} {outcome}")


def succeed(box: Box, intent: Json, method: Json, instrument: Instrument, *, challenged: bool) -> None:
    manual = intent["capture_method"] == "manual"
    captured = {} if manual else {"captured": True, "amount_captured": intent["amount"]}
    charge = charges.make(box, intent, method, status="succeeded", challenged=challenged, paid=True, **captured)
    if intent["capture_method"] == "automatic":
        charges.book(box, charge)
    keep_method(box, intent, method)
    box.emit("charge.succeeded", charge)
    common: dict[str, Any] = {"latest_charge": charge["id"], "payment_method": method["id"], "next_action": None,
                              "processing": None, "last_payment_error": None}  # fmt: skip
    if manual:
        box.state.change(intent, status="requires_capture", amount_capturable=intent["amount"], **common)
        box.emit("payment_intent.amount_capturable_updated", intent)
        return
    box.state.change(intent, status="succeeded", amount_received=intent["amount"], **common)
    box.emit("payment_intent.succeeded", intent)
    tell_invoice(box, intent, "succeeded")
    after_success(box, charge, instrument)


def after_success(box: Box, charge: Json, instrument: Instrument) -> None:
    if charge["balance_transaction"] is None:
        box.later("book_charge", charge["id"], after_s=box.settings.balance_delay_s)
    if instrument.dispute is not None:
        box.later("open_dispute", f"{charge['id']} {instrument.dispute}")


def keep_method(box: Box, intent: Json, method: Json) -> None:
    """`setup_future_usage` attaches the method to the intent's customer."""
    if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
        box.state.remember(method, set_up=True)
        box.state.change(method, customer=intent["customer"])
        box.emit("payment_method.attached", method)


def start_processing(box: Box, intent: Json, method: Json, instrument: Instrument) -> None:
    captured = {"captured": True, "amount_captured": intent["amount"]}
    charge = charges.make(box, intent, method, status="pending", **captured)
    keep_method(box, intent, method)
    box.state.change(
        intent, status="processing", latest_charge=charge["id"], payment_method=method["id"], next_action=None,
        last_payment_error=None,
    )  # fmt: skip
    box.emit("charge.pending", charge)
    box.emit("payment_intent.processing", intent)
    settings = box.settings
    pause = settings.settle_soon_s if instrument.settles == "soon" else settings.settle_late_s
    box.later("settle_debit", intent["id"], after_s=pause)


def error_of(method: Json, decline: Decline, *, charge: str | None) -> Json:
    error: Json = {"code": decline.code, "decline_code": decline.decline_code, "message": decline.message,
                   "doc_url": "https://stripe.com/docs/error-codes/" + decline.code.replace("_", "-"),
                   "payment_method": method, "type": "card_error"}  # fmt: skip
    return error | ({"charge": charge} if charge else {})


def fail(box: Box, intent: Json, method: Json, decline: Decline, *, challenged: bool = False) -> Problem:
    """Record a declined charge, and give the 402 to raise."""
    failure: Json = {"failure_code": decline.code, "failure_message": decline.message, "paid": False,
                     "outcome": charges.refused(decline)}  # fmt: skip
    charge = charges.make(box, intent, method, status="failed", challenged=challenged, **failure)
    box.emit("charge.failed", charge)
    give_up(box, intent, method, decline, charge=charge["id"])
    return Problem(
        decline.message, status=402, kind="card_error", code=decline.code, replayable=True,
        decline_code=decline.decline_code, charge=charge["id"], payment_intent=dict(intent), payment_method=method,
    )  # fmt: skip


def give_up(box: Box, intent: Json, method: Json, decline: Decline, *, charge: str | None) -> None:
    """Back to requires_payment_method: another method may be tried."""
    fields: Json = {"latest_charge": charge} if charge else {}
    box.state.change(
        intent, status="requires_payment_method", payment_method=None, next_action=None, processing=None,
        last_payment_error=error_of(dict(method), decline, charge=charge), **fields,
    )  # fmt: skip
    box.emit("payment_intent.payment_failed", intent)
    tell_invoice(box, intent, "failed")


def fail_challenge(box: Box, intent: Json) -> None:
    """No charge is made where the customer does not pass 3-D Secure."""
    method = box.state.objects[intent["payment_method"]]
    code = "payment_intent_authentication_failure"
    refused = Decline(code=code, decline_code="", message=NOT_AUTHENTICATED)
    error = error_of(dict(method), refused, charge=None) | {"type": "invalid_request_error"}
    del error["decline_code"]
    box.state.change(intent, status="requires_payment_method", payment_method=None, next_action=None,
                     last_payment_error=error)  # fmt: skip
    box.emit("payment_intent.payment_failed", intent)
    tell_invoice(box, intent, "failed")
