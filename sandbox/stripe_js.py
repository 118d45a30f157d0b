"""The stand-in for Stripe.js (static/stripe.js), and the frame in which its Payment Element asks for a card."""

from functools import lru_cache
from pathlib import Path

from aiohttp import web

from sandbox.look import STYLE
from sandbox.replies import html
from sandbox.state import Json

STATIC = Path(__file__).with_name("static")
SCRIPTS = {"/v3": "stripe.js", "/v3/": "stripe.js", "/dahlia/stripe.js": "stripe.js",
           "/elements/payment.js": "payment_element.js"}  # fmt: skip
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'"
FRAME_STYLE = """
:root{--radius:8px;--font:system-ui,sans-serif}
:root[data-theme=dark]{--paper:#1b2029;--back:#11141a;--ink:#eef1f6;--soft:#aab3c2;--line:#495263;--accent:#a5b0ff;--bad:#ffb4b4}
:root[data-theme=light]{--paper:#fff;--back:#f3f4f7;--ink:#1d2330;--soft:#535b6b;--line:#c6ccd6;--accent:#4338ca;--bad:#a61b1b}
body{background:var(--paper);font-family:var(--font)}
form{padding:4px 8px 8px}form[hidden],fieldset[hidden]{display:none}
label,legend{margin-top:.6rem;color:var(--ink)}
input:not([type=radio]){border-radius:var(--radius);background:var(--paper);color:var(--ink)}
input[aria-invalid=true]{border-color:var(--bad)}
.problem{color:var(--bad);font-size:.85rem;margin:.2rem 0 0}.problem:empty{display:none}
"""


@lru_cache(maxsize=4)
def script(name: str) -> str:
    return (STATIC / name).read_text()


def field(name: str, label: str, more: str) -> str:
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" aria-describedby="{name}-problem" {more}>'
        f'<p class="problem" id="{name}-problem" role="alert"></p>'
    )


def payment_frame() -> str:
    number = field("number", "Card number", 'inputmode="numeric" autocomplete="cc-number" placeholder="1234 1234 1234 1234"')
    expiry = field("expiry", "Expiration date", 'inputmode="numeric" autocomplete="cc-exp" placeholder="MM / YY"')
    code = field("cvc", "Security code", 'inputmode="numeric" autocomplete="cc-csc" placeholder="CVC" maxlength="4"')
    iban = field("iban", "IBAN", 'autocomplete="off" placeholder="AT61 1904 3002 3457 3201"')
    holder = field("holder", "Full name", 'autocomplete="name"')
    email = field("email", "Email", 'type="email" autocomplete="email"')
    choice = (
        '<fieldset id="choice" hidden><legend>Payment method</legend>'
        '<label class="choice"><input type="radio" name="method" value="card" checked>Card</label>'
        '<label class="choice"><input type="radio" name="method" value="sepa_debit" id="sepa">SEPA Direct Debit</label>'
        "</fieldset>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Secure payment input frame</title>'
        f"<style>{STYLE}{FRAME_STYLE}</style></head><body><form id='fields' novalidate hidden>{choice}"
        f'<div class="when-card">{number}<div class="row"><div>{expiry}</div><div>{code}</div></div></div>'
        f'<div class="when-sepa">{iban}{holder}{email}</div><p class="problem" id="problem" role="alert"></p></form>'
        '<script src="/elements/payment.js"></script></body></html>'
    )


def answer(path: str) -> web.Response:
    if path == "/elements/payment":
        return html(payment_frame(), policy=POLICY)
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
    return web.Response(text=script(SCRIPTS[path]), content_type="text/javascript", headers=headers)


# What Stripe shows of an intent to a browser; the rest (the customer, the metadata, the charge) is the server's.
COMMON = (
    "id", "object", "automatic_payment_methods", "cancellation_reason", "client_secret", "created", "description",
    "livemode", "next_action", "payment_method", "payment_method_configuration_details", "payment_method_types", "status",
)  # fmt: skip
SHOWN = {
    "payment_intent": (
        *COMMON, "amount", "amount_details", "canceled_at", "capture_method", "confirmation_method", "currency",
        "last_payment_error", "processing", "receipt_email", "setup_future_usage", "shipping", "source",
    ),
    "setup_intent": (*COMMON, "last_setup_error", "usage"),
}  # fmt: skip


def for_browser(thing: Json) -> Json:
    """An intent as a publishable key gets it; an error carries its intent in the same way."""
    if thing.get("object") in SHOWN:
        return {name: thing[name] for name in SHOWN[thing["object"]] if name in thing}
    intents = {name: for_browser(thing[name]) for name in SHOWN if isinstance(thing.get(name), dict)}
    return thing | intents if intents else thing
