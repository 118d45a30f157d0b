"""Payment methods: test cards and SEPA accounts, by number, by token, or by the names that tests use."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.instruments import BY_NAME, BY_NUMBER, EXPIRED, Decline, Instrument, luhn_holds
from sandbox.listing import listed
from sandbox.problems import Problem, missing_param, no_such, unsupported
from sandbox.state import Json, merged_metadata

IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
CARD_NUMBER = re.compile(r"[0-9]{12,19}")


def card_error(message: str, *, code: str, param: str, status: int = 402) -> Problem:
    return Problem(message, status=status, kind="card_error", code=code, param=param)


def instrument_of_card(number: str) -> Instrument:
    plain = re.sub(r"[ -]", "", number)
    if not CARD_NUMBER.fullmatch(plain) or not luhn_holds(plain):
        raise card_error("Your card number is incorrect.", code="incorrect_number", param="number")
    if plain not in BY_NUMBER:
        raise Problem(
            "Your card was declined. Your request was in test mode, but used a non test card. "
            "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
            status=402, kind="card_error", code="card_declined", decline_code="test_mode_live_card", param="number",
        )  # fmt: skip
    return BY_NUMBER[plain]


def instrument_of_iban(iban: str) -> Instrument:
    plain = iban.replace(" ", "").upper()
    if not IBAN.fullmatch(plain):
        raise Problem("The IBAN you provided is invalid.", code="invalid_bank_account_iban", param="sepa_debit[iban]")
    return BY_NUMBER.get(plain) or Instrument(number=plain, name="other", country=plain[:2], settles="soon")


def check_card_details(box: Box, *, exp_month: int, exp_year: int, cvc: str | None) -> int:
    """The year in full; a problem as the page shows it where a date is past or a code malformed."""
    year = exp_year + 2000 if exp_year < 100 else exp_year
    today = datetime.fromtimestamp(box.clock.now(), tz=UTC)
    if not 1 <= exp_month <= 12:
        raise card_error("Your card's expiration month is invalid.", code="invalid_expiry_month", param="exp_month")
    if not today.year <= year <= today.year + 50 or (year, exp_month) < (today.year, today.month):
        raise card_error("Your card's expiration year is invalid.", code="invalid_expiry_year", param="exp_year")
    if cvc is not None and not re.fullmatch(r"[0-9]{3,4}", cvc):
        raise card_error("Your card's security code is invalid.", code="invalid_cvc", param="cvc")
    return year


def make(
    box: Box, instrument: Instrument, *, billing: Any = None, metadata: Any = None, exp_month: int = 0, exp_year: int = 0
) -> Json:
    today = datetime.fromtimestamp(box.clock.now(), tz=UTC)
    fingerprint = hashlib.sha256(instrument.number.encode()).hexdigest()[:16]  # one number, one fingerprint
    if instrument.kind == "card":
        looks = shapes.card(
            brand=instrument.brand, last4=instrument.number[-4:], country=instrument.country,
            funding=instrument.funding, exp_month=exp_month or today.month, exp_year=exp_year or today.year + 1,
            key=fingerprint,
        )  # fmt: skip
    else:
        looks = shapes.sepa_debit(instrument.number, country=instrument.country, key=fingerprint)
    method = shapes.thing(
        "payment_method", box.ids.new("pm_1"), box.clock.now(),
        type=instrument.kind, billing_details=shapes.billing_details(billing),
        metadata=merged_metadata(None, metadata or {}), **{instrument.kind: looks},
    )  # fmt: skip
    return box.state.add(method, {"number": instrument.number})


def instrument_of(box: Box, method: Json) -> Instrument:
    number = box.state.secret(method)["number"]
    return BY_NUMBER.get(number) or instrument_of_iban(number)


def resolve(call: Call, param: str, value: str | None = None) -> Json:
    """The payment method that a parameter names; `pm_card_…` makes a new one, as Stripe's test names do."""
    key = str(call.params[param] if value is None else value)
    if key.startswith("pm_card_"):
        named = BY_NAME.get(key.removeprefix("pm_card_"))
        if named is not None:
            return make(call.box, named)
    method = call.referred("payment_method", "PaymentMethod", param, key)
    check_unspent(call.box, method)
    return method


def check_unspent(box: Box, method: Json) -> None:
    """Once detached, a payment method is of no use."""
    if box.state.secret(method).get("spent"):
        raise Problem(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a "
            "Customer, and may not be used again.",
            param="payment_method",
        )


def of_customer(call: Call, param: str, value: str, customer: Json) -> Json:
    """The payment method that a parameter names as somebody's default: it must be attached to them already."""
    method = call.referred("payment_method", "PaymentMethod", param, value)
    if method["customer"] != customer["id"]:
        raise Problem(
            f"The customer does not have a payment method with the ID {method['id']}. The payment method must be "
            "attached to the customer.",
            code="resource_missing", param=param,
        )  # fmt: skip
    return method


def from_params(call: Call, given: Json, where: str = "") -> Json:
    """A new payment method from `{type, card | sepa_debit, billing_details, metadata}`."""

    def at(name: str) -> str:
        return f"{where}[{name}]" if where else name

    box, kind = call.box, given.get("type")
    if kind is None:
        raise missing_param(at("type"))
    if kind not in ("card", "sepa_debit"):
        raise unsupported(f"{at('type')}={kind}")
    if kind not in given:
        raise missing_param(at(kind))
    extra: Json = {"billing": given.get("billing_details"), "metadata": given.get("metadata")}
    if kind == "sepa_debit":
        billing = extra["billing"] or {}
        if not billing.get("name") or not billing.get("email"):
            raise missing_param(at("billing_details[name]" if not billing.get("name") else "billing_details[email]"))
        return make(box, instrument_of_iban(given["sepa_debit"]["iban"]), **extra)
    card = given["card"]
    if "token" in card:
        named = BY_NAME.get(str(card["token"]).removeprefix("tok_"))
        if named is None:
            raise no_such("token", card["token"], param=at("card[token]"), status=400)
        return make(box, named, **extra)
    for name in ("number", "exp_month", "exp_year"):
        if name not in card:
            raise missing_param(at(f"card[{name}]"))
    instrument = instrument_of_card(card["number"])
    year = check_card_details(box, exp_month=card["exp_month"], exp_year=card["exp_year"], cvc=card.get("cvc"))
    return make(box, instrument, exp_month=card["exp_month"], exp_year=year, **extra)


def create(call: Call) -> Json:
    if "payment_method" in call.params:
        raise unsupported("payment_method")
    return from_params(call, call.params)


def retrieve(call: Call) -> Json:
    return call.named("payment_method", "PaymentMethod", "payment_method")


def retrieve_of_customer(call: Call) -> Json:
    method = retrieve(call)
    if method["customer"] != call.named("customer", "customer", "customer")["id"]:
        raise no_such("PaymentMethod", method["id"], param="payment_method")
    return method


def update(call: Call) -> Json:
    method, box, params = retrieve(call), call.box, call.params
    if method["customer"] is None:
        raise Problem("You must save this PaymentMethod to a customer before you can update it.")
    fields: Json = {name: params[name] for name in ("allow_redisplay",) if name in params}
    if "metadata" in params:
        fields["metadata"] = merged_metadata(method["metadata"], params["metadata"])
    if "billing_details" in params:
        given, before = params["billing_details"], method["billing_details"]
        merged = before | given | {"address": before["address"] | (given.get("address") or {})}
        fields["billing_details"] = shapes.billing_details(merged)
    if "card" in params and method["type"] == "card":
        dates = {name: params["card"][name] for name in ("exp_month", "exp_year") if name in params["card"]}
        merged = method["card"] | dates
        check_card_details(box, exp_month=merged["exp_month"], exp_year=merged["exp_year"], cvc=None)
        fields["card"] = merged
        box.state.remember(method, expired=False)
    previous = box.state.change(method, **fields)
    if previous:
        box.emit("payment_method.updated", method, previous)
    return method


def check_attachable(method: Json) -> None:
    if method["customer"] is not None:
        raise Problem("The payment method you provided has already been attached to a customer.")


def attach_to(box: Box, method: Json, customer: str) -> None:
    """A card that is declined when it is attached stays unattached: 402."""
    instrument = instrument_of(box, method)
    refused: Decline | None = instrument.decline
    if refused is not None and instrument.name != "chargeCustomerFail":
        raise Problem(refused.message, status=402, kind="card_error", code=refused.code,
                      decline_code=refused.decline_code, replayable=True)  # fmt: skip
    box.state.change(method, customer=customer)
    box.emit("payment_method.attached", method)


def attach(call: Call) -> Json:
    key = call.names["payment_method"]
    method = resolve(call, "payment_method", key) if key.startswith("pm_card_") else retrieve(call)
    if "customer" not in call.params:
        raise missing_param("customer")
    customer = call.referred("customer", "customer", "customer")
    if method["customer"] == customer["id"]:
        return method
    check_attachable(method)
    check_unspent(call.box, method)
    attach_to(call.box, method, customer["id"])
    return method


def check_saved_card(method: Json) -> None:
    if method["type"] != "card" or method["customer"] is None:
        raise Problem("Only a card that is attached to a customer is updated by its network.", param="payment_method")


def renew_card(box: Box, method: Json, *, exp_month: int | None, exp_year: int | None) -> Json:
    """What a card network does by itself when a card is replaced: another date, the same account."""
    check_saved_card(method)
    dates = {"exp_month": exp_month or method["card"]["exp_month"], "exp_year": exp_year or method["card"]["exp_year"] + 3}
    check_card_details(box, **dates, cvc=None)
    box.state.remember(method, expired=False)
    previous = box.state.change(method, card=method["card"] | dates)
    box.emit("payment_method.automatically_updated", method, previous)
    return method


def expire_card(box: Box, method: Json) -> Json:
    """As if its last month were over: no event tells of that, and the card is declined from now on."""
    check_saved_card(method)
    last_month = datetime.fromtimestamp(box.clock.now(), tz=UTC).replace(day=1) - timedelta(days=1)
    box.state.change(method, card=method["card"] | {"exp_month": last_month.month, "exp_year": last_month.year})
    box.state.remember(method, expired=True)
    return method


def decline_of(box: Box, method: Json) -> Decline | None:
    """What its bank says to every charge."""
    return EXPIRED if box.state.secret(method).get("expired") else instrument_of(box, method).decline


def detach_from_customer(box: Box, method: Json) -> None:
    customer = box.state.objects[method["customer"]]
    settings = customer.get("invoice_settings", {})
    if settings.get("default_payment_method") == method["id"]:
        box.state.change(customer, invoice_settings=settings | {"default_payment_method": None})
    previous = box.state.change(method, customer=None)
    box.state.remember(method, spent=True)
    box.emit("payment_method.detached", method, previous)


def detach(call: Call) -> Json:
    method = retrieve(call)
    if method["customer"] is None:
        raise Problem("The payment method you provided is not attached to a customer so detachment is impossible.")
    detach_from_customer(call.box, method)
    return method


def index(call: Call) -> Json:
    if "customer" not in call.params:
        call.params["customer"] = None  # Stripe lists nothing that belongs to nobody
    return listed(call, "payment_method", label="PaymentMethod", url="/v1/payment_methods",
                  extra=lambda _, method: method["customer"] is not None)  # fmt: skip


def index_of_customer(call: Call) -> Json:
    customer = call.named("customer", "customer", "customer")["id"]
    return listed(call, "payment_method", label="PaymentMethod", url=f"/v1/customers/{customer}/payment_methods",
                  only={"customer": customer})  # fmt: skip
