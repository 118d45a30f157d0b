"""What the demonstration does once everything runs: what front ends and people would do, by the public API alone."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PATIENCE_S = 15
OWNER = {"email": "donor@example.org", "password": "largesse-demo"}  # as seed_demo makes them
ORGANIZATION = "Kisoro Water Trust"
SPENT = (("Pump parts, second delivery", "84.50"), ("Water test of the third well", "41.25"))
HELD = ("Truck for two days", "35.00")


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Where the demonstration runs, the key by which it calls the sandbox, and how it tells of itself."""

    web: str
    stripe: str
    stripe_key: str
    say: Callable[[str], None]

    def forget_endpoints(self) -> None:
        """Delete the webhook endpoints of the sandbox: those of an earlier version, whose secrets nobody has kept."""
        address = f"{self.stripe}/v1/webhook_endpoints"
        for endpoint in _json(f"{address}?limit=100", token=self.stripe_key)["data"]:
            _call(f"{address}/{endpoint['id']}", None, {}, self.stripe_key, method="DELETE")

    def give_once(self) -> None:
        """One gift of $25, paid at the sandbox."""
        campaign = self._ask("/api/campaigns/clean-water")
        self.say(f"A test gift of $25 is on its way to “{campaign['title']}”, which has {campaign['current_amount']} …")
        gift = {"amount": 25, "campaign_id": campaign["id"], "donor_name": "Largesse demo", "email": "demo@example.org"}
        started = self._ask("/api/donations/create-checkout-session/", gift)
        _json(f"{self.stripe}/_sandbox/checkout_sessions/{started['session_id']}/pay", {"card": "4242424242424242"})
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            now = self._ask("/api/campaigns/clean-water")
            if now["donation_count"] > campaign["donation_count"]:
                self.say(f"… it has arrived by webhook: the campaign now has {now['current_amount']} {now['currency']}.\n")
                return
            time.sleep(0.2)
        self.say(f"… it has not arrived within {PATIENCE_S} s. See .demo/web.log and .demo/sandbox.log")

    def fill_wallet(self) -> None:
        """The donor's organization tops up $250 with a card that it saves, spends some and holds some; only once."""
        try:
            token = self._ask("/api/auth/login", OWNER)["access"]
        except urllib.error.HTTPError:
            return  # an earlier run left the donor with another password
        own = self._ask("/api/organizations", token=token)["results"]
        organization = next((one["id"] for one in own if one["name"] == ORGANIZATION), None)
        if organization is None or self._ask(f"/api/wallets/{organization}", token=token)["wallets"]:
            return
        asked = {"organization_id": organization, "amount": "250.00", "save_payment_method": True}
        started = self._ask("/api/payments/create-intent", asked, token=token)
        confirm = f"{self.stripe}/v1/payment_intents/{started['payment_intent']['id']}/confirm"
        _form(confirm, {"payment_method": "pm_card_visa", "return_url": self.web}, token=self.stripe_key)
        deadline = time.monotonic() + PATIENCE_S
        while self._ask(f"/api/payments/{started['payment_id']}", token=token)["status"] != "paid":
            if time.monotonic() > deadline:
                self.say(f"The test top-up has not arrived within {PATIENCE_S} s. See .demo/web.log and .demo/sandbox.log")
                return
            time.sleep(0.2)
        wallet = f"/api/wallets/{organization}"
        for description, amount in SPENT:
            self._ask(f"{wallet}/spend", {"amount": amount, "description": description}, token=token, key=description)
        description, amount = HELD
        self._ask(f"{wallet}/holds", {"amount": amount, "description": description}, token=token, key=description)

    def _ask(self, path: str, body: dict[str, Any] | None = None, *, token: str = "", key: str = "") -> dict[str, Any]:
        return _json(f"{self.web}{path}", body, token=token, key=key)


def _json(url: str, body: dict[str, Any] | None = None, *, token: str = "", key: str = "") -> dict[str, Any]:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    return _call(url, data, headers, token)


def _form(url: str, fields: dict[str, str], *, token: str) -> dict[str, Any]:
    """As Stripe's API takes it."""
    return _call(url, urllib.parse.urlencode(fields).encode(), {}, token)


def _call(url: str, data: bytes | None, headers: dict[str, str], token: str, *, method: str | None = None) -> dict[str, Any]:
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found
