"""Customers."""

from typing import Any

from sandbox import payment_methods, shapes, subscription_life
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import listed
from sandbox.problems import Problem, no_such, unsupported
from sandbox.state import Json, merged_metadata

COPIED = ("description", "email", "name", "phone", "preferred_locales", "tax_exempt", "balance")
DEFAULT_METHOD = "invoice_settings[default_payment_method]"
UNSUPPORTED = ("source", "tax_id_data", "test_clock", "cash_balance")


def make(box: Box, **fields: Any) -> Json:
    """A new customer, and the event that tells of it."""
    created = box.clock.now()
    prefix = box.ids.hidden(8).upper()
    customer = box.state.add(shapes.thing("customer", box.ids.new("cus_")[:18], created, invoice_prefix=prefix, **fields))
    box.emit("customer.created", customer)
    return customer


def fields_of(call: Call, current: Json | None) -> Json:
    params = call.params
    for name in UNSUPPORTED:
        if name in params:
            raise unsupported(name)
    fields: Json = {name: params[name] or None for name in COPIED if name in params}
    if "balance" in params:
        fields["balance"] = params["balance"]
    if "address" in params:
        fields["address"] = shapes.address(params["address"]) if params["address"] else None
    if "shipping" in params:
        given = params["shipping"]
        fields["shipping"] = None
        if given:
            place = shapes.address(given.get("address"))
            fields["shipping"] = {"address": place, "name": given["name"], "phone": given.get("phone")}
    if "metadata" in params:
        fields["metadata"] = merged_metadata(current and current["metadata"], params["metadata"])
    if "invoice_settings" in params:
        before = (current or shapes.BLANK["customer"])["invoice_settings"]
        given = {name: value or None for name, value in params["invoice_settings"].items()}
        default = given.get("default_payment_method")
        if default and current:
            payment_methods.of_customer(call, DEFAULT_METHOD, default, current)
        fields["invoice_settings"] = before | given
    return fields


def create(call: Call) -> Json:
    fields = fields_of(call, None)
    method = None
    if "payment_method" in call.params:
        method = payment_methods.resolve(call, "payment_method")
        payment_methods.check_attachable(method)
    settings = fields.get("invoice_settings") or {}
    if settings.get("default_payment_method"):
        if settings["default_payment_method"] != call.params.get("payment_method") or method is None:
            raise Problem("The payment method must be attached to the customer.", code="resource_missing", param=DEFAULT_METHOD)
        settings["default_payment_method"] = method["id"]
    customer = make(call.box, **fields)
    if method is not None:
        payment_methods.attach_to(call.box, method, customer["id"])
    return customer


def retrieve(call: Call) -> Json:
    return call.named("customer", "customer", "customer")


def existing(call: Call) -> Json:
    customer = retrieve(call)
    if customer.get("deleted"):
        raise no_such("customer", customer["id"], param="customer")
    return customer


def update(call: Call) -> Json:
    customer = existing(call)
    previous = call.box.state.change(customer, **fields_of(call, customer))
    if previous:
        call.box.emit("customer.updated", customer, previous)
    return customer


def delete(call: Call) -> Json:
    """With the customer go the subscriptions and the saved cards."""
    customer = existing(call)
    for subscription in call.box.state.all("subscription", customer=customer["id"]):
        if subscription["status"] not in subscription_life.ENDED:
            subscription_life.finish(call.box, subscription)
    for method in call.box.state.all("payment_method", customer=customer["id"]):
        payment_methods.detach_from_customer(call.box, method)
    gone = {"id": customer["id"], "object": "customer", "deleted": True}
    call.box.state.remove(customer, leaving=gone)
    call.box.emit("customer.deleted", customer)
    return gone


def index(call: Call) -> Json:
    return listed(call, "customer", label="customer", url="/v1/customers")
