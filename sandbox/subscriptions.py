"""Subscriptions, as the API makes, reads and ends them. Changing one is subscription_changes.py's; time's part is in
subscription_life.py."""

from sandbox import billing_shapes, catalogue, invoices, payment_methods, periods, subscription_life
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import created_fits, listed
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.state import Json, merged_metadata

MAX_ITEMS, MAX_QUANTITY = 20, 999_999
UNSUPPORTED = (
    "add_invoice_items", "application_fee_percent", "backdate_start_date", "billing_cycle_anchor",
    "billing_cycle_anchor_config", "billing_schedules", "billing_thresholds", "customer_account", "days_until_due",
    "default_source", "default_tax_rates", "discounts", "on_behalf_of", "pause_collection",
    "pending_invoice_item_interval", "transfer_data", "trial_end", "trial_from_plan", "trial_period_days",
)  # fmt: skip
SAVING = ("off", "on_subscription")


def check(params: Json) -> None:
    """What would change the money, and is not implemented, is refused rather than ignored."""
    for name in UNSUPPORTED:
        if params.get(name):
            raise unsupported(name)
    if params.get("collection_method", "charge_automatically") != "charge_automatically":
        raise unsupported("collection_method=send_invoice")
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise unsupported("payment_behavior=pending_if_incomplete")
    if (params.get("automatic_tax") or {}).get("enabled"):
        raise unsupported("automatic_tax[enabled]")


def price_of(call: Call, given: Json, where: str) -> Json:
    """The recurring price that an item names, or the one made for it."""
    for name in ("plan", "discounts", "tax_rates", "billing_thresholds", "clear_usage"):
        if given.get(name):
            raise unsupported(f"{where}[{name}]")
    if ("price" in given) == ("price_data" in given):
        raise missing_param(f"{where}[price]")
    if "price" in given:
        price = call.referred("price", "price", f"{where}[price]", given["price"])
        if not price["active"]:
            raise Problem(f"The price specified is inactive. This field only accepts active prices: {price['id']}.",
                          param=f"{where}[price]")  # fmt: skip
    else:
        data = given["price_data"]
        product = call.referred("product", "product", f"{where}[price_data][product]", data["product"])
        price = catalogue.make_price(call.box, data, product=product["id"], active=False, where=f"{where}[price_data]")
    if not price["recurring"]:
        raise Problem("The price specified is set to `type=one_time` but this field only accepts prices with "
                      "`type=recurring`.", param=f"{where}[price]")  # fmt: skip
    if price["recurring"]["usage_type"] != "licensed":
        raise unsupported(f"{where}[price]: usage_type=metered")
    return price


def quantity_of(given: Json, where: str, default: int = 1) -> int:
    quantity: int = given.get("quantity", default)
    if not 0 <= quantity <= MAX_QUANTITY:
        raise Problem(f"The quantity must be 0 to {MAX_QUANTITY}.", code="parameter_invalid_integer",
                      param=f"{where}[quantity]")  # fmt: skip
    return quantity


def check_together(prices: list[Json]) -> None:
    for price in prices:
        if price["currency"] != prices[0]["currency"]:
            raise Problem("All prices on a subscription must have the same `currency`.", param="items")
        if not periods.same_length(price["recurring"], prices[0]["recurring"]):
            raise Problem("All prices on a subscription must have the same `recurring.interval` and "
                          "`recurring.interval_count`.", param="items")  # fmt: skip


def items_from(call: Call, given: list[Json], *, start: int) -> list[Json]:
    if not given:
        raise missing_param("items")
    if len(given) > MAX_ITEMS:
        raise Problem(f"A subscription can have up to {MAX_ITEMS} items.", param="items")
    prices = [price_of(call, item, f"items[{number}]") for number, item in enumerate(given)]
    check_together(prices)
    end = periods.end_after(start, prices[0]["recurring"], start)
    return [
        billing_shapes.subscription_item(
            call.box.ids.new("si_")[:17], start, price=price, quantity=quantity_of(item, f"items[{number}]"),
            metadata=item.get("metadata", {}), current_period_start=start, current_period_end=end,
        )
        for number, (item, price) in enumerate(zip(given, prices, strict=True))
    ]  # fmt: skip


def payment_settings(params: Json, current: Json) -> Json:
    given = params.get("payment_settings") or {}
    if given.get("payment_method_options"):
        raise unsupported("payment_settings[payment_method_options]")
    return current | {name: given[name] or None for name in ("payment_method_types", "save_default_payment_method")
                       if name in given}  # fmt: skip


def default_method(box: Box, subscription: Json) -> Json | None:
    settings = box.state.objects[subscription["customer"]]["invoice_settings"]
    key = subscription["default_payment_method"] or settings["default_payment_method"]
    return box.state.get(key or "", "payment_method")


def check_payable(box: Box, method: Json | None, *, strict: bool) -> None:
    """What an attempt would come to, before anything is made: without a method always, and, strictly, a decline too."""
    if method is None:
        raise Problem(
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method.",
            code="resource_missing",
        )
    instrument = payment_methods.instrument_of(box, method)
    decline = instrument.decline
    if not strict:
        return
    if decline is not None:
        raise Problem(decline.message, status=402, kind="card_error", code=decline.code, replayable=True,
                      decline_code=decline.decline_code)  # fmt: skip
    if instrument.challenge == "always" or (
        instrument.challenge == "unless_set_up" and not box.state.secret(method).get("set_up")
    ):
        raise Problem("Payment for this subscription requires additional user action before it can be completed "
                      "successfully. Payment can be completed using the PaymentIntent associated with "
                      "`subscription.latest_invoice`.", status=402, kind="card_error",
                      code="subscription_payment_intent_requires_action", replayable=True)  # fmt: skip


def create(call: Call) -> Json:
    box, params = call.box, call.params
    check(params)
    for name in ("customer", "items"):
        if not params.get(name):
            raise missing_param(name)
    customer = call.referred("customer", "customer", "customer")
    now, fields = box.clock.now(), {}
    if "default_payment_method" in params:
        given = params["default_payment_method"]
        fields["default_payment_method"] = payment_methods.of_customer(call, "default_payment_method", given, customer)["id"]
    if "cancel_at" in params:
        fields |= read_cancel_at(params["cancel_at"], now)
    items = items_from(call, params["items"], start=now)
    wanted = billing_shapes.subscription("", now, customer=customer["id"], **fields)
    behavior = params.get("payment_behavior", "allow_incomplete")
    total = sum(item["price"]["unit_amount"] * item["quantity"] for item in items) + customer["balance"]
    if behavior != "default_incomplete" and total > 0:
        check_payable(box, default_method(box, wanted), strict=behavior == "error_if_incomplete")
    fields |= {
        "currency": items[0]["price"]["currency"], "customer": customer["id"],
        "description": params.get("description") or None,
        "metadata": merged_metadata(None, params.get("metadata", {})),
        "payment_settings": payment_settings(params, wanted["payment_settings"]),
    }  # fmt: skip
    if (params.get("billing_mode") or {}).get("type") == "classic":
        fields["billing_mode"] = {"flexible": None, "type": "classic"}
    subscription = begin(box, items, **fields)
    if params.get("cancel_at_period_end"):
        subscription_life.change(box, subscription, **cancellation(box, subscription))
    if behavior != "default_incomplete":
        collect_first(box, subscription, off_session=params.get("off_session", False))
    return subscription


def read_cancel_at(value: int | str, now: int) -> Json:
    if value == "":
        return {"cancel_at": None, "canceled_at": None}
    if not isinstance(value, int):
        raise unsupported(f"cancel_at={value}")
    if value <= now:
        raise Problem("`cancel_at` must be in the future.", param="cancel_at")
    return {"cancel_at": value, "canceled_at": now}


def begin(box: Box, items: list[Json], **fields: object) -> Json:
    """A subscription with its first invoice open (paid, where nothing is due), and all that waits for the clock."""
    now, key = box.clock.now(), box.ids.new("sub_1")
    owned = [item | {"subscription": key} for item in items]
    listing = billing_shapes.items_list(key, owned)
    subscription = box.state.add(billing_shapes.subscription(key, now, items=listing, **fields), {})
    lines = subscription_life.period_lines(box, subscription)
    invoice = subscription_life.invoice_for(box, subscription, lines, reason="subscription_create")
    box.state.change(subscription, latest_invoice=invoice["id"])
    box.emit("customer.subscription.created", subscription)
    box.emit("invoice.created", invoice)
    invoices.finalize(box, invoice)
    box.later("expire_incomplete", key, after_s=subscription_life.INCOMPLETE_S)
    subscription_life.schedule_renewal(box, subscription)
    plan_end(box, subscription)
    return subscription


def plan_end(box: Box, subscription: Json) -> None:
    moment = subscription["cancel_at"]
    if moment is not None and not subscription["cancel_at_period_end"]:
        box.later("cancel_subscription", f"{subscription['id']} {moment}", after_s=moment - box.clock.now())


def collect_first(box: Box, subscription: Json, *, off_session: bool) -> None:
    invoice = box.state.objects[subscription["latest_invoice"]]
    if invoice["status"] != "open":
        return
    try:
        invoices.collect(box, invoice, default_method(box, subscription), automatic=True, off_session=off_session)
    except Problem:
        return  # the subscription stays incomplete, and says so; its events tell why


def retrieve(call: Call) -> Json:
    return call.named("subscription", "subscription", "subscription_exposed_id")


def cancellation(box: Box, subscription: Json) -> Json:
    details = subscription["cancellation_details"] | {"reason": "cancellation_requested"}
    return {"cancel_at_period_end": True, "cancel_at": subscription_life.period_end(subscription),
            "canceled_at": box.clock.now(), "cancellation_details": details}  # fmt: skip


def resumption(subscription: Json) -> Json:
    details = subscription["cancellation_details"] | {"reason": None}
    return {"cancel_at_period_end": False, "cancel_at": None, "canceled_at": None, "cancellation_details": details}


def said_details(params: Json, current: Json) -> Json:
    given = params.get("cancellation_details") or {}
    return current | {name: given[name] or None for name in ("comment", "feedback") if name in given}


def cancel(call: Call) -> Json:
    """Now. What was paid for the rest of the period stays paid."""
    subscription, box = retrieve(call), call.box
    for name in ("invoice_now", "prorate"):
        if call.params.get(name):
            raise unsupported(name)
    if subscription["status"] in subscription_life.ENDED:
        raise Problem(f"No such subscription: '{subscription['id']}'", status=404, code="resource_missing",
                      param="id")  # fmt: skip
    box.state.change(subscription, cancellation_details=said_details(call.params, subscription["cancellation_details"]))
    first = box.state.objects[subscription["latest_invoice"]]
    waiting = subscription["status"] == "incomplete"
    subscription_life.finish(box, subscription, reason="cancellation_requested")
    if waiting and first["status"] == "open":
        invoices.void(box, first)
    return subscription


def index(call: Call) -> Json:
    params = call.params
    status, price = params.pop("status", None), params.pop("price", None) or params.pop("plan", None)
    spans = {name: params.pop(name, None) for name in ("current_period_start", "current_period_end")}

    def extra(_: Box, subscription: Json) -> bool:
        items = subscription_life.items_of(subscription)
        return (
            status_fits(status, subscription["status"])
            and (price is None or any(item["price"]["id"] == price for item in items))
            and all(created_fits(wish, items[0][name]) for name, wish in spans.items())
        )

    return listed(call, "subscription", label="subscription", url="/v1/subscriptions", extra=extra)


def status_fits(wish: str | None, status: str) -> bool:
    """Without a wish, those that have ended are left out."""
    if wish in (None, "all"):
        return wish == "all" or status not in subscription_life.ENDED
    return status in subscription_life.ENDED if wish == "ended" else status == wish


def index_items(call: Call) -> Json:
    subscription = call.referred("subscription", "subscription", "subscription")
    limit = call.params.get("limit", 10)
    items = subscription_life.items_of(subscription)
    return {"object": "list", "data": items[:limit], "has_more": len(items) > limit, "url": "/v1/subscription_items"}


def of_customer(box: Box, customer: Json) -> Json:
    """`subscriptions`, which a customer shows only where it is asked for by `expand[]`."""
    found = [s for s in box.state.all("subscription", customer=customer["id"]) if s["status"] not in subscription_life.ENDED]
    return {"object": "list", "data": found[::-1][:10], "has_more": len(found) > 10,
            "url": f"/v1/customers/{customer['id']}/subscriptions"}  # fmt: skip
