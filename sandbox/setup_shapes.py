"""How a SetupIntent and its attempts look."""

from typing import Any

from sandbox.state import Json

CARD_OPTIONS = {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
SECURE = {"authentication_flow": "challenge", "electronic_commerce_indicator": "05", "result": "authenticated",
          "result_reason": None, "transaction_id": None, "version": "2.2.0"}  # fmt: skip


def options(kinds: list[str], given: Json) -> Json:
    wish = (given.get("card") or {}).get("request_three_d_secure", "automatic")
    found: Json = {kind: {} for kind in kinds if kind == "sepa_debit"}
    return found | ({"card": CARD_OPTIONS | {"request_three_d_secure": wish}} if "card" in kinds else {})


def setup_intent(key: str, created: int, **fields: Any) -> Json:
    blank = {
        "id": key, "object": "setup_intent", "created": created, "livemode": False, "application": None,
        "automatic_payment_methods": None, "cancellation_reason": None, "client_secret": None, "customer": None,
        "customer_account": None, "description": None, "excluded_payment_method_types": None, "last_setup_error": None,
        "latest_attempt": None, "mandate": None, "metadata": {}, "next_action": None, "on_behalf_of": None,
        "payment_method": None, "payment_method_configuration_details": None, "payment_method_options": {},
        "payment_method_types": ["card"], "single_use_mandate": None, "status": "requires_payment_method",
        "usage": "off_session",
    }  # fmt: skip
    return blank | fields


def next_action(page: str, return_url: str | None, *, source: str) -> Json:
    """Where the customer is asked: on a page of its own, or, without a return address, by stripe.js."""
    if return_url is not None:
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": page}}
    sdk = {"type": "three_d_secure_redirect", "stripe_js": page, "source": source}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}


def setup_attempt(
    key: str, created: int, *, intent: Json, method: Json, status: str, challenged: bool, error: Json | None
) -> Json:
    kind = method["type"]
    details: Json = {}
    if kind == "card":
        card = method["card"]
        details = {
            "brand": card["brand"], "checks": card["checks"], "country": card["country"], "exp_month": card["exp_month"],
            "exp_year": card["exp_year"], "fingerprint": card["fingerprint"], "funding": card["funding"],
            "last4": card["last4"], "network": card["brand"], "three_d_secure": SECURE if challenged else None,
            "wallet": None,
        }  # fmt: skip
    return {
        "id": key, "object": "setup_attempt", "created": created, "livemode": False, "application": None,
        "customer": intent["customer"], "customer_account": None, "flow_directions": None, "on_behalf_of": None,
        "payment_method": method["id"], "payment_method_details": {"type": kind, kind: details},
        "setup_error": error, "setup_intent": intent["id"], "status": status, "usage": intent["usage"],
    }  # fmt: skip
