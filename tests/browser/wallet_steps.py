"""An organization with a wallet, and what its people do, in words that the tests share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from accounts.tests.factories import PASSWORD
from tests.browser.steps import log_in
from tests.live import Live, bearer

OWNER = "ada@example.org"
COLLEAGUE = "grace@example.org"


@dataclass(frozen=True, kw_only=True)
class School:
    """An organization whose owner is OWNER; all of its acts go by the API, as any front end's."""

    live: Live
    id: str
    token: str

    @property
    def page(self) -> str:
        return f"/organizations/{self.id}/wallet"

    @property
    def members_page(self) -> str:
        return f"/organizations/{self.id}/members"

    def top_up(self, amount: str, *, method: str = "pm_card_visa", save: bool = False, currency: str = "usd") -> str:
        """Paid at once and settled; the id of the payment."""
        body = {"organization_id": self.id, "amount": amount, "currency": currency, "save_payment_method": save}
        started = self.live.post("/api/payments/create-intent", 200, body, token=self.token)
        intent = started["payment_intent"]["id"]
        confirm = f"/v1/payment_intents/{intent}/confirm"
        paid = self.live.sandbox.stripe("POST", confirm, payment_method=method, return_url=self.live.url)
        assert paid["status"] == "succeeded", paid
        self.live.flush()
        return str(started["payment_id"])

    def spend(self, amount: str, description: str) -> None:
        body = {"amount": amount, "description": description}
        self.live.post(f"/api/wallets/{self.id}/spend", 201, body, token=self.token, key=description)
        self.live.run_tasks()

    def hold(self, amount: str, description: str) -> None:
        body = {"amount": amount, "description": description}
        self.live.post(f"/api/wallets/{self.id}/holds", 201, body, token=self.token, key=description)

    def change(self, **settings: Any) -> None:
        path = f"/api/wallets/{self.id}"
        answer = self.live.ask("PATCH", path, json=settings, headers=bearer(self.token))
        assert answer.status_code == 200, answer.text

    def balance(self) -> str:
        return str(self.live.get(f"/api/wallets/{self.id}", token=self.token)["balance"])

    def methods(self) -> list[tuple[str, bool]]:
        """The last digits of the saved methods, and whether each is the default."""
        found = self.live.get("/api/payments/methods", token=self.token, organization_id=self.id)["payment_methods"]
        return [(method["last4"], method["is_default"]) for method in found]


@pytest.fixture
def school(live: Live) -> School:
    token = live.register(OWNER, PASSWORD, name="Ada Lovelace")
    made = live.post("/api/organizations", 201, {"name": "The night school"}, token=token)
    return School(live=live, id=made["id"], token=token)


def enter(tab: Page, live: Live, path: str, email: str = OWNER) -> None:
    """Logged in, and on that page."""
    tab.goto(f"/login?{urlencode({'next': path})}")
    log_in(tab, email, PASSWORD)
    tab.wait_for_url(lambda address: address == f"{live.url}{path}")


def statement_shows(tab: Page, *lines: list[str], older: int = 0) -> None:
    """These lines from the top, without their days, then that many others; waited for, since a click returns before its page."""
    rows = tab.locator("#statement-lines tbody tr")
    expect(rows).to_have_count(len(lines) + older)
    for number, (what, amount, balance) in enumerate(lines):
        with_its_day = re.compile(rf"^\s*{re.escape(what)}\s[\w, ]+\s*$")
        expect(rows.nth(number).locator("td")).to_have_text([with_its_day, amount, balance])


def is_told(tab: Page, sentence: str) -> None:
    expect(tab.locator("#told")).to_have_text(sentence)
