"""The amount that is chosen is the amount that is asked for, in every currency, and no other."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from donations.models import Donation
from tests.browser.steps import arrived, at_checkout, open_campaign, pay, sessions, shows, wall_shows
from tests.live import Live, a_campaign

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_every_button_and_the_field_ask_for_their_amount(tab: Page, live: Live) -> None:
    for amount in (5, 10, 20, 50, 100):
        tab.goto("/donate")
        expect(tab.locator(f"#donate-{amount}")).to_have_text(f"Donate ${amount}")
        tab.locator(f"#donate-{amount}").click()
        at_checkout(tab, live, f"${amount}.00")
    for typed, total in (("12.34", "$12.34"), ("7,50", "$7.50")):
        tab.goto("/donate")
        tab.locator("#amount").fill(typed)
        tab.locator("#amount").press("Enter")
        at_checkout(tab, live, total)

    asked = [500, 1000, 2000, 5000, 10000, 1234, 750]
    assert sessions(live) == [(amount_minor, "usd", "open") for amount_minor in asked]


def test_gift_without_a_campaign_arrives_at_the_general_fund(tab: Page, live: Live) -> None:
    tab.goto("/donate")
    tab.locator("#donate-5").click()
    at_checkout(tab, live, "$5.00")
    pay(tab, "$5.00")
    arrived(tab, live, "$5.00")
    live.flush()
    assert live.total("general-fund") == ("5.00", 1, 1)


@pytest.mark.parametrize(
    ("currency", "typed", "shown", "at_stripe"),
    [("jpy", "500", "¥500", "¥500"), ("kwd", "1.25", "KWD 1.250", "1.250 KWD"), ("eur", "9.99", "€9.99", "€9.99")],
)
def test_amount_reads_the_same_all_along(tab: Page, live: Live, currency: str, typed: str, shown: str, at_stripe: str) -> None:
    campaign = a_campaign(currency=currency, slug="abroad", goal_minor=None)
    open_campaign(tab, campaign)
    tab.locator("#amount").fill(typed)
    tab.locator("#give").click()
    at_checkout(tab, live, at_stripe)
    pay(tab, at_stripe)
    arrived(tab, live, shown)
    live.flush()
    open_campaign(tab, campaign, raised=shown, donors="1", donations="1")
    wall_shows(tab, [f"Anonymous {shown}"])  # the name on a card is not for the wall_shows
    tab.locator("#prove").click()
    shows(tab, **{"proof-gross": shown, "proof-net": shown, "proof-shown": shown})
    expect(tab.locator("#proof-verdict")).to_contain_text("Proved.")


def test_wrong_amount_is_told_beside_its_field_and_starts_nothing(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    open_campaign(tab, campaign)
    for typed, sentence in (
        ("0.10", "The smallest amount is $0.50."),
        ("12.345", "Amounts in USD have at most 2 decimals."),
        ("-5", "The smallest amount is $0.50."),
        ("five", "Write the amount as a number such as 25 or 25.50."),
        ("99999999999", "The largest amount is $999,999.99."),
        ("1,000.00", "Write the amount as a number such as 25 or 25.50."),
    ):
        tab.locator("#amount").fill(typed)
        tab.locator("#give").click()
        expect(tab.locator("#amount + .field-error")).to_have_text(sentence)
        expect(tab.locator("#amount")).to_have_attribute("aria-invalid", "true")
        expect(tab.locator("#amount")).to_have_accessible_description(sentence)
        expect(tab.locator("#amount")).to_be_focused()
        expect(tab.locator("#giving-error")).to_be_hidden()
    assert tab.url == f"{live.url}/campaigns/{campaign}"
    assert (sessions(live), Donation.objects.count()) == ([], 0)

    tab.locator("#amount").fill("12.34")
    tab.locator("#give").click()
    at_checkout(tab, live, "$12.34")


def test_preset_takes_back_the_amount_that_was_wrong(tab: Page, live: Live) -> None:
    open_campaign(tab, a_campaign())
    tab.locator("#amount").fill("0.10")
    tab.locator("#give").click()
    expect(tab.locator("#amount + .field-error")).to_be_visible()
    tab.get_by_text("$5", exact=True).click()
    expect(tab.locator(".field-error")).to_have_count(0)
    expect(tab.locator("#amount")).to_have_value("")
    tab.locator("#give").click()
    at_checkout(tab, live, "$5.00")
