"""The pages that people see: checkout, 3-D Secure, receipt. Requests in, redirects and HTML out."""

import re
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from sandbox import checkout_payment, checkout_sessions, hosted_page, payment_methods
from sandbox.box import Box
from sandbox.confirmation import NOT_AUTHENTICATED
from sandbox.look import message
from sandbox.problems import Problem
from sandbox.router import Router
from sandbox.state import Json

EXPIRY = re.compile(r"\s*(\d{1,2})\s*/?\s*(\d{4}|\d{2})\s*")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
ROUTER = Router(["GET /c/pay/{session}", "POST /c/pay/{session}", "GET /3ds/{intent}", "POST /3ds/{intent}",
                 "GET /receipts/{charge}"])  # fmt: skip


def html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html",
                        headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})  # fmt: skip


def see_other(url: str) -> web.Response:
    return web.Response(status=303, headers={"Location": url})


def not_found() -> web.Response:
    return html(message(title="Not found", text="The sandbox knows no such page."), 404)


async def answer(box: Box, request: web.BaseRequest) -> web.Response:
    found = ROUTER.find("GET" if request.method == "HEAD" else request.method, request.path)
    if found is None:
        return not_found()
    typed = {name: str(value) for name, value in (await request.post()).items()} if request.method == "POST" else {}
    box.run_due()
    template, names = found
    try:
        if template.endswith("/c/pay/{session}"):
            return checkout(box, names["session"], typed, paying=request.method == "POST")
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
    action = intent["next_action"]
    error = NOT_AUTHENTICATED if typed.get("outcome") != "complete" else None
    try:
        checkout_payment.answer_challenge(box, intent, passed=error is None)
    except Problem as problem:
        error = str(problem)
    if session is not None:
        return html(hosted_page.render(box, session, error=error), 402) if error else done(session)
    target = (action.get("redirect_to_url") or {}).get("return_url")
    if target is None:
        return html(message(title="Not authenticated" if error else "Authenticated", text="You may close this page."))
    answer = {"payment_intent": intent["id"], "payment_intent_client_secret": intent["client_secret"],
              "redirect_status": "failed" if error else "succeeded"}  # fmt: skip
    return see_other(target + ("&" if urlsplit(target).query else "?") + urlencode(answer))
