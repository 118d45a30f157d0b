"""How each object looks when nothing is known of it yet: what Stripe always sends, null where it would be."""

from typing import Any

from sandbox.state import Json

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier",
    "shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip


def address(given: Any = None) -> Json:
    return {name: (given or {}).get(name) or None for name in ADDRESS}


def billing_details(given: Any = None) -> Json:
    found = given or {}
    return {"address": address(found.get("address")), "email": found.get("email") or None,
            "name": found.get("name") or None, "phone": found.get("phone") or None,
            "tax_id": found.get("tax_id") or None}  # fmt: skip


def thing(kind: str, key: str, created: int, **fields: Any) -> Json:
    return {"id": key, "object": kind, "created": created, "livemode": False, "metadata": {}} | BLANK[kind] | fields


def charge(key: str, created: int, **fields: Any) -> Json:
    return thing("charge", key, created, **fields)


BLANK: dict[str, Json] = {
    "customer": {
        "address": None, "balance": 0, "currency": None, "default_source": None, "delinquent": False,
        "description": None, "discount": None, "email": None, "invoice_prefix": None, "name": None,
        "next_invoice_sequence": 1, "phone": None, "preferred_locales": [], "shipping": None, "tax_exempt": "none",
        "test_clock": None,
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
    },
    "product": {
        "active": True, "default_price": None, "description": None, "images": [], "marketing_features": [],
        "name": "", "package_dimensions": None, "shippable": None, "statement_descriptor": None, "tax_code": None,
        "type": "service", "unit_label": None, "updated": 0, "url": None,
    },
    "price": {
        "active": True, "billing_scheme": "per_unit", "currency": "", "custom_unit_amount": None, "lookup_key": None,
        "nickname": None, "product": "", "recurring": None, "tax_behavior": "unspecified", "tiers_mode": None,
        "transform_quantity": None, "type": "one_time", "unit_amount": None, "unit_amount_decimal": None,
    },
    "payment_method": {"allow_redisplay": "unspecified", "billing_details": billing_details(), "customer": None,
                       "customer_account": None, "type": "card"},
    "payment_intent": {
        "amount": 0, "amount_capturable": 0, "amount_details": {"tip": {}}, "amount_received": 0, "application": None,
        "application_fee_amount": None, "automatic_payment_methods": None, "canceled_at": None,
        "cancellation_reason": None, "capture_method": "automatic_async", "client_secret": None,
        "confirmation_method": "automatic", "currency": "", "customer": None, "customer_account": None,
        "description": None, "excluded_payment_method_types": None, "last_payment_error": None, "latest_charge": None,
        "managed_payments": None, "next_action": None, "on_behalf_of": None, "payment_method": None,
        "payment_method_configuration_details": None, "payment_method_options": {}, "payment_method_types": ["card"],
        "processing": None, "receipt_email": None, "review": None, "setup_future_usage": None, "shipping": None,
        "source": None, "statement_descriptor": None, "statement_descriptor_suffix": None,
        "status": "requires_payment_method", "transfer_data": None, "transfer_group": None,
    },
    "charge": {
        "amount": 0, "amount_captured": 0, "amount_refunded": 0, "application": None, "application_fee": None,
        "application_fee_amount": None, "balance_transaction": None, "billing_details": billing_details(),
        "calculated_statement_descriptor": None, "captured": False, "currency": "", "customer": None,
        "description": None, "disputed": False, "failure_balance_transaction": None, "failure_code": None,
        "failure_message": None, "fraud_details": {}, "on_behalf_of": None, "outcome": None, "paid": False,
        "payment_intent": None, "payment_method": None, "payment_method_details": None, "receipt_email": None,
        "receipt_number": None, "receipt_url": None, "refunded": False, "review": None, "shipping": None,
        "source": None, "source_transfer": None, "statement_descriptor": None, "statement_descriptor_suffix": None,
        "status": "pending", "transfer_data": None, "transfer_group": None,
    },
    "dispute": {
        "amount": 0, "balance_transactions": [], "charge": "", "currency": "", "enhanced_eligibility_types": [],
        "evidence": {}, "evidence_details": {}, "is_charge_refundable": False, "payment_intent": None, "reason": "",
        "status": "needs_response",
    },
    "payout": {
        "amount": 0, "application_fee": None, "application_fee_amount": None, "arrival_date": 0, "automatic": True,
        "balance_transaction": None, "currency": "", "description": "STRIPE PAYOUT", "destination": None,
        "failure_balance_transaction": None, "failure_code": None, "failure_message": None, "method": "standard",
        "original_payout": None, "payout_method": None, "reconciliation_status": "not_applicable", "reversed_by": None,
        "source_type": "card", "statement_descriptor": None, "status": "pending",
        "trace_id": {"status": "pending", "value": None}, "type": "bank_account",
    },
    "webhook_endpoint": {"api_version": None, "application": None, "description": None, "enabled_events": [],
                         "status": "enabled", "url": ""},
    "checkout.session": {
        "adaptive_pricing": {"enabled": False}, "after_expiration": None, "allow_promotion_codes": None,
        "amount_subtotal": 0, "amount_total": 0,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None, "cancel_url": None, "client_reference_id": None, "client_secret": None,
        "collected_information": None, "consent": None, "consent_collection": None, "currency": "",
        "currency_conversion": None, "custom_fields": [],
        "custom_text": {"after_submit": None, "shipping_address": None, "submit": None,
                        "terms_of_service_acceptance": None},
        "customer": None, "customer_account": None, "customer_creation": None, "customer_details": None,
        "customer_email": None, "discounts": [], "expires_at": 0, "integration_identifier": None, "invoice": None,
        "invoice_creation": None, "locale": None, "managed_payments": None, "mode": "payment", "origin_context": None,
        "payment_intent": None, "payment_link": None, "payment_method_collection": "if_required",
        "payment_method_configuration_details": None, "payment_method_options": {}, "payment_method_types": ["card"],
        "payment_status": "unpaid", "permissions": None, "phone_number_collection": {"enabled": False},
        "recovered_from": None, "saved_payment_method_options": None, "setup_intent": None,
        "shipping_address_collection": None, "shipping_cost": None, "shipping_options": [], "status": "open",
        "submit_type": None, "subscription": None, "success_url": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}, "ui_mode": "hosted_page",
        "url": None, "wallet_options": None,
    },
}  # fmt: skip


def refund(key: str, created: int, **fields: Any) -> Json:
    """Refunds and balance transactions carry no `livemode`."""
    blank = {
        "id": key, "object": "refund", "created": created, "metadata": {}, "amount": 0, "balance_transaction": None,
        "charge": None, "currency": "", "customer": None, "customer_account": None, "payment_intent": None,
        "payment_method": None, "reason": None, "receipt_number": None, "source_transfer_reversal": None,
        "status": "succeeded", "transfer_reversal": None,
    }  # fmt: skip
    return blank | fields


def balance_transaction(key: str, created: int, **fields: Any) -> Json:
    blank = {
        "id": key, "object": "balance_transaction", "created": created, "amount": 0, "available_on": created,
        "balance_type": "payments", "currency": "", "description": None, "exchange_rate": None, "fee": 0,
        "fee_details": [], "net": 0, "reporting_category": "charge", "source": None, "status": "pending",
        "type": "charge",
    }  # fmt: skip
    return blank | fields


def evidence(given: Json | None = None) -> Json:
    return dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}} | (given or {})


def card(*, brand: str, last4: str, country: str, funding: str, exp_month: int, exp_year: int, key: str) -> Json:
    """A payment method's `card`; `key` is its fingerprint."""
    return {
        "brand": brand, "country": country, "display_brand": brand, "exp_month": exp_month, "exp_year": exp_year,
        "fingerprint": key, "funding": funding, "generated_from": None, "last4": last4, "regulated_status": "unregulated",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "networks": {"available": [brand], "preferred": None}, "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }  # fmt: skip


def charged_card(method_card: Json, *, amount: int, mandate: None = None, challenged: bool) -> Json:
    """A charge's `payment_method_details.card`."""
    secure = {
        "authentication_flow": "challenge", "electronic_commerce_indicator": "05", "exemption_indicator": None,
        "result": "authenticated", "result_reason": None, "transaction_id": None, "version": "2.2.0",
    }  # fmt: skip
    return {
        "amount_authorized": amount, "authorization_code": None, "brand": method_card["brand"],
        "checks": method_card["checks"], "country": method_card["country"], "exp_month": method_card["exp_month"],
        "exp_year": method_card["exp_year"], "extended_authorization": {"status": "disabled"},
        "fingerprint": method_card["fingerprint"], "funding": method_card["funding"],
        "incremental_authorization": {"status": "unavailable"}, "installments": None, "last4": method_card["last4"],
        "mandate": mandate, "multicapture": {"status": "unavailable"}, "network": method_card["brand"],
        "network_token": {"used": False}, "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": "unregulated", "three_d_secure": secure if challenged else None,
        "transaction_link_id": None, "wallet": None,
    }  # fmt: skip


def sepa_debit(number: str, *, country: str, key: str) -> Json:
    return {"bank_code": number[4:9], "branch_code": "", "country": country, "fingerprint": key,
            "generated_from": {"charge": None, "setup_attempt": None}, "last4": number[-4:]}  # fmt: skip
