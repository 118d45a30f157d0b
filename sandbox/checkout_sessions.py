"""Checkout Sessions: opening, reading, expiring. Paying one is checkout_payment.py's."""

import re
from typing import Any
from urllib.parse import urlsplit

from sandbox import catalogue, payment_intents, shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import listed, window
from sandbox.money import check_charge, display, read_currency
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.state import Json, merged_metadata

MINUTE, HOUR = 60, 3_600
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
MAX_LINE_ITEMS, MAX_QUANTITY = 100, 999_999
COPIED = (
    "after_expiration", "allow_promotion_codes", "billing_address_collection", "client_reference_id", "custom_fields",
    "customer_email", "integration_identifier", "locale", "origin_context", "phone_number_collection", "submit_type",
    "payment_method_collection", "excluded_payment_method_types",
)  # fmt: skip
# What would change the amount or who gets it, and things of other modes: refused rather than ignored.
UNSUPPORTED = (
    "discounts", "shipping_options", "optional_items", "subscription_data", "setup_intent_data", "invoice_creation",
    "customer_account", "tax_id_collection", "shipping_address_collection", "consent_collection", "permissions",
)  # fmt: skip
INTENT_UNSUPPORTED = ("application_fee_amount", "on_behalf_of", "transfer_data")
PAGE_MODES = ("hosted_page", "embedded_page", "elements")


def check_url(value: str, param: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Problem("Not a valid URL", code="url_invalid", param=param)
    return value


def check_email(value: str, param: str) -> str:
    if not EMAIL.fullmatch(value):
        raise Problem(f"Invalid email address: {value}", code="email_invalid", param=param)
    return value


def read_expiry(wish: int | None, now: int) -> int:
    if wish is None:
        return now + 24 * HOUR
    if wish < now + 30 * MINUTE:
        raise Problem("The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
                      param="expires_at")  # fmt: skip
    if wish > now + 24 * HOUR:
        raise Problem("The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
                      param="expires_at")  # fmt: skip
    return wish


def price_of(call: Call, item: Json, where: str) -> Json:
    """The price that a line item names, or the one made for it; made ones are inactive, as Stripe makes them."""
    if ("price" in item) == ("price_data" in item):
        raise Problem("You must specify either `price` or `price_data` for each line item.", param=f"{where}[price]")
    if "price" in item:
        price = call.referred("price", "price", f"{where}[price]", item["price"])
        if not price["active"]:
            raise Problem(f"The price specified is inactive: {price['id']}.", param=f"{where}[price]")
        return price
    data, inside = item["price_data"], f"{where}[price_data]"
    if ("product" in data) == ("product_data" in data):
        raise Problem("You must specify either `product` or `product_data`.", param=f"{inside}[product_data]")
    if "product" in data:
        product = call.referred("product", "product", f"{inside}[product]", data["product"])
    else:
        product = catalogue.make_product(call.box, data["product_data"], active=False)
    return catalogue.make_price(call.box, data, product=product["id"], active=False, where=inside)


def check_item(item: Json, where: str) -> None:
    """Everything that can be refused before a product or price is made for the item."""
    if "tax_rates" in item:
        raise unsupported(f"{where}[tax_rates]")
    if "quantity" not in item:
        raise Problem(f"Quantity is required. Add `quantity` to `{where}`", code="parameter_missing",
                      param=f"{where}[quantity]")  # fmt: skip
    if not 1 <= item["quantity"] <= MAX_QUANTITY:
        raise Problem(f"The quantity must be 1 to {MAX_QUANTITY}.", code="parameter_invalid_integer",
                      param=f"{where}[quantity]")  # fmt: skip
    if (item.get("price_data") or {}).get("recurring"):
        raise Problem("You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode "
                      "or use only one-time prices.", param=where)  # fmt: skip
    if "price_data" in item:
        read_currency(item["price_data"]["currency"], param=f"{where}[price_data][currency]")


def line_items_of(call: Call) -> list[Json]:
    given = call.params.get("line_items")
    if not given:
        raise missing_param("line_items")
    if len(given) > MAX_LINE_ITEMS:
        raise Problem(f"You can have up to {MAX_LINE_ITEMS} line items.", param="line_items")
    for number, item in enumerate(given):
        check_item(item, f"line_items[{number}]")
    found: list[Json] = []
    for number, item in enumerate(given):
        where = f"line_items[{number}]"
        price = price_of(call, item, where)
        if price["recurring"]:
            check_item({"quantity": 1, "price_data": price}, where)
        if found and found[0]["currency"] != price["currency"]:
            raise Problem("All line items must have the same currency.", param=where)
        product = call.box.state.objects[price["product"]]
        amount = price["unit_amount"] * item["quantity"]
        found.append({
            "id": call.box.ids.new("li_1"), "object": "item", "adjustable_quantity": None, "amount_discount": 0,
            "amount_subtotal": amount, "amount_tax": 0, "amount_total": amount, "currency": price["currency"],
            "description": product["name"], "metadata": item.get("metadata", {}), "price": price,
            "quantity": item["quantity"],
        })  # fmt: skip
    return found


def check_total(total: int, currency: str) -> None:
    if total == 0:
        return
    try:
        check_charge(total, currency)
    except Problem as problem:
        if problem.error.get("code") != "amount_too_small":
            raise
        raise Problem(f"The Checkout Session's total amount must add up to more than the minimum: "
                      f"{display(total, currency)} is too small. {problem}", code="amount_too_small") from problem  # fmt: skip


def page_fields(box: Box, key: str, params: Json) -> Json:
    """Where the customer pays, and where they go afterwards."""
    mode = params.get("ui_mode", "hosted_page")
    if mode not in PAGE_MODES:
        raise unsupported(f"ui_mode={mode}")
    if mode == "hosted_page":
        if "success_url" not in params:
            raise missing_param("success_url")
        if "return_url" in params:
            raise Problem("`return_url` is not supported when `ui_mode` is `hosted_page`.", param="return_url")
        cancel = params.get("cancel_url")
        return {
            "success_url": check_url(params["success_url"], "success_url"), "url": f"{box.settings.public_url}/c/pay/{key}",
            "cancel_url": check_url(cancel, "cancel_url") if cancel else None, "ui_mode": mode,
        }  # fmt: skip
    for name in ("success_url", "cancel_url"):
        if name in params:
            raise Problem(f"`{name}` is not supported when `ui_mode` is `{mode}`; use `return_url`.", param=name)
    redirect = params.get("redirect_on_completion", "always")
    if redirect != "never" and "return_url" not in params:
        raise missing_param("return_url")
    fields: Json = {"ui_mode": mode, "redirect_on_completion": redirect,
                    "client_secret": f"{key}_secret_{box.ids.hidden(50)}"}  # fmt: skip
    if "return_url" in params:
        fields["return_url"] = check_url(params["return_url"], "return_url")
    return fields


def customer_fields(call: Call) -> Json:
    params = call.params
    if "customer" in params and "customer_email" in params:
        raise Problem("You may only specify one of these parameters: customer, customer_email.")
    if "customer" in params:
        if "customer_creation" in params:
            raise Problem("You may only specify one of these parameters: customer, customer_creation.")
        customer = call.referred("customer", "customer", "customer")
        return {"customer": customer["id"], "customer_details": details(email=customer["email"], name=customer["name"])}
    fields: Json = {"customer_creation": params.get("customer_creation", "if_required")}
    if "customer_email" in params:
        email = check_email(params["customer_email"], "customer_email")
        fields |= {"customer_email": email, "customer_details": details(email=email, name=None)}
    return fields


def details(*, email: str | None, name: str | None, address: Json | None = None, phone: str | None = None) -> Json:
    """A session's `customer_details`."""
    return {"address": address, "business_name": None, "email": email, "individual_name": None, "name": name,
            "phone": phone, "tax_exempt": "none", "tax_ids": None}  # fmt: skip


def intent_data(params: Json) -> Json:
    given: Json = params.get("payment_intent_data") or {}
    for name in INTENT_UNSUPPORTED:
        if name in given:
            raise unsupported(f"payment_intent_data[{name}]")
    if "receipt_email" in given:
        check_email(given["receipt_email"], "payment_intent_data[receipt_email]")
    return given


def create(call: Call) -> Json:
    box, params = call.box, call.params
    for name in UNSUPPORTED:
        if params.get(name):
            raise unsupported(name)
    if (params.get("automatic_tax") or {}).get("enabled"):
        raise unsupported("automatic_tax[enabled]")
    if "mode" not in params:
        raise missing_param("mode")
    if params["mode"] != "payment":
        raise unsupported(f"mode={params['mode']}")
    now, key = box.clock.now(), box.ids.new("cs_test_")
    data = intent_data(params)
    fields = page_fields(box, key, params) | customer_fields(call)
    expires_at = read_expiry(params.get("expires_at"), now)
    items = line_items_of(call)
    currency, total = items[0]["currency"], sum(item["amount_total"] for item in items)
    check_total(total, currency)
    kinds = params.get("payment_method_types") or payment_intents.default_kinds(currency)
    for kind in kinds:
        if kind not in ("card", "sepa_debit", "link"):
            raise unsupported(f"payment_method_types={kind}")
    automatic = "payment_method_types" not in params
    texts = shapes.BLANK["checkout.session"]["custom_text"] | {
        name: value or None for name, value in (params.get("custom_text") or {}).items()
    }
    fields |= {name: params[name] for name in COPIED if name in params}
    if "custom_fields" in fields:
        fields["custom_fields"] = [custom_field(field) for field in fields["custom_fields"]]
    session = shapes.thing(
        "checkout.session", key, now,
        amount_subtotal=total, amount_total=total, currency=currency, expires_at=expires_at, custom_text=texts,
        metadata=merged_metadata(None, params.get("metadata", {})), payment_method_types=kinds,
        payment_method_configuration_details={"id": "pmc_1SandboxStandIn0001", "parent": None} if automatic else None,
        payment_method_options={"card": {"request_three_d_secure": "automatic"}} if "card" in kinds else {}, **fields,
    )  # fmt: skip
    box.state.add(session, {"line_items": items, "payment_intent_data": data})
    box.later("expire_session", key, after_s=expires_at - now)
    return session


def custom_field(given: Json) -> Json:
    kind = given["type"]
    inner: Json = {"value": None, "default_value": None}
    limits: Json = {"maximum_length": None, "minimum_length": None}
    inner |= {"options": []} if kind == "dropdown" else limits
    return {"key": given["key"], "label": given["label"], "optional": given.get("optional", False), "type": kind,
            kind: inner | given.get(kind, {})}  # fmt: skip


def retrieve(call: Call) -> Json:
    return call.named("checkout.session", "checkout.session", "session")


def update(call: Call) -> Json:
    session, params = retrieve(call), call.params
    for name in params:
        if name not in ("metadata", "expand"):
            raise unsupported(name)
    if "metadata" in params:
        call.box.state.change(session, metadata=merged_metadata(session["metadata"], params["metadata"]))
    return session


def index(call: Call) -> Json:
    wanted = (call.params.pop("customer_details", None) or {}).get("email")

    def extra(_: Box, session: Json) -> bool:
        return wanted is None or (session["customer_details"] or {}).get("email") == wanted

    return listed(call, "checkout.session", label="checkout.session", url="/v1/checkout/sessions", extra=extra)


def line_items(call: Call) -> Json:
    session = retrieve(call)
    items = call.box.state.secret(session)["line_items"]
    by_id = {item["id"]: item for item in items}
    order = list(by_id)[::-1]  # listed first to last, unlike everything else
    position = {key: place for place, key in enumerate(order)}
    page, more = window(order=order, position=position, fits=lambda key: True, params=call.params, label="line item")
    data: list[Any] = [by_id[key] for key in page]
    return {"object": "list", "data": data, "has_more": more, "url": f"/v1/checkout/sessions/{session['id']}/line_items"}


def end(box: Box, session: Json) -> None:
    """No longer payable; what a failed attempt left of a PaymentIntent is canceled."""
    box.state.change(session, status="expired", url=None)
    intent = box.state.get(session["payment_intent"] or "", "payment_intent")
    if intent is not None and intent["status"] in ("requires_payment_method", "requires_action"):
        payment_intents.cancel_intent(box, intent, reason="expired")
    box.emit("checkout.session.expired", session)


def expire(call: Call) -> Json:
    session = retrieve(call)
    if session["status"] != "open":
        raise Problem(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of {session['status']}."
        )
    end(call.box, session)
    return session


def expire_in_time(box: Box, key: str) -> None:
    """The act behind `expires_at`."""
    session = box.state.objects[key]
    if session["status"] == "open":
        end(box, session)
