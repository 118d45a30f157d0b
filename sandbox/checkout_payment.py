"""Paying a Checkout Session: the same for a person on the page, a script, and the Stripe CLI's triggers."""

from sandbox import charges, checkout_sessions, confirmation, customers, payment_intents, payment_methods
from sandbox.box import Box
from sandbox.call import Call
from sandbox.instruments import Decline
from sandbox.problems import Problem
from sandbox.state import Json

INTENT_FIELDS = ("capture_method", "description", "receipt_email", "setup_future_usage", "statement_descriptor",
                 "statement_descriptor_suffix", "transfer_group")  # fmt: skip
ANYBODY = "someone@example.com"
BOUNCED = Decline(
    code="payment_intent_payment_attempt_failed",
    decline_code="generic_decline",
    message="The customer's bank did not allow the debit.",
)


def pay(box: Box, session: Json, method: Json) -> None:
    """Confirm the session with the method. A decline is raised as a 402 and leaves the session open."""
    if session["status"] != "open":
        raise Problem(f"This Checkout Session is {session['status']}; it can no longer be paid.",
                      code="checkout_session_not_open")  # fmt: skip
    if method["type"] not in session["payment_method_types"]:
        raise Problem(f"This Checkout Session does not accept {method['type']}.", param="payment_method")
    remember_payer(box, session, method)
    if session["amount_total"] == 0:
        complete(box, session, payment_status="no_payment_required")
        return
    intent = box.state.get(session["payment_intent"] or "", "payment_intent") or open_intent(box, session)
    confirmation.confirm(box, intent, method, return_url=session["url"] or session.get("return_url"))
    finish(box, intent)


def remember_payer(box: Box, session: Json, method: Json) -> None:
    """Who pays, as given with the method; the session's own e-mail address stands above it."""
    billing = method["billing_details"]
    known = session["customer_details"] or {}
    email = session["customer_email"] or known.get("email") or billing["email"] or ANYBODY
    box.state.change(method, billing_details=billing | {"email": email})
    payer = checkout_sessions.details(
        email=email, name=billing["name"] or known.get("name"), address=billing["address"], phone=billing["phone"]
    )
    box.state.remember(session, payer=payer)
    hidden = box.state.secret(session)
    if session["customer_creation"] == "always" and "customer" not in hidden:
        hidden["customer"] = customers.make(box, email=email, name=payer["name"])["id"]


def open_intent(box: Box, session: Json) -> Json:
    hidden = box.state.secret(session)
    data = hidden["payment_intent_data"]
    given = {name: data[name] for name in INTENT_FIELDS if name in data}
    kinds = session["payment_method_types"]
    intent = payment_intents.make(
        box,
        **{"capture_method": "automatic_async"} | given,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"] or hidden.get("customer"),
        metadata=dict(data.get("metadata", {})),
        payment_method_types=kinds,
        payment_method_options=payment_intents.method_options(kinds, {}),
    )
    box.state.remember(intent, session=session["id"])
    box.state.change(session, payment_intent=intent["id"])
    box.emit("payment_intent.created", intent)
    return intent


def session_of(box: Box, intent: Json) -> Json | None:
    return box.state.get(box.state.secret(intent).get("session", ""), "checkout.session")


def finish(box: Box, intent: Json) -> None:
    """Complete the intent's session, if it has one and the intent got far enough."""
    session = session_of(box, intent)
    if session is None or session["status"] != "open":
        return
    if intent["status"] in ("succeeded", "processing", "requires_capture"):
        complete(box, session, payment_status="paid" if intent["status"] == "succeeded" else "unpaid")


def complete(box: Box, session: Json, *, payment_status: str) -> None:
    hidden = box.state.secret(session)
    box.state.change(
        session, status="complete", payment_status=payment_status, url=None, customer_details=hidden["payer"],
        customer=session["customer"] or hidden.get("customer"),
    )  # fmt: skip
    box.emit("checkout.session.completed", session)


def settle_debit(box: Box, key: str) -> None:
    """The act behind a delayed method: the bank has answered."""
    intent = box.state.objects[key]
    if intent["status"] == "processing":
        method = box.state.objects[intent["payment_method"]]
        decide_debit(box, intent, succeeded=payment_methods.instrument_of(box, method).settles_as != "failed")


def decide_debit(box: Box, intent: Json, *, succeeded: bool) -> None:
    if intent["status"] != "processing":
        raise Problem(f"The PaymentIntent is {intent['status']}, not processing.")
    charge, session = box.state.objects[intent["latest_charge"]], session_of(box, intent)
    method = box.state.objects[intent["payment_method"]]
    if not succeeded:
        box.state.change(
            charge, status="failed", paid=False, captured=False, amount_captured=0, failure_code=BOUNCED.code,
            failure_message=BOUNCED.message, outcome=charges.refused(BOUNCED), receipt_url=None,
        )  # fmt: skip
        box.emit("charge.failed", charge)
        confirmation.give_up(box, intent, method, BOUNCED, charge=charge["id"])
        if session is not None:
            box.emit("checkout.session.async_payment_failed", session)
        return
    box.state.change(charge, status="succeeded", paid=True, outcome=charges.APPROVED)
    charges.book(box, charge)
    box.emit("charge.succeeded", charge)
    box.state.change(intent, status="succeeded", amount_received=intent["amount"])
    box.emit("payment_intent.succeeded", intent)
    confirmation.tell_invoice(box, intent, "succeeded")
    if session is not None:
        box.state.change(session, payment_status="paid")
        box.emit("checkout.session.async_payment_succeeded", session)
    if payment_methods.instrument_of(box, method).settles_as == "disputed":
        box.later("open_dispute", f"{charge['id']} debit_not_authorized")


def answer_challenge(box: Box, intent: Json, *, passed: bool) -> None:
    """The customer comes back from 3-D Secure. A decline after it is raised as a 402."""
    if intent["status"] != "requires_action":
        raise Problem(f"The PaymentIntent is {intent['status']}: there is no challenge to answer.")
    if not passed:
        confirmation.fail_challenge(box, intent)
        return
    confirmation.confirm(box, intent, box.state.objects[intent["payment_method"]], challenged=True)
    finish(box, intent)


def destination(session: Json) -> str | None:
    """Where the customer goes after paying."""
    target = session["success_url"] or session.get("return_url")
    return target.replace("{CHECKOUT_SESSION_ID}", session["id"]) if target else None


def page(box: Box, session: Json) -> Json:
    """What Stripe's own page would read; unpublished, and only as much of it as the CLI needs."""
    return {
        "id": "ppage_1" + session["id"][-23:], "object": "payment_page", "session_id": session["id"],
        "amount": session["amount_total"], "currency": session["currency"], "livemode": False,
        "payment_method_types": session["payment_method_types"], "payment_status": session["payment_status"],
        "status": session["status"], "success_url": destination(session),
        "redirect_on_completion": session.get("redirect_on_completion"),
        "payment_intent": box.state.objects.get(session["payment_intent"] or ""),
    }  # fmt: skip


def retrieve_page(call: Call) -> Json:
    return page(call.box, checkout_sessions.retrieve(call))


def confirm_page(call: Call) -> Json:
    session, params = checkout_sessions.retrieve(call), call.params
    if params.get("expected_amount", session["amount_total"]) != session["amount_total"]:
        raise Problem("The amount of the Checkout Session has changed.", code="checkout_amount_mismatch",
                      param="expected_amount")  # fmt: skip
    pay(call.box, session, payment_methods.resolve(call, "payment_method"))
    return page(call.box, session)
