"""A price or quantity changed in the middle of a period: a credit for the unused time, a debit for the remaining time.

Amounts are shares of a period by the second, in integers, each rounded half away from zero.
"""

from sandbox import billing_shapes, invoice_items, periods
from sandbox.box import Box
from sandbox.state import Json


def post(box: Box, subscription: Json, item: Json, *, moment: int, credit: bool) -> Json:
    """One invoice item: for the item as it was (a credit) or as it is now (a debit), from the moment to the period's end."""
    price, quantity = item["price"], item["quantity"]
    start, end = item["current_period_start"], item["current_period_end"]
    share = periods.share(price["unit_amount"] * quantity, part_s=end - moment, whole_s=end - start)
    name = box.state.objects[price["product"]]["name"]
    amount = -share if credit else share
    counted = f"{quantity} × {name}" if quantity != 1 else name
    words = f"{'Unused' if credit else 'Remaining'} time on {counted} after {periods.day(moment)}"
    credited = box.state.secret(subscription).get("billed", {}).get(item["id"]) if credit else None
    owner = {"subscription": subscription["id"], "subscription_item": item["id"]}
    details: Json = {"credited_items": None, "discount_amounts": []}
    if credited is not None:
        details["credited_items"] = {"invoice_line_item_details": credited, "type": "invoice_line_items"}
    made = invoice_items.add(
        box, credited=credited, amount=amount, currency=price["currency"], customer=subscription["customer"],
        description=words, discountable=False, metadata=dict(subscription["metadata"]), proration=True, quantity=quantity,
        quantity_decimal=str(quantity), period={"start": moment, "end": end},
        parent={"type": "subscription_details", "subscription_details": owner}, proration_details=details,
        pricing=billing_shapes.pricing(price, unit_amount=price["unit_amount"]),
    )  # fmt: skip
    box.emit("invoiceitem.created", made)
    return made
