"""The pages that people see: checkout, 3-D Secure, receipt, billing portal. Requests in, redirects and HTML out."""

import re
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from sandbox import billing_portal, checkout_payment, checkout_sessions, hosted_page, payment_methods, setup_intents, stripe_js
from sandbox.box import Box
from sandbox.confirmation import NOT_AUTHENTICATED
from sandbox.look import message
from sandbox.problems import Problem
from sandbox.replies import html, not_found, see_other
from sandbox.router import Router
from sandbox.state import Json

EXPIRY = re.compile(r"\s*(\d{1,2})\s*/?\s*(\d{4}|\d{2})\s*")
ROUTER = Router(["GET /c/pay/{session}", "POST /c/pay/{session}", "GET /3ds/{intent}", "POST /3ds/{intent}",
                 "GET /receipts/{charge}", "GET /p/session/{portal}", "POST /p/session/{portal}"])  # fmt: skip


async def answer(box: Box, request: web.BaseRequest) -> web.Response:
    if request.method in ("GET", "HEAD") and (request.path in stripe_js.SCRIPTS or request.path == "/elements/payment"):
        return stripe_js.answer(request.path)
    found = ROUTER.find("GET" if request.method == "HEAD" else request.method, request.path)
    if found is None:
        return not_found()
    typed = {name: str(value) for name, value in (await request.post()).items()} if request.method == "POST" else {}
    box.run_due()
    template, names = found
    try:
        if template.endswith("/c/pay/{session}"):
            return checkout(box, names["session"], typed, paying=request.method == "POST")
        if "portal" in names:
            return billing_portal.answer(box, names["portal"], typed if request.method == "POST" else None)
        if names.get("intent", "").startswith("seti_"):
            return setup_challenge(box, names["intent"], typed, answering=request.method == "POST")
        if template.endswith("/3ds/{intent}"):
            return challenge(box, names["intent"], typed, answering=request.method == "POST")
        charge = box.state.get(names["charge"], "charge")
        return html(hosted_page.receipt(charge)) if charge else not_found()
    finally:
        box.run_due()
        box.keeper.save()


def checkout(box: Box, key: str, typed: dict[str, str], *, paying: bool) -> web.Response:
    session = box.state.get(key, "checkout.session")
    if session is None:
        return not_found()
    if session["status"] == "complete":
        return done(session) if paying else html(message(title="Paid", text="This checkout is complete."))
    if session["status"] == "expired":
        return html(message(title="Expired", text="This checkout has expired.", link=session["cancel_url"]), 410)
    if not paying:
        return html(hosted_page.render(box, session))
    try:
        checkout_payment.pay(box, session, typed_method(box, session, typed))
    except Problem as problem:
        return html(hosted_page.render(box, session, filled=typed, error=str(problem)), problem.status)
    intent = box.state.objects.get(session["payment_intent"] or "")
    if session["status"] == "open" and intent is not None and intent["status"] == "requires_action":
        return see_other(f"/3ds/{intent['id']}")
    return done(session)


def done(session: Json) -> web.Response:
    """An embedded page stays in its frame: stripe.js, around it, goes on."""
    if session["ui_mode"] == "embedded_page":
        return html(message(title="Payment complete", text="Thank you."))
    target = checkout_payment.destination(session)
    return see_other(target) if target else html(message(title="Paid", text="Thank you. This page may be closed."))


def typed_method(box: Box, session: Json, typed: dict[str, str]) -> Json:
    """The payment method that the form describes; problems in the words that a customer reads."""
    email, name = typed.get("email", "").strip(), typed.get("name", "").strip()
    if not session["customer_email"]:
        checkout_sessions.check_email(email, "email")
    if not name:
        raise Problem("Please enter your name.", param="name")
    billing = {"email": email, "name": name}
    if typed.get("method") == "sepa_debit":
        return payment_methods.make(box, payment_methods.instrument_of_iban(typed.get("iban", "")), billing=billing)
    instrument = payment_methods.instrument_of_card(typed.get("number", ""))
    expiry = EXPIRY.fullmatch(typed.get("expiry", ""))
    if expiry is None:
        raise Problem("Your card's expiration date is incomplete.", code="invalid_expiry_year", param="expiry")
    month, year = int(expiry[1]), int(expiry[2])
    year = payment_methods.check_card_details(box, exp_month=month, exp_year=year, cvc=typed.get("cvc", ""))
    return payment_methods.make(box, instrument, billing=billing, exp_month=month, exp_year=year)


def challenge(box: Box, key: str, typed: dict[str, str], *, answering: bool) -> web.Response:
    intent = box.state.get(key, "payment_intent")
    if intent is None:
        return not_found()
    session = checkout_payment.session_of(box, intent)
    if intent["status"] != "requires_action":
        return html(message(title="Nothing to do", text="This payment waits for no authentication."), 409)
    if not answering:
        return html(hosted_page.challenge(intent))
    target = (intent["next_action"].get("redirect_to_url") or {}).get("return_url")
    error = NOT_AUTHENTICATED if typed.get("outcome") != "complete" else None
    try:
        checkout_payment.answer_challenge(box, intent, passed=error is None)
    except Problem as problem:
        error = str(problem)
    if session is not None:
        return html(hosted_page.render(box, session, error=error), 402) if error else done(session)
    return returned(target, intent, "payment_intent", error)


def returned(target: str | None, intent: Json, param: str, error: str | None) -> web.Response:
    """Back to the address that the confirmation gave, or, without one, nowhere: stripe.js sees how it ended."""
    if target is None:
        return html(message(title="Not authenticated" if error else "Authenticated", text="You may close this page."))
    answer = {param: intent["id"], f"{param}_client_secret": intent["client_secret"],
              "redirect_status": "failed" if error else "succeeded"}  # fmt: skip
    return see_other(target + ("&" if urlsplit(target).query else "?") + urlencode(answer))


def setup_challenge(box: Box, key: str, typed: dict[str, str], *, answering: bool) -> web.Response:
    intent = box.state.get(key, "setup_intent")
    if intent is None:
        return not_found()
    if intent["status"] != "requires_action":
        return html(message(title="Nothing to do", text="This card waits for no authentication."), 409)
    if not answering:
        return html(hosted_page.challenge(intent))
    target = (intent["next_action"].get("redirect_to_url") or {}).get("return_url")
    error = NOT_AUTHENTICATED if typed.get("outcome") != "complete" else None
    try:
        setup_intents.answer_challenge(box, intent, passed=error is None)
    except Problem as problem:
        error = str(problem)
    return returned(target, intent, "setup_intent", error)
