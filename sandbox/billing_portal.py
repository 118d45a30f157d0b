"""The billing portal: a page on which a customer ends or resumes a subscription, and changes the card."""

import re
from html import escape

from aiohttp import web

from sandbox import payment_methods, periods, subscription_life, subscriptions
from sandbox.box import Box
from sandbox.call import Call
from sandbox.checkout_sessions import check_url
from sandbox.look import document
from sandbox.money import display
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.replies import html, not_found, see_other
from sandbox.state import Json

CONFIGURATION = "bpc_1SandboxStandIn0001"
EXPIRY = re.compile(r"\s*(\d{1,2})\s*/?\s*(\d{4}|\d{2})\s*")


def create(call: Call) -> Json:
    box, params = call.box, call.params
    for name in ("flow_data", "on_behalf_of", "customer_account"):
        if name in params:
            raise unsupported(name)
    if "customer" not in params:
        raise missing_param("customer")
    customer = call.referred("customer", "customer", "customer")
    key = box.ids.new("bps_1")
    return box.state.add(
        {
            "id": key, "object": "billing_portal.session", "created": box.clock.now(), "livemode": False,
            "configuration": params.get("configuration", CONFIGURATION), "customer": customer["id"],
            "customer_account": None, "flow": None, "locale": params.get("locale"), "on_behalf_of": None,
            "return_url": check_url(params["return_url"], "return_url") if "return_url" in params else None,
            "url": f"{box.settings.public_url}/p/session/{key}",
        }
    )  # fmt: skip


def answer(box: Box, key: str, typed: dict[str, str] | None) -> web.Response:
    """The page; with what was typed, the page after doing it."""
    session = box.state.get(key, "billing_portal.session")
    customer = box.state.get(session["customer"], "customer") if session else None
    if session is None or customer is None or customer.get("deleted"):
        return not_found()
    if typed is None:
        return html(render(box, session, customer))
    try:
        act(box, customer, typed)
    except Problem as problem:
        return html(render(box, session, customer, error=str(problem)), problem.status)
    return see_other(f"/p/session/{key}")


def act(box: Box, customer: Json, typed: dict[str, str]) -> None:
    if typed.get("act") == "card":
        change_card(box, customer, typed)
        return
    subscription = box.state.get(typed.get("subscription", ""), "subscription")
    if subscription is None or subscription["customer"] != customer["id"] or subscription["status"] in subscription_life.ENDED:
        raise Problem("There is no such subscription.", status=404)
    if typed.get("act") == "cancel" and not subscription["cancel_at_period_end"]:
        subscription_life.change(box, subscription, **subscriptions.cancellation(box, subscription))
    elif typed.get("act") == "resume" and subscription["cancel_at_period_end"]:
        subscription_life.change(box, subscription, **subscriptions.resumption(subscription))


def change_card(box: Box, customer: Json, typed: dict[str, str]) -> None:
    """The new card becomes the default, of the customer and of each subscription that had one of its own."""
    expiry = EXPIRY.fullmatch(typed.get("expiry", ""))
    instrument = payment_methods.instrument_of_card(typed.get("number", ""))
    if expiry is None:
        raise Problem("Your card's expiration date is incomplete.", code="invalid_expiry_year", param="expiry")
    month, year = int(expiry[1]), int(expiry[2])
    year = payment_methods.check_card_details(box, exp_month=month, exp_year=year, cvc=typed.get("cvc", ""))
    billing = {"email": customer["email"], "name": customer["name"]}
    method = payment_methods.make(box, instrument, billing=billing, exp_month=month, exp_year=year)
    payment_methods.attach_to(box, method, customer["id"])
    settings = customer["invoice_settings"] | {"default_payment_method": method["id"]}
    box.emit("customer.updated", customer, box.state.change(customer, invoice_settings=settings))
    for subscription in box.state.all("subscription", customer=customer["id"]):
        if subscription["default_payment_method"] and subscription["status"] not in subscription_life.ENDED:
            subscription_life.change(box, subscription, default_payment_method=method["id"])


def shown_subscription(box: Box, subscription: Json) -> str:
    items = subscription_life.items_of(subscription)
    price = items[0]["price"]
    total = sum(item["price"]["unit_amount"] * item["quantity"] for item in items)
    name = ", ".join(box.state.objects[item["price"]["product"]]["name"] for item in items)
    end = periods.day(subscription_life.period_end(subscription))
    ends = subscription["cancel_at_period_end"]
    words = f"{display(total, price['currency'])} / {periods.in_words(price['recurring'])}, {subscription['status']}, "
    verb, label = ("resume", "Don’t cancel") if ends else ("cancel", "Cancel subscription")
    return (
        f"<h2>{escape(name)}</h2><p>{escape(words + ('ends' if ends else 'renews') + ' on ' + end)}</p>"
        f'<form method="post"><input type="hidden" name="subscription" value="{subscription["id"]}">'
        f'<button class="second" name="act" value="{verb}">{label}</button></form>'
    )


def render(box: Box, session: Json, customer: Json, *, error: str | None = None) -> str:
    found = [s for s in box.state.all("subscription", customer=customer["id"]) if s["status"] not in subscription_life.ENDED]
    listed = "".join(shown_subscription(box, one) for one in found) or "<p>No current subscription.</p>"
    default = box.state.get(customer["invoice_settings"]["default_payment_method"] or "", "payment_method")
    card = f"{default['card']['brand']} •••• {default['card']['last4']}" if default and "card" in default else "none"
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    back = f'<a class="button second" href="{escape(session["return_url"])}">Return</a>' if session["return_url"] else ""
    form = (
        '<form method="post"><label for="number">Card number</label><input id="number" name="number" inputmode="numeric" '
        'autocomplete="cc-number" required><div class="row"><div><label for="expiry">Expiry (MM / YY)</label>'
        '<input id="expiry" name="expiry" autocomplete="cc-exp" required></div><div><label for="cvc">Security code</label>'
        '<input id="cvc" name="cvc" inputmode="numeric" autocomplete="cc-csc" required></div></div>'
        '<button name="act" value="card">Save card</button></form>'
    )
    body = (
        f'<section aria-label="Subscriptions"><h1>Your subscriptions</h1>{listed}</section>'
        f'<section aria-label="Payment method"><h1>Your card</h1>{alert}<p>Now: {escape(card)}</p>{form}{back}</section>'
    )
    return document(title="Billing – sandbox", body=body)
