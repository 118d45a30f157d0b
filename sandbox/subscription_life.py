"""What happens to a subscription by itself: its first payment, renewals, retries, its end. By the clock and by invoices.

incomplete -> active | incomplete_expired; active <-> past_due; past_due -> canceled | unpaid, as the settings say.
"""

from typing import Any

from sandbox import billing_shapes, invoice_items, invoices, periods
from sandbox.box import Box
from sandbox.clock import DAY
from sandbox.state import Json

INCOMPLETE_S = 23 * 3_600
ENDED = ("canceled", "incomplete_expired")
RENEWING = ("active", "past_due", "unpaid")


def items_of(subscription: Json) -> list[Json]:
    found: list[Json] = subscription["items"]["data"]
    return found


def recurring_of(subscription: Json) -> Json:
    found: Json = items_of(subscription)[0]["price"]["recurring"]
    return found


def period_end(subscription: Json) -> int:
    end: int = items_of(subscription)[0]["current_period_end"]
    return end


def change(box: Box, subscription: Json, **fields: Any) -> None:
    previous = box.state.change(subscription, **fields)
    if previous:
        box.emit("customer.subscription.updated", subscription, previous)


def period_lines(box: Box, subscription: Json) -> list[Json]:
    """One line for each item's current period; the item remembers its line, for the credit of a later change."""
    lines = []
    for item in items_of(subscription):
        price, quantity = item["price"], item["quantity"]
        each = f"{invoice_items.money(price)} / {periods.in_words(price['recurring'])}"
        lines.append(
            billing_shapes.line_item(
                box.ids.new("il_1"), amount=price["unit_amount"] * quantity, currency=price["currency"],
                quantity=quantity, start=item["current_period_start"], end=item["current_period_end"],
                description=f"{quantity} × {box.state.objects[price['product']]['name']} (at {each})",
                metadata=dict(subscription["metadata"]), subscription=subscription["id"],
                parent=billing_shapes.parent_of_line(subscription=subscription["id"], item=item["id"]),
                pricing=billing_shapes.pricing(price, unit_amount=price["unit_amount"]),
            )
        )  # fmt: skip
    return lines


def remember_lines(box: Box, subscription: Json, invoice: Json) -> None:
    details = [(line, (line["parent"] or {}).get("subscription_item_details")) for line in box.state.secret(invoice)["lines"]]
    billed = {
        d["subscription_item"]: {"invoice": invoice["id"], "invoice_line_items": [line["id"]]}
        for line, d in details
        if d is not None and line["amount"] >= 0
    }
    box.state.remember(subscription, billed=box.state.secret(subscription).get("billed", {}) | billed)


def invoice_for(box: Box, subscription: Json, lines: list[Json], *, reason: str, **fields: Any) -> Json:
    """A draft of these lines and of what waits for the subscription's next invoice; not announced yet."""
    customer = box.state.objects[subscription["customer"]]
    pending = invoice_items.pending(box, customer["id"], subscription["id"])
    invoice = invoices.draft(
        box, customer, invoice_items.lines_of(box, pending) + lines, reason=reason, currency=subscription["currency"],
        subscription=subscription, **fields,
    )  # fmt: skip
    invoice_items.take(box, pending, invoice)
    remember_lines(box, subscription, invoice)
    return invoice


def schedule_renewal(box: Box, subscription: Json) -> None:
    end = period_end(subscription)
    box.later("renew_subscription", f"{subscription['id']} {end}", after_s=max(0, end - box.clock.now()))


def moved_items(subscription: Json, *, start: int, end: int) -> Json:
    items = [item | {"current_period_start": start, "current_period_end": end} for item in items_of(subscription)]
    return billing_shapes.items_list(subscription["id"], items)


def renew(box: Box, subject: str) -> None:
    """The act behind a period's end. A period that was changed meanwhile has an act of its own."""
    key, end = subject.split()
    subscription = box.state.objects[key]
    if subscription["status"] not in RENEWING or period_end(subscription) != int(end):
        return
    if subscription["cancel_at_period_end"]:
        finish(box, subscription)
        return
    start = int(end)
    following = periods.end_after(subscription["billing_cycle_anchor"], recurring_of(subscription), start)
    before = {"items": subscription["items"], "latest_invoice": subscription["latest_invoice"]}
    box.state.change(subscription, items=moved_items(subscription, start=start, end=following))
    advancing = subscription["status"] != "unpaid"
    wait = invoices.FINALIZED_AFTER_S
    invoice = invoice_for(
        box, subscription, period_lines(box, subscription), reason="subscription_cycle", period_start=before_start(before),
        period_end=start, auto_advance=advancing,
        automatically_finalizes_at=box.clock.now() + wait if advancing else None,
        next_payment_attempt=box.clock.now() + wait if advancing else None,
    )  # fmt: skip
    box.state.change(subscription, latest_invoice=invoice["id"])
    box.emit("customer.subscription.updated", subscription, before)
    box.emit("invoice.created", invoice)
    if advancing:
        box.later("finalize_invoice", invoice["id"], after_s=wait)
    schedule_renewal(box, subscription)


def before_start(before: Json) -> int:
    start: int = before["items"]["data"][0]["current_period_start"]
    return start


def finish(box: Box, subscription: Json, *, reason: str | None = None) -> None:
    """The end, now. What is open is not collected any more."""
    now = box.clock.now()
    fields: Json = {"status": "canceled", "ended_at": now, "canceled_at": subscription["canceled_at"] or now}
    if reason is not None:
        fields["cancellation_details"] = subscription["cancellation_details"] | {"reason": reason}
    for invoice in box.state.all("invoice", customer=subscription["customer"]):
        if invoices.subscription_of(box, invoice) is subscription and invoice["status"] in ("draft", "open"):
            changed = box.state.change(invoice, auto_advance=False, next_payment_attempt=None, automatically_finalizes_at=None)
            if changed:
                box.emit("invoice.updated", invoice, changed)
    box.state.change(subscription, **fields)
    box.emit("customer.subscription.deleted", subscription)


def cancel_in_time(box: Box, subject: str) -> None:
    """The act behind `cancel_at`."""
    key, moment = subject.split()
    subscription = box.state.objects[key]
    if subscription["status"] not in ENDED and subscription["cancel_at"] == int(moment):
        finish(box, subscription)


def expire_incomplete(box: Box, key: str) -> None:
    """The act behind the 23 hours that a first payment has."""
    subscription = box.state.objects[key]
    if subscription["status"] == "incomplete":
        invoices.void(box, box.state.objects[subscription["latest_invoice"]])


def invoice_was_paid(box: Box, key: str) -> None:
    invoice = box.state.objects[key]
    subscription = invoices.subscription_of(box, invoice)
    assert subscription is not None
    fields: Json = {}
    if subscription["status"] in ("incomplete", "past_due", "unpaid") and subscription["latest_invoice"] == key:
        fields["status"] = "active"
    intent = invoices.intent_of(box, invoice)
    saves = subscription["payment_settings"]["save_default_payment_method"] == "on_subscription"
    if intent is not None and saves and box.state.objects[intent["payment_method"]]["customer"] is not None:
        fields["default_payment_method"] = intent["payment_method"]
    change(box, subscription, **fields)


def retries(box: Box, subscription: Json, invoice: Json) -> bool:
    return subscription["status"] in RENEWING and bool(invoice["auto_advance"])


def schedule_retry(box: Box, key: str) -> None:
    """When a renewal is tried again; null where the schedule has come to its end."""
    invoice = box.state.objects[key]
    subscription = invoices.subscription_of(box, invoice)
    assert subscription is not None
    if not retries(box, subscription, invoice):
        return
    days, made = box.settings.invoice_retry_days, invoice["attempt_count"]
    if made > len(days):
        box.state.change(invoice, next_payment_attempt=None)
        return
    pause = days[made - 1] * DAY
    planned = invoice["next_payment_attempt"]
    if planned is None or planned <= box.clock.now():
        box.state.change(invoice, next_payment_attempt=box.clock.now() + pause)
        box.later("retry_invoice", key, after_s=pause)


def invoice_was_not_paid(box: Box, key: str) -> None:
    invoice = box.state.objects[key]
    subscription = invoices.subscription_of(box, invoice)
    assert subscription is not None
    if not retries(box, subscription, invoice):
        return
    if subscription["status"] == "active":
        change(box, subscription, status="past_due")
    if invoice["next_payment_attempt"] is not None:
        return
    if box.settings.after_retries == "canceled":
        finish(box, subscription, reason="payment_failed")
    else:
        change(box, subscription, status=box.settings.after_retries)


def invoice_was_voided(box: Box, key: str) -> None:
    subscription = invoices.subscription_of(box, box.state.objects[key])
    if subscription is not None and subscription["status"] == "incomplete":
        change(box, subscription, status="incomplete_expired", ended_at=box.clock.now())
