"""Invoices and their payments, as the API shows and moves them."""

from sandbox import invoice_items, invoices, payment_methods
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import listed, window
from sandbox.money import read_currency
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.state import Json, merged_metadata

UNSUPPORTED = (
    "application_fee_amount", "customer_account", "default_tax_rates", "discounts", "due_date", "from_invoice",
    "on_behalf_of", "shipping_cost", "subscription", "transfer_data", "days_until_due",
)  # fmt: skip
EDITABLE = ("auto_advance", "description", "footer", "statement_descriptor")


def retrieve(call: Call) -> Json:
    return call.named("invoice", "invoice", "invoice")


def check(params: Json) -> None:
    for name in UNSUPPORTED:
        if params.get(name):
            raise unsupported(name)
    if params.get("collection_method", "charge_automatically") != "charge_automatically":
        raise unsupported("collection_method=send_invoice")
    if (params.get("automatic_tax") or {}).get("enabled"):
        raise unsupported("automatic_tax[enabled]")


def edits(call: Call, customer: Json, current: Json | None) -> Json:
    params = call.params
    fields: Json = {name: params[name] if params[name] != "" else None for name in EDITABLE if name in params}
    if "metadata" in params:
        fields["metadata"] = merged_metadata(current and current["metadata"], params["metadata"])
    if "default_payment_method" in params:
        given = params["default_payment_method"]
        fields["default_payment_method"] = payment_methods.of_customer(call, "default_payment_method", given, customer)["id"]
    return fields


def create(call: Call) -> Json:
    box, params = call.box, call.params
    check(params)
    if "customer" not in params:
        raise missing_param("customer")
    customer = call.referred("customer", "customer", "customer")
    items: list[Json] = []
    if params.get("pending_invoice_items_behavior") == "include":
        items = invoice_items.pending(box, customer["id"], None)
    currency = read_currency(params.get("currency") or (items[0]["currency"] if items else customer["currency"] or "usd"))
    items = [item for item in items if item["currency"] == currency]
    fields: Json = {"auto_advance": False} | edits(call, customer, None)
    invoice = invoices.draft(box, customer, invoice_items.lines_of(box, items), reason="manual", currency=currency, **fields)
    invoice_items.take(box, items, invoice)
    box.emit("invoice.created", invoice)
    if invoice["auto_advance"]:
        plan_opening(box, invoice)
    return invoice


def plan_opening(box: Box, invoice: Json) -> None:
    box.state.change(invoice, automatically_finalizes_at=box.clock.now() + invoices.FINALIZED_AFTER_S)
    box.later("finalize_invoice", invoice["id"], after_s=invoices.FINALIZED_AFTER_S)


def update(call: Call) -> Json:
    invoice, box = retrieve(call), call.box
    check(call.params)
    customer = box.state.objects[invoice["customer"]]
    if invoice["status"] in ("paid", "void") and set(call.params) - {"metadata"}:
        raise Problem("Finalized invoices can't be updated in this way", code="invoice_not_editable")
    previous = box.state.change(invoice, **edits(call, customer, invoice))
    if previous:
        box.emit("invoice.updated", invoice, previous)
    if previous.get("auto_advance") is False and invoice["status"] == "draft":
        plan_opening(box, invoice)
    return invoice


def finalize(call: Call) -> Json:
    invoice = retrieve(call)
    if "auto_advance" in call.params:
        call.box.state.change(invoice, auto_advance=call.params["auto_advance"])
    invoices.finalize(call.box, invoice)
    return invoice


def pay(call: Call) -> Json:
    invoice, box, params = retrieve(call), call.box, call.params
    for name in ("forgive", "paid_out_of_band", "source", "mandate"):
        if params.get(name):
            raise unsupported(name)
    if invoice["status"] == "draft":
        invoices.finalize(box, invoice)
    elif invoice["status"] != "open":
        raise Problem(f"Invoice is already {invoice['status']}", code="invoice_not_editable" if invoice["status"] == "void"
                      else None)  # fmt: skip
    if invoice["status"] == "open":
        method = invoices.default_method(box, invoice)
        if "payment_method" in params:
            method = payment_methods.resolve(call, "payment_method")
            attach_new(call, invoice, method)
        invoices.collect(box, invoice, method, automatic=False, off_session=params.get("off_session", True))
    return invoice


def attach_new(call: Call, invoice: Json, method: Json) -> None:
    """A test name (`pm_card_visa`) stands for a card that the customer would have attached before."""
    if method["customer"] is None and call.params["payment_method"].startswith("pm_card_"):
        payment_methods.attach_to(call.box, method, invoice["customer"])


def void(call: Call) -> Json:
    invoice = retrieve(call)
    invoices.void(call.box, invoice)
    return invoice


def index(call: Call) -> Json:
    subscription = call.params.pop("subscription", None)

    def extra(_: Box, invoice: Json) -> bool:
        details = (invoice["parent"] or {}).get("subscription_details") or {}
        return subscription is None or details.get("subscription") == subscription

    return listed(call, "invoice", label="invoice", url="/v1/invoices", extra=extra)


def lines(call: Call) -> Json:
    invoice = retrieve(call)
    by_id = {line["id"]: line for line in call.box.state.secret(invoice)["lines"]}
    order = list(by_id)[::-1]  # listed first to last, as they stand on the invoice
    position = {key: place for place, key in enumerate(order)}
    page, more = window(order=order, position=position, fits=lambda key: True, params=call.params, label="line item")
    return {"object": "list", "data": [by_id[key] for key in page], "has_more": more,
            "url": f"/v1/invoices/{invoice['id']}/lines"}  # fmt: skip


def retrieve_payment(call: Call) -> Json:
    return call.named("invoice_payment", "invoice payment", "invoice_payment")


def index_payments(call: Call) -> Json:
    wish = call.params.pop("payment", None) or {}
    intent = wish.get("payment_intent")
    return listed(call, "invoice_payment", label="invoice payment", url="/v1/invoice_payments",
                  extra=lambda _, row: intent is None or row["payment"]["payment_intent"] == intent)  # fmt: skip


def payments_of(box: Box, invoice: Json) -> Json:
    """`payments`, which is shown only where it is asked for by `expand[]`."""
    found = box.state.all("invoice_payment", invoice=invoice["id"])[::-1]
    return {"object": "list", "data": found[:10], "has_more": len(found) > 10,
            "url": f"/v1/invoice_payments?invoice={invoice['id']}"}  # fmt: skip


def confirmation_secret(box: Box, invoice: Json) -> Json | None:
    intent = invoices.intent_of(box, invoice)
    if intent is None or invoice["status"] != "open":
        return None
    return {"client_secret": intent["client_secret"], "type": "payment_intent"}
