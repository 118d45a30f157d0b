"""An account: made, proved by the mailed link, entered, used and left."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.core import mail
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.tests.factories import PASSWORD, UserFactory
from tests.browser.steps import arrived, at_checkout, log_in, pay
from tests.live import Live, a_campaign

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

EMAIL = "ada@example.org"


def mailed_link(email: str) -> str:
    """The address in the latest mail to this person."""
    bodies = [str(sent.body) for sent in mail.outbox if sent.to == [email]]
    return re.findall(r"^http\S+$", bodies[-1], re.MULTILINE)[0]


def test_account_shows_the_gift_made_before_it_existed(tab: Page, live: Live) -> None:
    campaign = a_campaign(title="Clean water")
    guest = live.give_and_pay(campaign_id=campaign, amount=25, email=EMAIL)
    live.give_and_pay(campaign_id=campaign, amount=5, email="grace@example.org")

    tab.goto("/register")
    for field, typed in (("name", "Ada"), ("email", EMAIL), ("password", PASSWORD)):
        tab.locator(f"#{field}").fill(typed)
    tab.locator("#register-submit").click()
    expect(tab.locator("#register-form-done")).to_be_visible()
    expect(tab.locator("#register-form")).to_be_hidden()
    live.run_tasks()

    tab.goto(mailed_link(EMAIL))
    tab.locator("#verify-submit").click()
    expect(tab.locator("#verify-form-done")).to_be_visible()
    live.run_tasks()
    tab.get_by_role("link", name="To your account").click()
    tab.wait_for_url(f"{live.url}/login?next=/account")
    log_in(tab, EMAIL, PASSWORD)

    tab.wait_for_url(f"{live.url}/account")
    expect(tab.locator("#gifts tr[data-donation-id]")).to_have_count(1)
    expect(tab.locator(f"#gifts tr[data-donation-id={guest['donation_id']}]")).to_be_visible()
    cells = tab.locator("#gifts td").all_inner_texts()
    assert cells[1:] == ["Clean water", "$25.00", "Arrived", "Receipt"]
    expect(tab.locator(".lead .badge")).to_have_text("confirmed")

    tab.locator("#nav-logout").click()
    tab.wait_for_url(f"{live.url}/")
    expect(tab.locator("#nav-login")).to_be_visible()
    tab.goto("/account")
    assert tab.url == f"{live.url}/login?next=/account"


def test_wrong_password_is_told_and_lets_nobody_in(tab: Page, live: Live) -> None:
    UserFactory(email=EMAIL)
    tab.goto("/login")
    log_in(tab, EMAIL, "not the password")
    expect(tab.locator("#login-error")).to_be_visible()
    expect(tab.locator("#id_username")).to_have_value(EMAIL)
    expect(tab.locator("#id_password")).to_have_value("")
    expect(tab.locator("#nav-account")).to_have_count(0)


def test_forgotten_password_is_replaced_by_the_mailed_link(tab: Page, live: Live) -> None:
    UserFactory(email=EMAIL)
    tab.goto("/password-reset")
    tab.locator("#email").fill(EMAIL)
    tab.locator("#reset-ask-submit").click()
    expect(tab.locator("#reset-ask-form-done")).to_be_visible()
    live.run_tasks()

    tab.goto(mailed_link(EMAIL))
    tab.locator("#password").fill("12345678")
    tab.locator("#reset-set-submit").click()
    refused = "This password is too common. This password is entirely numeric."
    expect(tab.locator("#password + .field-error")).to_have_text(refused)
    tab.locator("#password").fill("quiet-lantern-2041")
    tab.locator("#reset-set-submit").click()
    expect(tab.locator("#reset-set-form-done")).to_be_visible()

    tab.goto("/login")
    log_in(tab, EMAIL, "quiet-lantern-2041")
    tab.wait_for_url(f"{live.url}/account")


def test_gift_while_logged_in_is_filled_in_and_owned(tab: Page, live: Live) -> None:
    user = UserFactory(email=EMAIL, name="Ada Example")
    tab.goto("/login")
    log_in(tab, EMAIL, PASSWORD)
    expect(tab.locator("#nav-logout")).to_be_visible()  # another click would take the log-in back while it is on its way
    tab.locator("#nav-donate").click()
    expect(tab.locator("#donor-name")).to_have_value("Ada Example")
    expect(tab.locator("#email")).to_have_value(EMAIL)
    tab.locator("#donate-10").click()
    at_checkout(tab, live, "$10.00")
    expect(tab.locator("[name=email]")).to_have_value(EMAIL)
    pay(tab, "$10.00")
    arrived(tab, live, "$10.00")
    live.flush()
    tab.goto("/account")
    expect(tab.locator("#gifts tr[data-donation-id]")).to_have_count(1)
    assert [sent["email"] for sent in live.sandbox.objects("charge") for sent in [sent["billing_details"]]] == [user.email]


def test_data_is_handed_out_and_the_account_deleted(tab: Page, live: Live, tmp_path: Path) -> None:
    live.register(EMAIL, PASSWORD, name="Ada")
    tab.goto("/login")
    log_in(tab, EMAIL, PASSWORD)
    with tab.expect_download() as waiting:
        tab.locator("#export").click()
    waiting.value.save_as(tmp_path / "data.json")
    assert waiting.value.suggested_filename == "my-data.json"
    assert EMAIL in json.dumps(json.loads((tmp_path / "data.json").read_text()))

    tab.get_by_text("I want to delete my account").click()
    tab.locator("#delete-password").fill("not the password")
    tab.locator("#delete-submit").click()
    expect(tab.locator("#delete-form .field-error, #delete-form .form-error:not([hidden])").first).to_be_visible()
    tab.locator("#delete-password").fill(PASSWORD)
    tab.locator("#delete-submit").click()
    tab.wait_for_url(f"{live.url}/")
    live.run_tasks()
    assert not User.objects.filter(email=EMAIL).exists()
    expect(tab.locator("#nav-login")).to_be_visible()
