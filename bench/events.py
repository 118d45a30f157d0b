"""Signed `checkout.session.completed` deliveries as Stripe sends them: the whole session, indented, some 4 kB."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from pathlib import Path

SECRET = "whsec_bench"
_NAMES = {"event": "evt_0", "session": "cs_test_0", "intent": "pi_0", "payment": "pay_0", "donation": "donation_0"}


def number_to_id(kind: str, number: int) -> str:
    """The id of the n-th event, session, intent, payment or donation; `seeding` makes the same ones in SQL."""
    return f"{_NAMES[kind]}{number:025x}"


def donor_email(number: int, donors: int) -> str:
    return f"donor{number % donors}@example.org"


class Deliveries:
    """Makes the body of the n-th donation's event out of one real event of the pinned API version."""

    def __init__(self, *, donors: int, campaigns: int) -> None:
        event = json.loads((Path(__file__).parent / "checkout_session_completed.json").read_text())
        self._donors, self._campaigns = donors, campaigns
        self._template = event

    def body(self, number: int) -> bytes:
        session = self._template["data"]["object"]
        payment, donation = number_to_id("payment", number), number_to_id("donation", number)
        session |= {
            "id": number_to_id("session", number),
            "payment_intent": number_to_id("intent", number),
            "client_reference_id": payment,
            # The last is for the tutorial view, which knows its donations by the session alone.
            "metadata": {
                "payment": payment,
                "purpose": "donation",
                "subject": donation,
                "campaign": str(number % self._campaigns),
            },
        }
        session["customer_details"] |= {"email": donor_email(number, self._donors), "name": f"Donor {number % self._donors}"}
        event = self._template | {"id": number_to_id("event", number)}
        return json.dumps(event, indent=2).encode()


def signature(body: bytes) -> str:
    """The Stripe-Signature header, valid for five minutes from now."""
    now = int(time.time())
    signed = hmac.new(SECRET.encode(), str(now).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={signed}"
