"""How subscriptions, invoices and what hangs on them look when nothing is known of them yet."""

from typing import Any

from sandbox.state import Json

NO_TAX: Json = {"disabled_reason": None, "enabled": False, "liability": None}
SELF: Json = {"type": "self"}


def plan_of(price: Json) -> Json:
    """A price as the older object that items still show beside it."""
    recurring = price["recurring"]
    return {
        "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"], "billing_scheme": "per_unit", "created": price["created"],
        "currency": price["currency"], "interval": recurring["interval"], "interval_count": recurring["interval_count"],
        "livemode": False, "metadata": price["metadata"], "meter": None, "nickname": price["nickname"],
        "product": price["product"], "tiers_mode": None, "transform_usage": None, "trial_period_days": None,
        "usage_type": "licensed",
    }  # fmt: skip


def subscription_item(key: str, created: int, *, price: Json, quantity: int, **fields: Any) -> Json:
    blank = {
        "id": key, "object": "subscription_item", "created": created, "billing_thresholds": None,
        "current_period_end": 0, "current_period_start": 0, "discounts": [], "metadata": {}, "plan": plan_of(price),
        "price": price, "quantity": quantity, "subscription": "", "tax_rates": [],
    }  # fmt: skip
    return blank | fields


def items_list(subscription: str, items: list[Json]) -> Json:
    return {"object": "list", "data": items, "has_more": False,
            "url": f"/v1/subscription_items?subscription={subscription}"}  # fmt: skip


def subscription(key: str, created: int, **fields: Any) -> Json:
    blank = {
        "id": key, "object": "subscription", "created": created, "livemode": False, "application": None,
        "application_fee_percent": None, "automatic_tax": NO_TAX, "billing_cycle_anchor": created,
        "billing_cycle_anchor_config": None, "billing_schedules": [], "billing_thresholds": None, "cancel_at": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "cancel_at_period_end": False, "canceled_at": None, "collection_method": "charge_automatically",
        "cancellation_details": {"comment": None, "feedback": None, "reason": None}, "currency": "", "customer": "",
        "customer_account": None, "days_until_due": None, "default_payment_method": None, "default_source": None,
        "default_tax_rates": [], "description": None, "discounts": [], "ended_at": None, "items": {},
        "invoice_settings": {"account_tax_ids": None, "custom_fields": None, "description": None, "footer": None,
                             "issuer": SELF},
        "latest_invoice": None, "managed_payments": {"enabled": False}, "metadata": {},
        "next_pending_invoice_item_invoice": None, "on_behalf_of": None, "pause_collection": None,
        "payment_settings": {"payment_method_options": None, "payment_method_types": None,
                             "save_default_payment_method": "off"},
        "pending_invoice_item_interval": None, "pending_setup_intent": None, "pending_update": None, "schedule": None,
        "start_date": created, "status": "incomplete", "test_clock": None, "transfer_data": None, "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}}, "trial_start": None,
    }  # fmt: skip
    return blank | fields


def invoice(key: str, created: int, **fields: Any) -> Json:
    blank = {
        "id": key, "object": "invoice", "created": created, "livemode": False, "account_country": "US",
        "account_name": "Sandbox", "account_tax_ids": None, "amount_due": 0, "amount_overpaid": 0, "amount_paid": 0,
        "amount_remaining": 0, "amount_shipping": 0, "application": None, "attempt_count": 0, "attempted": False,
        "auto_advance": True, "automatic_tax": NO_TAX | {"provider": None, "status": None},
        "automatically_finalizes_at": None, "billing_reason": "manual", "collection_method": "charge_automatically",
        "currency": "", "custom_fields": None, "customer": "", "customer_account": None, "customer_address": None,
        "customer_email": None, "customer_name": None, "customer_phone": None, "customer_shipping": None,
        "customer_tax_exempt": "none", "customer_tax_ids": [], "default_payment_method": None, "default_source": None,
        "default_tax_rates": [], "description": None, "discounts": [], "due_date": None, "effective_at": None,
        "ending_balance": None, "footer": None, "from_invoice": None, "hosted_invoice_url": None, "invoice_pdf": None,
        "issuer": SELF, "last_finalization_error": None, "latest_revision": None, "lines": {}, "metadata": {},
        "next_payment_attempt": None, "number": None, "on_behalf_of": None, "parent": None,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": created, "period_start": created, "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "receipt_number": None, "rendering": None, "shipping_cost": None,
        "shipping_details": None, "starting_balance": 0, "statement_descriptor": None, "status": "draft",
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None},
        "subtotal": 0, "subtotal_excluding_tax": 0, "test_clock": None, "total": 0, "total_discount_amounts": [],
        "total_excluding_tax": 0, "total_pretax_credit_amounts": [], "total_taxes": [], "webhooks_delivered_at": None,
    }  # fmt: skip
    return blank | fields


def pricing(price: Json | None, *, unit_amount: int) -> Json | None:
    if price is None:
        return None
    return {"type": "price_details", "unit_amount_decimal": str(unit_amount),
            "price_details": {"price": price["id"], "product": price["product"]}}  # fmt: skip


def line_item(key: str, *, amount: int, currency: str, quantity: int, start: int, end: int, **fields: Any) -> Json:
    blank = {
        "id": key, "object": "line_item", "amount": amount, "currency": currency, "description": None,
        "discount_amounts": [], "discountable": True, "discounts": [], "invoice": None, "livemode": False,
        "metadata": {}, "parent": None, "period": {"start": start, "end": end}, "pretax_credit_amounts": [],
        "pricing": None, "quantity": quantity, "quantity_decimal": str(quantity), "subscription": None,
        "subtotal": amount, "taxes": [],
    }  # fmt: skip
    return blank | fields


def parent_of_line(
    *, subscription: str, item: str, invoice_item: str | None = None, proration: bool = False, credited: Json | None = None
) -> Json:
    details = {"invoice_item": invoice_item, "proration": proration, "proration_details": {"credited_items": credited},
               "subscription": subscription, "subscription_item": item}  # fmt: skip
    return {"type": "subscription_item_details", "subscription_item_details": details, "invoice_item_details": None}


def parent_of_item_line(invoice_item: str) -> Json:
    details = {"invoice_item": invoice_item, "proration": False, "proration_details": {"credited_items": None},
               "subscription": None}  # fmt: skip
    return {"type": "invoice_item_details", "invoice_item_details": details, "subscription_item_details": None}


def invoice_item(key: str, now: int, *, amount: int, currency: str, customer: str, **fields: Any) -> Json:
    blank = {
        "id": key, "object": "invoiceitem", "amount": amount, "currency": currency, "customer": customer,
        "customer_account": None, "date": now, "description": None, "discountable": True, "discounts": [],
        "invoice": None, "livemode": False, "metadata": {}, "net_amount": amount, "parent": None,
        "period": {"start": now, "end": now}, "pricing": None, "proration": False, "quantity": 1, "quantity_decimal": "1",
        "tax_rates": [], "test_clock": None,
    }  # fmt: skip
    return blank | fields


def invoice_payment(key: str, created: int, *, invoice: Json, intent: Json) -> Json:
    return {
        "id": key, "object": "invoice_payment", "created": created, "amount_paid": None,
        "amount_requested": invoice["amount_due"], "currency": invoice["currency"], "invoice": invoice["id"],
        "is_default": True, "livemode": False, "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open", "status_transitions": {"canceled_at": None, "paid_at": None},
    }  # fmt: skip
