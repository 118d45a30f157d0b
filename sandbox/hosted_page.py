"""The checkout page's HTML: what is bought on one side, how to pay on the other."""

from html import escape

from sandbox.box import Box
from sandbox.instruments import BY_NUMBER
from sandbox.look import document
from sandbox.money import display
from sandbox.state import Json

HINTS = (
    ("4242424242424242", "succeeds"),
    ("4000002500003155", "asks for 3-D Secure"),
    ("4000000000000002", "is declined"),
    ("4000000000009995", "has insufficient funds"),
    ("4000000000000259", "succeeds, then is disputed"),
    ("4000000000005126", "succeeds; a refund fails later"),
)
ACCOUNT_HINTS = (("AT611904300234573201", "succeeds some seconds later"), ("AT861904300235473202", "fails later"))


def grouped(number: str) -> str:
    return " ".join(number[place : place + 4] for place in range(0, len(number), 4))


def summary(box: Box, session: Json) -> str:
    rows = "".join(
        f"<li><span>{escape(item['description'])}"
        + (f" <small>× {item['quantity']}</small>" if item["quantity"] > 1 else "")
        + f"</span><span>{escape(display(item['amount_total'], item['currency']))}</span></li>"
        for item in box.state.secret(session)["line_items"]
    )
    verb = {"donate": "Donate", "book": "Book"}.get(session["submit_type"] or "", "Pay")
    total = escape(display(session["amount_total"], session["currency"]))
    return (
        f'<section class="plain" aria-label="Order"><h1>{verb}</h1><p class="total" data-total>{total}</p>'
        f'<ul class="items">{rows}</ul></section>'
    )


def method_choice(kinds: list[str], chosen: str) -> str:
    if not {"card", "sepa_debit"} <= set(kinds):
        only = "card" if "card" in kinds else "sepa_debit"
        mark = ' id="sepa" checked' if only == "sepa_debit" else ""
        return f'<input type="radio" hidden name="method" value="{only}" checked{mark}>'
    return (
        "<fieldset><legend>Payment method</legend>"
        f'<label class="choice"><input type="radio" name="method" value="card"{checked(chosen != "sepa_debit")}>Card'
        '</label><label class="choice"><input type="radio" name="method" value="sepa_debit" id="sepa"'
        f"{checked(chosen == 'sepa_debit')}>SEPA Direct Debit</label></fieldset>"
    )


def checked(yes: bool) -> str:
    return " checked" if yes else ""


def field(name: str, label: str, value: str, more: str = "") -> str:
    return f'<label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" value="{escape(value)}" {more}>'


def hints() -> str:
    rows = "".join(
        f"<tr><td><code>{grouped(number) if number.isdigit() else number}</code></td><td>{escape(what)}</td></tr>"
        for number, what in (*HINTS, *ACCOUNT_HINTS)
    )
    return (
        f"<details><summary>Test cards and accounts ({len(BY_NUMBER)} known)</summary><table><thead><tr>"
        f'<th scope="col">Number</th><th scope="col">What it does</th></tr></thead><tbody>{rows}</tbody></table></details>'
    )


def render(box: Box, session: Json, *, filled: dict[str, str] | None = None, error: str | None = None) -> str:
    """`filled` is what the customer typed before an error; card numbers and codes are not given back."""
    typed = filled or {}
    known = session["customer_email"] or (session["customer_details"] or {}).get("email")
    locked = " readonly" if known else " required"
    email = field("email", "E-mail", known or typed.get("email", ""), f'type="email" autocomplete="email"{locked}')
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    kinds = session["payment_method_types"]
    number = field("number", "Card number", "", 'inputmode="numeric" autocomplete="cc-number" placeholder="4242 4242 4242 4242"')
    expiry = field("expiry", "Expiry (MM / YY)", typed.get("expiry", ""), 'autocomplete="cc-exp" placeholder="12 / 34"')
    code = field("cvc", "Security code", "", 'inputmode="numeric" autocomplete="cc-csc" placeholder="123"')
    iban = field("iban", "IBAN", "", 'autocomplete="off" placeholder="AT61 1904 3002 3457 3201"')
    name = field("name", "Name", typed.get("name", ""), 'autocomplete="name" required')
    total = escape(display(session["amount_total"], session["currency"]))
    cancel = session["cancel_url"]
    back = f'<a class="button second" href="{escape(cancel)}">Cancel</a>' if cancel else ""
    form = (
        f'<section aria-label="Payment">{alert}<form method="post" action="/c/pay/{session["id"]}">'
        f"{email}{method_choice(kinds, typed.get('method', ''))}"
        f'<div class="when-card">{number}<div class="row"><div>{expiry}</div><div>{code}</div></div></div>'
        f'<div class="when-sepa">{iban}</div>{name}<button type="submit">Pay {total}</button></form>{back}{hints()}</section>'
    )
    return document(title=f"Pay {display(session['amount_total'], session['currency'])} – sandbox",
                    body=summary(box, session) + form, columns="two")  # fmt: skip


def challenge(intent: Json) -> str:
    waits = "Your card is about to be saved."
    if "amount" in intent:
        waits = f"A payment of <strong>{escape(display(intent['amount'], intent['currency']))}</strong> waits for you."
    return document(
        title="3-D Secure – sandbox",
        body=f"<section><h1>Your bank asks: is it you?</h1><p>{waits} "
        "This page stands in for a bank's 3-D Secure check.</p>"
        f'<form method="post" action="/3ds/{intent["id"]}">'
        '<button name="outcome" value="complete">Complete authentication</button>'
        '<button class="second" name="outcome" value="fail">Fail authentication</button></form></section>',
    )


def receipt(charge: Json) -> str:
    paid = display(charge["amount"], charge["currency"])
    rows = {"Amount": paid, "Description": charge["description"] or "–", "Charge": charge["id"],
            "Status": "refunded" if charge["refunded"] else charge["status"]}  # fmt: skip
    if charge["amount_refunded"]:
        rows["Refunded"] = display(charge["amount_refunded"], charge["currency"])
    body = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())
    return document(title=f"Receipt – {paid}", body=f"<section><h1>Receipt</h1><dl>{body}</dl></section>")
