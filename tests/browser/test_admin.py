"""Staff: finding a payment by Stripe's id, and giving part of it back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.tests.factories import PASSWORD
from payments.models import Refund
from tests.browser.steps import open_campaign, wall_shows
from tests.live import Live, a_campaign

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_staff_finds_a_payment_by_its_intent_and_refunds_a_part(tab: Page, live: Live) -> None:
    campaign = a_campaign()
    paid = live.give_and_pay(campaign_id=campaign, amount=25, donor_name="Ada")
    live.give_and_pay(campaign_id=campaign, amount=10, donor_name="Grace", email="grace@example.org")
    User.objects.create_superuser("staff@example.org", PASSWORD)

    tab.goto("/admin/")
    log_in_to_admin(tab)
    tab.get_by_role("link", name="Payments", exact=True).last.click()
    tab.locator("#searchbar").fill(paid["payment_intent"]["id"])
    tab.get_by_role("button", name="Search").click()
    expect(tab.locator("#result_list tbody tr")).to_have_count(1)
    tab.locator("#result_list tbody th a").click()
    expect(tab.locator("dl.figures dd")).to_have_text(["$25.00", "paid", "$0.00", "$0.00", "$25.00", "$25.00"])

    tab.get_by_role("link", name="Refund…").click()
    expect(tab.locator("#id_amount")).to_have_value("25.00")
    tab.locator("#id_amount").fill("10.50")
    tab.locator("#id_reason").select_option("requested_by_customer")
    tab.locator("#id_note").fill("Asked by telephone")
    tab.get_by_role("button", name="Refund").click()

    expect(tab.locator(".messagelist li")).to_have_count(1)
    [at_stripe] = live.sandbox.objects("refund")
    expect(tab.locator(".messagelist li")).to_have_text(f"Refunded $10.50: {at_stripe['id']}.")
    expect(tab.locator("dl.figures dd")).to_have_text(
        ["$25.00", "paid partially refunded", "$10.50", "$0.00", "$14.50", "$14.50"]
    )
    live.flush()
    assert (at_stripe["amount"], at_stripe["payment_intent"]) == (1050, paid["payment_intent"]["id"])
    assert [(one.amount_minor, one.status, one.note) for one in Refund.objects.all()] == [
        (1050, "succeeded", "Asked by telephone")
    ]
    open_campaign(tab, campaign, raised="$24.50", donors="2", donations="2")
    wall_shows(tab, ["Grace $10.00"], ["Ada $14.50"])
    tab.locator("#prove").click()
    expect(tab.locator("#proof-refunds")).to_have_text("-$10.50")
    expect(tab.locator("#proof-net")).to_have_text("$24.50")
    expect(tab.locator("#proof-verdict")).to_contain_text("Proved.")
    assert live.status(paid) == "completed"


def log_in_to_admin(tab: Page) -> None:
    tab.locator("#id_username").fill("staff@example.org")
    tab.locator("#id_password").fill(PASSWORD)
    tab.get_by_role("button", name="Log in").click()
