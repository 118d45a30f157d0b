"""Changing a subscription: its plan and quantity (with prorations), its end, its card, its metadata."""

from dataclasses import dataclass

from sandbox import billing_shapes, invoices, payment_methods, periods, prorations, subscription_life, subscriptions
from sandbox.box import Box
from sandbox.call import Call
from sandbox.problems import Problem, no_such, unsupported
from sandbox.state import Json, merged_metadata

ALLOWED_WHEN_ENDED = {"metadata", "cancellation_details"}
ALLOWED_WHEN_INCOMPLETE = ALLOWED_WHEN_ENDED | {"default_payment_method", "payment_settings", "description"}


@dataclass(frozen=True, kw_only=True)
class Change:
    """The items before and after, in the same order; an added one was None, a removed one is."""

    before: list[Json | None]
    after: list[Json | None]

    @property
    def kept(self) -> list[Json]:
        return [item for item in self.after if item is not None]


def update(call: Call) -> Json:
    subscription, box, params = subscriptions.retrieve(call), call.box, call.params
    subscriptions.check(params)
    check_status(subscription, params)
    fields: Json = {}
    if "metadata" in params:
        fields["metadata"] = merged_metadata(subscription["metadata"], params["metadata"])
    if "description" in params:
        fields["description"] = params["description"] or None
    if "default_payment_method" in params:
        given, customer = params["default_payment_method"], box.state.objects[subscription["customer"]]
        method = payment_methods.of_customer(call, "default_payment_method", given, customer) if given else None
        fields["default_payment_method"] = method and method["id"]
    if "payment_settings" in params:
        fields["payment_settings"] = subscriptions.payment_settings(params, subscription["payment_settings"])
    change = changed_items(call, subscription) if params.get("items") else None
    fields |= ending(box, subscription, params)
    if "cancellation_details" in params:
        details: Json = fields.get("cancellation_details") or subscription["cancellation_details"]
        fields["cancellation_details"] = subscriptions.said_details(params, details)
    if change is None:
        subscription_life.change(box, subscription, **fields)
    else:
        change_plan(call, subscription, change, fields)
    subscriptions.plan_end(box, subscription)
    return subscription


def check_status(subscription: Json, params: Json) -> None:
    given = set(params)
    if subscription["status"] in subscription_life.ENDED and given - ALLOWED_WHEN_ENDED:
        raise Problem("A canceled subscription can only update its cancellation_details and metadata.")
    if subscription["status"] == "incomplete" and given - ALLOWED_WHEN_INCOMPLETE - {"cancel_at_period_end"}:
        raise Problem("A subscription whose first payment has not been made can only update its metadata, description and "
                      "payment settings.", code="subscription_update_incomplete")  # fmt: skip


def ending(box: Box, subscription: Json, params: Json) -> Json:
    """`cancel_at_period_end` or `cancel_at`; taking either back resumes."""
    if "cancel_at" in params:
        if "cancel_at_period_end" in params:
            raise Problem("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
        return subscriptions.read_cancel_at(params["cancel_at"], box.clock.now()) | {"cancel_at_period_end": False}
    wish = params.get("cancel_at_period_end")
    if wish and not subscription["cancel_at_period_end"]:
        return subscriptions.cancellation(box, subscription)
    if wish is False and subscription["cancel_at_period_end"]:
        return subscriptions.resumption(subscription)
    return {}


def changed_items(call: Call, subscription: Json) -> Change:
    current = {item["id"]: item for item in subscription_life.items_of(subscription)}
    before: list[Json | None] = list(current.values())
    after: dict[str, Json | None] = dict(current)
    now = call.box.clock.now()
    for number, given in enumerate(call.params["items"]):
        where = f"items[{number}]"
        if "id" not in given:
            price = subscriptions.price_of(call, given, where)
            added = billing_shapes.subscription_item(
                call.box.ids.new("si_")[:17], now, price=price, quantity=subscriptions.quantity_of(given, where),
                metadata=given.get("metadata", {}), subscription=subscription["id"],
                current_period_start=next(iter(current.values()))["current_period_start"],
                current_period_end=subscription_life.period_end(subscription),
            )  # fmt: skip
            before.append(None)
            after[added["id"]] = added
            continue
        if given["id"] not in current:
            raise no_such("subscription_item", given["id"], param=f"{where}[id]", status=400)
        after[given["id"]] = changed_item(call, current[given["id"]], given, where)
    change = Change(before=before, after=list(after.values()))
    if not change.kept:
        raise Problem("A subscription must have at least one active plan.", param="items")
    subscriptions.check_together([item["price"] for item in change.kept])
    if change.kept[0]["price"]["currency"] != subscription["currency"]:
        raise Problem(f"The subscription bills in {subscription['currency']}.", param="items")
    return change


def changed_item(call: Call, item: Json, given: Json, where: str) -> Json | None:
    if given.get("deleted"):
        return None
    price = item["price"]
    if "price" in given or "price_data" in given:
        price = subscriptions.price_of(call, given, where)
    fields = {"price": price, "plan": billing_shapes.plan_of(price),
              "quantity": subscriptions.quantity_of(given, where, item["quantity"])}  # fmt: skip
    if "metadata" in given:
        fields["metadata"] = merged_metadata(item["metadata"], given["metadata"])
    return item | fields


def bills_otherwise(one: Json | None, other: Json | None) -> bool:
    if one is None or other is None:
        return True
    return (one["price"]["id"], one["quantity"]) != (other["price"]["id"], other["quantity"])


def change_plan(call: Call, subscription: Json, change: Change, fields: Json) -> None:
    """Prorations wait for the next invoice, except where the interval changes or `always_invoice` asks for one now."""
    box, params = call.box, call.params
    behavior = params.get("proration_behavior", "create_prorations")
    old, now = subscription_life.items_of(subscription)[0], box.clock.now()
    moment: int = params.get("proration_date", now)
    if not old["current_period_start"] <= moment <= old["current_period_end"]:
        raise Problem("`proration_date` must be inside the current period.", param="proration_date")
    restarts = not periods.same_length(old["price"]["recurring"], change.kept[0]["price"]["recurring"])
    if restarts and moment != now:
        raise unsupported("proration_date with a change of interval")
    if params.get("payment_behavior") == "error_if_incomplete" and (restarts or behavior == "always_invoice"):
        subscriptions.check_payable(box, subscriptions.default_method(box, subscription), strict=True)
    pairs = [pair for pair in zip(change.before, change.after, strict=True) if bills_otherwise(*pair)]
    items = change.kept
    if restarts:
        end = periods.end_after(now, items[0]["price"]["recurring"], now)
        items = [item | {"current_period_start": now, "current_period_end": end} for item in items]
        fields = fields | {"billing_cycle_anchor": now}
    if behavior != "none":
        for before, after in pairs:
            if before is not None:
                prorations.post(box, subscription, before, moment=moment, credit=True)
            if after is not None and not restarts:
                prorations.post(box, subscription, after, moment=moment, credit=False)
    previous = box.state.change(subscription, items=billing_shapes.items_list(subscription["id"], items), **fields)
    if not restarts and behavior != "always_invoice":
        if previous:
            box.emit("customer.subscription.updated", subscription, previous)
        return
    bill_now(box, subscription, previous, with_period=restarts, collects=params.get("payment_behavior") != "default_incomplete")


def bill_now(box: Box, subscription: Json, previous: Json, *, with_period: bool, collects: bool) -> None:
    lines = subscription_life.period_lines(box, subscription) if with_period else []
    invoice = subscription_life.invoice_for(box, subscription, lines, reason="subscription_update")
    previous |= box.state.change(subscription, latest_invoice=invoice["id"])
    box.emit("customer.subscription.updated", subscription, previous)
    box.emit("invoice.created", invoice)
    invoices.finalize(box, invoice)
    if with_period:
        subscription_life.schedule_renewal(box, subscription)
    if invoice["status"] != "open":
        return
    if collects:
        invoices.collect_automatically(box, invoice)
    else:
        subscription_life.change(box, subscription, status="past_due")
