"""The one account that every key opens."""

from sandbox.box import ACCOUNT
from sandbox.call import Call
from sandbox.problems import Problem
from sandbox.state import Json

CREATED = 1_700_000_000


def shown() -> Json:
    return {
        "id": ACCOUNT, "object": "account", "business_type": "company", "charges_enabled": True, "country": "US",
        "created": CREATED, "default_currency": "usd", "details_submitted": True, "email": "sandbox@example.com",
        "metadata": {}, "payouts_enabled": True, "type": "standard",
        "capabilities": {"card_payments": "active", "sepa_debit_payments": "active", "transfers": "active"},
    }  # fmt: skip


def retrieve(call: Call) -> Json:
    key = call.names.get("account", ACCOUNT)
    if key != ACCOUNT:
        raise Problem(
            f"The provided key does not have access to account '{key}' (or that account does not exist). "
            "Application access may have been revoked.",
            status=403, code="account_invalid",
        )  # fmt: skip
    return shown()
