"""What a donor does, in words that the tests share."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.live import Live

VISA = "4242424242424242"
DECLINED = "4000000000000002"
ASKS_FOR_3D_SECURE = "4000002760003184"


def open_campaign(tab: Page, campaign: str, **totals: str) -> None:
    """The campaign's page, once its wall and totals are those of the API."""
    with tab.expect_response(lambda answer: "/api/donations?" in answer.url):
        tab.goto(f"/campaigns/{campaign}")
    shows(tab, **totals)


def shows(tab: Page, **totals: str) -> None:
    for name, text in totals.items():
        expect(tab.locator(f"#{name}")).to_have_text(text)


def at_checkout(tab: Page, live: Live, total: str) -> str:
    """Waits for the payment page; the id of its session."""
    tab.wait_for_url(re.compile(re.escape(live.sandbox.url) + "/c/pay/cs_"))
    expect(tab.locator("[data-total]")).to_have_text(total)
    return tab.url.rpartition("/")[2]


def pay(tab: Page, total: str, *, card: str = VISA, email: str = "ada@example.org", name: str = "Ada Lovelace") -> None:
    """Fill in the payment page and press its button. An address that the gift named already cannot be changed there."""
    if tab.locator("[name=email]").is_editable():
        tab.locator("[name=email]").fill(email)
    for field, typed in (("number", card), ("expiry", "12 / 34"), ("cvc", "123"), ("name", name)):
        tab.locator(f"[name={field}]").fill(typed)
    tab.get_by_role("button", name=f"Pay {total}", exact=True).click()


def arrived(tab: Page, live: Live, amount: str) -> None:
    """The success page says that the gift has arrived."""
    tab.wait_for_url(f"{live.url}/success?session_id=cs_*")
    tab.locator("#result[data-state=completed]").wait_for()
    expect(tab.locator("#result-title")).to_have_text("Thank you!")
    expect(tab.locator("#result-amount")).to_have_text(amount)


def type_card(tab: Page, card: str = VISA, *, form: str = "payment") -> None:
    """Into the Payment Element of that form, as soon as it can be paid with."""
    expect(tab.locator(f"#{form}-submit")).to_be_enabled()
    fields = tab.frame_locator(f"#{form}-element iframe")
    for field, typed in (("number", card), ("expiry", "12 / 34"), ("cvc", "123")):
        fields.locator(f"[name={field}]").fill(typed)


def log_in(tab: Page, email: str, password: str) -> None:
    tab.locator("#id_username").fill(email)
    tab.locator("#id_password").fill(password)
    tab.locator("#login-submit").click()


def wall_shows(tab: Page, *gifts: list[str]) -> None:
    """Each gift's lines, but for its day, the newest gift first."""
    shown = tab.locator("#wall li[data-donation-id]")
    expect(shown).to_have_count(len(gifts))
    for number, lines in enumerate(gifts):
        expect(shown.nth(number).locator("p:not(.gift-time)")).to_have_text(lines, use_inner_text=True)


def sessions(live: Live) -> list[tuple[Any, Any, Any]]:
    """Every checkout that Stripe was asked for, the oldest first."""
    return [(one["amount_total"], one["currency"], one["status"]) for one in live.sandbox.objects("checkout.session")]
