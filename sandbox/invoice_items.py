"""Invoice items: what waits for a customer's next invoice, prorations among it."""

from sandbox import billing_shapes, invoices
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import listed
from sandbox.money import display, read_currency
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.state import Json, merged_metadata

UNSUPPORTED = ("customer_account", "discounts", "price_data", "quantity_decimal", "tax_rates", "unit_amount_decimal")


def money(price: Json) -> str:
    return display(price["unit_amount"], price["currency"])


def pending(box: Box, customer: str, subscription: str | None) -> list[Json]:
    """Oldest first; those of one subscription wait for its own invoices, those of none go with any."""
    found = []
    for item in box.state.all("invoiceitem", customer=customer):
        owner = ((item["parent"] or {}).get("subscription_details") or {}).get("subscription")
        if item["invoice"] is None and owner in (None, subscription):
            found.append(item)
    return found


def lines_of(box: Box, items: list[Json]) -> list[Json]:
    lines = []
    for item in items:
        owner = (item["parent"] or {}).get("subscription_details")
        parent = billing_shapes.parent_of_item_line(item["id"])
        if owner is not None:
            parent = billing_shapes.parent_of_line(
                subscription=owner["subscription"], item=owner["subscription_item"], invoice_item=item["id"],
                proration=True, credited=box.state.secret(item).get("credited"),
            )  # fmt: skip
        lines.append(
            billing_shapes.line_item(
                box.ids.new("il_1"), amount=item["amount"], currency=item["currency"], quantity=item["quantity"],
                start=item["period"]["start"], end=item["period"]["end"], description=item["description"],
                discountable=item["discountable"], metadata=dict(item["metadata"]), pricing=item["pricing"], parent=parent,
                subscription=owner and owner["subscription"],
            )
        )  # fmt: skip
    return lines


def take(box: Box, items: list[Json], invoice: Json) -> None:
    for item in items:
        box.state.change(item, invoice=invoice["id"])


def add(box: Box, *, credited: Json | None = None, **fields: object) -> Json:
    item = billing_shapes.invoice_item(box.ids.new("ii_1"), box.clock.now(), **fields)  # type: ignore[arg-type]
    return box.state.add(item, {"credited": credited})


def create(call: Call) -> Json:
    box, params = call.box, call.params
    for name in UNSUPPORTED:
        if name in params:
            raise unsupported(name)
    if params.get("subscription"):
        raise unsupported("subscription")
    if "customer" not in params:
        raise missing_param("customer")
    customer = call.referred("customer", "customer", "customer")
    quantity, price = params.get("quantity", 1), None
    if "pricing" in params:
        price = call.referred("price", "price", "pricing[price]", params["pricing"].get("price"))
        if price["recurring"]:
            raise Problem("The price specified is set to `type=recurring` but this field only accepts prices with "
                          "`type=one_time`.", param="pricing[price]")  # fmt: skip
        amount, currency = price["unit_amount"] * quantity, price["currency"]
    elif "amount" in params:
        amount, currency = params["amount"], read_currency(params.get("currency", "usd"))
    else:
        raise missing_param("amount")
    invoice = call.referred("invoice", "invoice", "invoice") if "invoice" in params else None
    if invoice is not None and invoice["status"] != "draft":
        raise Problem("This invoice is no longer editable", code="invoice_not_editable", param="invoice")
    now = box.clock.now()
    item = add(
        box, amount=amount, currency=currency, customer=customer["id"], quantity=quantity, quantity_decimal=str(quantity),
        description=params.get("description") or (box.state.objects[price["product"]]["name"] if price else None),
        discountable=params.get("discountable", True), metadata=merged_metadata(None, params.get("metadata", {})),
        period=params.get("period") or {"start": now, "end": now},
        pricing=billing_shapes.pricing(price, unit_amount=amount // quantity if quantity else 0),
    )  # fmt: skip
    if invoice is not None:
        invoices.add_lines(box, invoice, lines_of(box, [item]))
        take(box, [item], invoice)
    box.emit("invoiceitem.created", item)
    return item


def retrieve(call: Call) -> Json:
    return call.named("invoiceitem", "invoiceitem", "invoiceitem")


def delete(call: Call) -> Json:
    item = retrieve(call)
    if item["invoice"] is not None:
        raise Problem("This invoice item is on an invoice already.", code="invoice_not_editable")
    call.box.state.remove(item)
    call.box.emit("invoiceitem.deleted", item)
    return {"id": item["id"], "object": "invoiceitem", "deleted": True}


def index(call: Call) -> Json:
    waiting = call.params.pop("pending", None)
    return listed(call, "invoiceitem", label="invoiceitem", url="/v1/invoiceitems",
                  extra=lambda _, item: waiting is None or waiting == (item["invoice"] is None))  # fmt: skip
